"""What people plausibly get wrong in a description or a folder, each with the sentence that tells them."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.corpus.raw_trees.common import disc, save, speckle, write
from ultrasam.cli.convert import run_all
from ultrasam.corpus.loading import load_spec
from ultrasam.errors import ConfigError

DESCRIPTION = """
from ultrasam.cli.convert import run_description
from ultrasam.corpus import Category, DatasetSpec, Expected, ImageFiles, MaskFiles, Split, Table, Threshold, TracedRows
SPEC = DatasetSpec(
    name='MINE', title='t', homepage='https://mine', licence='', citation='c', access='open',
    categories=(Category('cyst', 'lesion'), Category('tumour', 'lesion')),
    archives=('mine.zip',),
    frames=ImageFiles('images/{patient}_{n}.png'),
    annotations=(MaskFiles('masks/{patient}_{n}.png', Threshold(150, '{kind}')),),
    tables=(Table('cases.csv', on={'Patient': '{patient}'}, take={'kind': 'Kind', 'part': 'Split'}),),
    translate={'kind': {'C': 'cyst', 'T': 'tumour'}},
    subject='{patient}',
    label='{kind}',
    classes=('cyst', 'tumour'),
    split=Split('{part}', test=('test',), train=('train',)),
    expected=Expected(images=4),
)
if __name__ == '__main__':
    run_description(__file__)
