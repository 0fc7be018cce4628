"""Copies and years of releases, as people have them: other folders, lists that lack, masks that are filled."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from tests.corpus.raw_trees import hc
from tests.corpus.raw_trees.common import save, write
from tests.corpus.test_sweep import DESCRIPTIONS, build, check_pictures
from ultrasam.corpus.engine import Options, Report, convert_dataset
from ultrasam.corpus.loading import load_spec
from ultrasam.corpus.sources import find_source

ROOT = Path(__file__).resolve().parents[2]
ANY_COUNT = Options(accept_counts=True)


def content_of(report: Report, split: str = '') -> dict:
    name = f'{split}{report.folder.name}__coco.json'
    content: dict = json.loads((report.folder / 'annotations' / name).read_text())
    return content


@pytest.mark.parametrize(
    ('name', 'moves'),
    [
        ('105us', {'105 US Images': 'Images', '105 US Masks': 'Masks'}),
        ('upbd', {'JPEGImages': 'images', 'json_train': 'labels/json_train'}),
    ],
)
def test_copies_with_other_folders_convert_alike(name: str, moves: dict[str, str], tmp_path: Path) -> None:
    tree = build(name, tmp_path / 'raw')
    for old, new in moves.items():
        (tree.source / new).parent.mkdir(exist_ok=True)
        (tree.source / old).rename(tree.source / new)
    report = convert_dataset(DESCRIPTIONS[name], tree.source, tmp_path / 'out', ANY_COUNT)
    assert report.counts.unused == 0
    old, new = next(iter(moves.items()))
    check_pictures(
        name,
        report.folder,
        tuple(
            type(one)(**{**vars(one), 'source': one.source.replace(old, new), 'subject': one.subject})
            for one in tree.pictures
        ),
    )


@pytest.mark.parametrize('lists', ['both', 'with classes', 'without classes'])
def test_mmotu_with_any_of_its_lists(lists: str, tmp_path: Path) -> None:
    tree = build('mmotu_2d', tmp_path / 'raw')
    for path in tree.source.rglob('*.txt'):
        has_classes = path.stem.endswith('_cls')
        if lists != 'both' and has_classes != (lists == 'with classes'):
            path.unlink()
    report = convert_dataset(DESCRIPTIONS['mmotu_2d'], tree.source, tmp_path / 'out', ANY_COUNT)
    if lists != 'without classes':
        check_pictures('mmotu_2d', report.folder, tree.pictures)
        return
    assert (
        report.counts.left_out['no table {part:train|val}_cls.txt, so that what it tells is not known'] == 1
    )
    for split, images in (('', 2), ('test.', 2)):
        content = content_of(report, split)
        names = {one['id']: one['name'] for one in content['categories']}
        assert len(content['images']) == images and not any('label' in one for one in content['images'])
        assert {names[one['category_id']] for one in content['annotations']} == {'tumor'}
        assert names[9] == 'tumor' and len(names) == 9


def test_heads_that_are_filled_already_are_as_those_of_outlines(tmp_path: Path) -> None:
    tree = build('hc', tmp_path / 'raw')
    for name, head in hc.HEADS.items():
        save(tree.source / 'training_set' / f'{name}_Annotation.png', head)
    # a head that cuts the image in two: the smaller side is not of it
    wide = np.zeros((64, 80), bool)
    wide[20:44] = True
    save(tree.source / 'training_set/100_HC.png', np.full((64, 80), 90, np.uint8))
    save(tree.source / 'training_set/100_HC_Annotation.png', wide)
    report = convert_dataset(DESCRIPTIONS['hc'], tree.source, tmp_path / 'out', ANY_COUNT)
    areas = {one['image_id']: one['area'] for one in content_of(report)['annotations']}
    sources = {Path(one['source_file']).stem: one['id'] for one in content_of(report)['images']}
    assert areas.pop(sources['100_HC']) == wide.sum()
    assert {name: areas[sources[name]] for name in hc.HEADS} == {
        name: int(head.sum()) for name, head in hc.HEADS.items()
    }


def test_heads_carry_their_millimetres(tmp_path: Path) -> None:
    tree = build('hc', tmp_path / 'raw')
    table = tree.source / 'training_set_pixel_size_and_HC.csv'
    rows = dict(line.split(',', 1) for line in table.read_text().splitlines()[1:])
    report = convert_dataset(DESCRIPTIONS['hc'], tree.source, tmp_path / 'out', ANY_COUNT)
    for image in content_of(report)['images']:
        pixel, circumference = map(float, rows[Path(image['source_file']).name].split(','))
        assert image['spacing_mm'] == [pixel, pixel]
        assert image['attributes'] == {'head_circumference_mm': circumference}
    # a copy without the table says so, and states nothing
    table.unlink()
    report = convert_dataset(DESCRIPTIONS['hc'], tree.source, tmp_path / 'without', ANY_COUNT)
    assert not {'spacing_mm', 'attributes'} & set(content_of(report)['images'][0])
    assert sum('pixel_size' in reason for reason in report.counts.left_out) == 1
    # a row that is no number is a fault of its image
    write(table, 'filename,pixel size(mm),head circumference (mm)\n000_HC.png,-1,50\n')
    report = convert_dataset(DESCRIPTIONS['hc'], tree.source, tmp_path / 'odd', Options(skip_unusable=True))
    assert any("spacing_mm is '-1', which is not a positive number" in text for text in report.warnings)


def test_files_beside_the_data_that_are_no_data(tmp_path: Path) -> None:
    for name, file, reason in (
        ('bus_bra', 'BUSBRA/LICENSE.txt', 'permission notice'),
        ('ddti', 'DDTI dataset/category.csv', 'classes that the readme of the release calls forged'),
    ):
        source = tmp_path / f'{name} source'
        built = build(name, tmp_path / name).source
        if built.is_file():
            source.mkdir()
            shutil.copyfile(built, source / built.name)
        else:
            shutil.copytree(built, source)
        write(source / file, 'text')
        report = convert_dataset(DESCRIPTIONS[name], source, tmp_path / 'out', ANY_COUNT)
        assert (report.counts.left_out[reason], report.counts.unused) == (1, 0)
        assert not report.counts.labels or name == 'bus_bra'


@pytest.mark.parametrize('day', ['14_june_2022', '25_june_2025'])
@pytest.mark.parametrize('as_folder', [False, True])
def test_kidneyus_of_any_day(day: str, as_folder: bool, tmp_path: Path) -> None:
    tree = build('kidneyus', tmp_path / 'raw')
    source = tmp_path / 'source'
    shutil.copytree(tree.source, source)
    for path in source.rglob('kidneyUS_images_*.zip'):
        target = path.with_name(f'kidneyUS_images_{day}.zip')
        path.rename(target)
        if as_folder:
            shutil.unpack_archive(target, target.with_suffix(''))
            target.unlink()
    report = convert_dataset(DESCRIPTIONS['kidneyus'], source, tmp_path / 'out', ANY_COUNT)
    check_pictures('kidneyus', report.folder, tree.pictures)


REAL = ROOT.parent / 'shared' / 'real_raw'
FOLDERS = {
    # images, objects, crumbs, subjects
    'bus_bra': ('bus_bra', 12, 12, 0, 7),
    'hc': ('hc', 7, 7, 0, 6),
    'fh_ps_aop': ('fh_ps_aop', 8, 16, 0, 8),
    'psfhs': ('fh_ps_aop', 8, 16, 0, 8),
    'ccaui': ('ccaui', 8, 8, 0, 4),
}
WITHOUT_DESCRIPTION = {
    'dicom': 'no masks: read in tests/inference',
    'pocus': 'no masks',
    'ccaui_strays': 'below',
}
needs_real = pytest.mark.skipif(not REAL.is_dir(), reason='../shared/real_raw is not beside this checkout')


@needs_real
def test_every_real_folder_is_converted_or_has_a_reason() -> None:
    folders = {path.name for path in REAL.iterdir() if path.is_dir()}
    assert folders == {folder for folder, *_ in FOLDERS.values()} | set(WITHOUT_DESCRIPTION)


@needs_real
@pytest.mark.parametrize('name', FOLDERS)
def test_real_files_convert(name: str, tmp_path: Path) -> None:
    folder, images, objects, crumbs, subjects = FOLDERS[name]
    report = convert_dataset(DESCRIPTIONS[name], REAL / folder, tmp_path / 'out', ANY_COUNT)
    found = report.counts
    assert (found.images.total(), found.annotations.total(), found.subjects) == (images, objects, subjects)
    assert (found.dropped.total(), found.unused) == (crumbs, 0)


@needs_real
def test_real_heads_have_the_circumference_that_was_measured(tmp_path: Path) -> None:
    import cv2
    from pycocotools import mask as coco_mask

    report = convert_dataset(DESCRIPTIONS['hc'], REAL / 'hc', tmp_path / 'out', ANY_COUNT)
    content = content_of(report)
    images = {one['id']: one for one in content['images']}
    for annotation in content['annotations']:
        image = images[annotation['image_id']]
        mask = coco_mask.decode(annotation['segmentation'])
        contours, _ = cv2.findContours(mask, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
        (_, axes, _) = cv2.fitEllipse(max(contours, key=len))
        a, b = (value / 2 * image['spacing_mm'][0] for value in axes)
        # Ramanujan
        around = np.pi * (3 * (a + b) - np.sqrt((3 * a + b) * (a + 3 * b)))
        stated = image['attributes']['head_circumference_mm']
        assert abs(around / stated - 1) < 0.02, image['source_file']


@needs_real
def test_real_strays_are_named_and_left_out_when_asked(tmp_path: Path) -> None:
    source = tmp_path / 'source'
    shutil.copytree(REAL / 'ccaui', source)
    shutil.copytree(
        REAL / 'ccaui_strays', source / 'Common Carotid Artery Ultrasound Images', dirs_exist_ok=True
    )
    with pytest.raises(Exception, match=r'slice_3100\.png: an annotation with no image'):
        convert_dataset(DESCRIPTIONS['ccaui'], source, tmp_path / 'out')
    report = convert_dataset(DESCRIPTIONS['ccaui'], source, tmp_path / 'out', Options(skip_unusable=True))
    assert (report.counts.images.total(), report.counts.unusable, report.counts.unused) == (8, 1, 2)


@needs_real
def test_a_real_folder_in_downloads_is_found(tmp_path: Path) -> None:
    for name, folder in (('bus_bra', REAL / 'bus_bra'), ('fh_ps_aop', REAL / 'fh_ps_aop')):
        found = find_source(folder, name, load_spec(DESCRIPTIONS[name]))
        assert [path.parent for path in found] == [folder], name