"""
WRONG = {
    # what is written, what is written instead, what is said
    "subject='{patient}'": (
        "subject='{patent}'",
        "subject: '{patent}' names no group of a pattern or table: 'patent' "
        '(there are: kind, n, part, patient)',
    ),
    "Split('{part}'": ("Split('{split}'", "split.by: '{split}' names no group of a pattern or table"),
    "'{patient}'}, take": ("'{case}'}, take", "table cases.csv: on: '{case}' names no group"),
    "{'kind': 'Kind'": (
        "{'patient': 'Kind', 'kind': 'Kind'",
        "take gives the group 'patient', which is there already",
    ),
    "Threshold(150, '{kind}')": (
        "Threshold(150, 'zyst')",
        "a rule gives the category 'zyst', which is none of the categories cyst, tumour",
    ),
    "'T': 'tumour'": (
        "'T': 'tumor'",
        "label: '{kind}' becomes 'tumor', which is none of the classes cyst, tumour",
    ),
    "translate={'kind'": (
        "translate={'knid'",
        "translate: no group 'knid' (there are: kind, n, part, patient)",
    ),
    "('mine.zip',)": ("('mine.zip')", 'archives is not a tuple: a single entry needs a comma behind it'),
    "'masks/{patient}_{n}.png'": (
        "'masks/{case}_{k}.png'",
        'masks/{case}_{k}.png shares no group with images/{patient}_{n}.png',
    ),
    "(MaskFiles('masks/{patient}_{n}.png', Threshold(150, '{kind}')),)": (
        "(TracedRows('tracings', 'cyst'),)",
        "an annotation reads the rows 'tracings', which nothing gives",
    ),
    "ImageFiles('images/{patient}_{n}.png')": (
        "ImageFiles('images/{patient_{n}.png')",
        'a brace that is not closed',
    ),
    "Category('tumour', 'lesion')": (
        "Category('cyst', 'lesion')",
        "categories ['cyst', 'cyst'] must be some, and each only once",
    ),
    "classes=('cyst', 'tumour'),": ('', 'label and classes go together'),
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / 'descriptions').mkdir()
    (tmp_path / 'descriptions/mine.py').write_text(DESCRIPTION)
    return tmp_path / 'descriptions'


@pytest.mark.parametrize('right', WRONG)
def test_a_wrong_description_is_refused_when_it_is_defined(right: str, folder: Path) -> None:
    path = folder / 'mine.py'
    assert load_spec(path).name == 'MINE'
    load_spec.cache_clear()
    wrong, sentence = WRONG[right]
    assert DESCRIPTION.count(right) == 1
    path.write_text(DESCRIPTION.replace(right, wrong))
    with pytest.raises(ConfigError) as caught:
        load_spec(path)
    load_spec.cache_clear()
    assert sentence in str(caught.value)
    assert str(caught.value).startswith(str(path))
    assert str(caught.value).count('\n') == 0


def make_source(source: Path) -> Path:
    rows = ['Patient,Kind,Split']
    for number, (patient, kind) in enumerate({'p1': 'C', 'p2': 'T'}.items()):
        rows.append(f'{patient},{kind},{"test" if number else "train"}')
        for n in range(2):
            save(source / 'images' / f'{patient}_{n}.png', speckle(2 * number + n))
            save(source / 'masks' / f'{patient}_{n}.png', disc(30, 30, 9 + n))
    write(source / 'cases.csv', '\n'.join(rows))
    return source


def masks_elsewhere(source: Path) -> None:
    (source / 'masks').rename(source / 'Masks')


def upper_case(source: Path) -> None:
    for path in (source / 'images').iterdir():
        path.rename(path.with_suffix('.PNG'))


def resized_images(source: Path) -> None:
    with Image.open(source / 'images/p1_0.png') as image:
        image.resize((40, 32)).save(source / 'images/p1_0.png')


def semicolons(source: Path) -> None:
    write(source / 'cases.csv', (source / 'cases.csv').read_text().replace(',', ';'))


def row_missing(source: Path) -> None:
    write(source / 'cases.csv', 'Patient,Kind,Split\np1,C,train\n')


def another_value(source: Path) -> None:
    write(source / 'cases.csv', (source / 'cases.csv').read_text().replace('T,test', 'normal,test'))


def table_missing(source: Path) -> None:
    (source / 'cases.csv').unlink()


def label_values(source: Path) -> None:
    save(source / 'masks/p1_0.png', disc(30, 30, 9).astype(np.uint8))


def overlays(source: Path) -> None:
    save(source / 'masks/p1_0.png', np.dstack([speckle(9), speckle(8), speckle(7)]))


def old_copy_beside(source: Path) -> None:
    shutil.copytree(source / 'images', source / 'old/images')


def page_instead_of_archive(source: Path) -> None:
    (source / 'mine.zip').write_text('<!DOCTYPE html><html>Sign in to download</html>')


def half_an_archive(source: Path) -> None:
    shutil.make_archive(str(source.parent / 'whole'), 'zip', source)
    shutil.rmtree(source / 'images')
    (source / 'mine.zip').write_bytes((source.parent / 'whole.zip').read_bytes()[:2000])


def empty_file(source: Path) -> None:
    (source / 'images/p1_0.png').write_bytes(b'')


def numbers_shifted(source: Path) -> None:
    (source / 'masks/p2_1.png').rename(source / 'masks/p2_2.png')


FOLDERS: dict[str, Callable[[Path], None]] = {
    'images/p1_0.png: no annotation file masks/{patient}_{n}.png': masks_elsewhere,
    '4 files match but for upper and lower case, such as images/p1_0.PNG': upper_case,
    'masks/p1_0.png: 64 x 80 pixels (rows x columns), its image 32 x 40': resized_images,
    "columns seem to be separated by semicolons, where ',' is described": semicolons,
    'images/p2_0.png: no row in the table cases.csv': row_missing,
    "images/p2_0.png: kind = 'normal' is none of ['C', 'T']": another_value,
    'no file matches the table cases.csv: is the download complete?': table_missing,
    'masks/p1_0.png: its highest value is 1, below the threshold 150: stored as labels': label_values,
    'masks/p1_0.png: a mask in colour where a gray one is described': overlays,
    'there twice in the source, the other time as old/images/p1_0.png': old_copy_beside,
    'mine.zip: no zip, tar, 7z or rar archive. Download it again and look at what came': page_instead_of_archive,
    'mine.zip: damaged': half_an_archive,
    'images/p1_0.png': empty_file,
    'masks/p2_2.png: an annotation with no image': numbers_shifted,
}


@pytest.mark.parametrize('sentence', FOLDERS)
def test_a_wrong_folder_is_told_in_a_sentence(
    sentence: str, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = make_source(tmp_path / 'mine')
    assert run_all(folder, ['mine', str(source), str(tmp_path / 'good')]) == 0
    FOLDERS[sentence](source)
    capsys.readouterr()
    assert run_all(folder, ['mine', str(source), str(tmp_path / 'out')]) in (3, 4)
    error = capsys.readouterr().err
    assert sentence in error and 'Traceback' not in error
    assert not (tmp_path / 'out/MINE').exists()


def test_another_release_or_another_folder(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = make_source(tmp_path / 'mine')
    (source / 'images/p2_1.png').unlink()
    (source / 'masks/p2_1.png').unlink()
    assert run_all(folder, ['mine', str(source), str(tmp_path / 'out')]) == 3
    assert '3 images where the release has 4' in capsys.readouterr().err
    other = tmp_path / 'other'
    save(other / 'pictures/1.png', speckle(1))
    write(other / 'cases.csv', 'Patient,Kind,Split\n')
    assert run_all(folder, ['mine', str(other), str(tmp_path / 'out')]) == 3
    assert (
        'no image matches images/{patient}_{n}.png; the source holds 1 other files, such as pictures/1.png'
        in (capsys.readouterr().err)
    )
