"""Bad files among good ones, terms that were not accepted: what is reported, and what is on disk afterwards."""

from __future__ import annotations

import csv
import io
import json
import shutil
from pathlib import Path

import pytest

from tests.classification_sets.raw_trees import fatty_liver, tn5000
from tests.classification_sets.test_sweep import DESCRIPTIONS, ROOT, build, convert
from tests.corpus.raw_trees.common import save, speckle, write
from tests.corpus.test_sweep import digests
from ultrasam.cli.convert import run_all, run_description
from ultrasam.cli.terms import accept_terms, must_accept
from ultrasam.corpus.classification.spec import TermsError
from ultrasam.corpus.engine import Options, convert_dataset
from ultrasam.corpus.errors import EXIT_DATA, EXIT_USAGE, DataFaultsError, IntegrityError, exit_code_of
from ultrasam.corpus.loading import load_spec
from ultrasam.corpus.manifest import MANIFEST, verify_dataset
from ultrasam.errors import OutputError


def run(*words: object) -> int:
    """The command ``datasets/convert.py``."""
    folders = ROOT / 'datasets/us43d', ROOT / 'datasets/classification'
    return run_all(folders[0], [str(word) for word in words], classification=folders[1])


def faults_of(name: str, source: Path, out: Path) -> list[str]:
    with pytest.raises(DataFaultsError) as caught:
        convert(name, source, out)
    assert exit_code_of(caught.value) == EXIT_DATA
    assert not (out / load_spec(DESCRIPTIONS[name]).name).exists(), 'something was published'
    return [str(fault) for fault in caught.value.faults]


@pytest.fixture
def tn(tmp_path: Path) -> Path:
    tn5000.fill(tmp_path / 'raw' / 'TN5000_forReview')
    return tmp_path / 'raw' / 'TN5000_forReview'


def test_all_bad_files_are_named_at_once_and_mending_them_is_enough(tn: Path, tmp_path: Path) -> None:
    image, annotation = tn / 'JPEGImages/000001.jpg', tn / 'Annotations/000004.xml'
    good = image.read_bytes(), annotation.read_text(encoding='utf-8')
    image.write_bytes(good[0][:200])
    write(annotation, tn5000.voc('000004', ['0', '1']))
    write(tn / 'Annotations/000010.xml', tn5000.voc('000010', ['2']))
    (tn / 'Annotations/000011.xml').unlink()
    write(tn / 'ImageSets/Main/test.txt', '000010\n000011\n000099\n')
    save(tn / 'JPEGImages/000050.jpg', speckle(9))
    write(tn / 'Annotations/000050.xml', tn5000.voc('000050', ['0']))
    faults = faults_of('tn5000', tmp_path / 'raw', tmp_path / 'out')
    wanted = [
        "Annotations/000004.xml: objects of 2 classes, '0' and '1', where one class an image is described",
        'ImageSets/Main/test.txt: lists 000099, of which there is no image',
        'JPEGImages/000001.jpg: damaged, or not an image',
        "JPEGImages/000010.jpg: pathology: '2' fits none of 0, 1",
        'JPEGImages/000011.jpg: no annotation file Annotations/{id}.xml',
        'JPEGImages/000050.jpg: no row in the table ImageSets/Main/{part:train|val|test}.txt',
    ]
    assert len(faults) == len(wanted)
    for text in wanted:
        assert sum(text in fault for fault in faults) == 1, f'{text}: not in {faults}'
    image.write_bytes(good[0])
    write(annotation, good[1])
    write(tn / 'Annotations/000010.xml', tn5000.voc('000010', ['0']))
    write(tn / 'Annotations/000011.xml', tn5000.voc('000011', ['1']))
    write(tn / 'ImageSets/Main/test.txt', '000010\n000011\n000050\n')
    report = convert('tn5000', tmp_path / 'raw', tmp_path / 'out')
    assert report.counts.images.total() == 7
    verify_dataset(report.folder)


def test_image_in_two_lists_is_named(tn: Path, tmp_path: Path) -> None:
    write(tn / 'ImageSets/Main/val.txt', '000004\n000007\n000010\n')
    (fault,) = faults_of('tn5000', tmp_path / 'raw', tmp_path / 'out')
    assert fault.startswith('JPEGImages/000010.jpg: rows of the table') and "['test', 'val']" in fault


def test_links_in_the_source_are_not_followed(tn: Path, tmp_path: Path) -> None:
    path = tn / 'JPEGImages/000001.jpg'
    shutil.move(path, tmp_path / 'outside.jpg')
    path.symlink_to(tmp_path / 'outside.jpg')
    faults = faults_of('tn5000', tmp_path / 'raw', tmp_path / 'out')
    assert any('a link, pipe or device, which is not read' in fault for fault in faults)


def test_counts_of_a_part_of_the_release_must_be_accepted(tn: Path, tmp_path: Path) -> None:
    with pytest.raises(DataFaultsError, match='6 images where the release has 5,000'):
        convert_dataset(DESCRIPTIONS['tn5000'], tmp_path / 'raw', tmp_path / 'out', Options())


def test_patients_of_an_unknown_class_are_all_named(tmp_path: Path) -> None:
    rows = fatty_liver.rows()
    for place in (1, 3):
        rows[place] = (rows[place][0], 2.0, *rows[place][2:])
    fatty_liver.save_records(tmp_path / 'raw' / fatty_liver.FILE, rows)
    first, second = faults_of('fatty_liver', tmp_path / 'raw', tmp_path / 'out')
    assert f"{fatty_liver.FILE}[1:2]: pathology: '2' fits none of 0, 1" in first
    assert f'{fatty_liver.FILE}[3:4]' in second


def test_unknown_class_and_damaged_clip_of_pocus_are_named(tmp_path: Path) -> None:
    source = build('pocus', tmp_path / 'raw').source
    data = source / 'covid19_ultrasound/data'
    save(data / 'pocus_images/convex/Unknown_1.png', speckle(1))
    (data / 'pocus_videos/convex/Cov_bad.mp4').write_bytes(b'cut short')
    save(data / 'pocus_images/convex/Cov_cut.png', speckle(2))
    whole = (data / 'pocus_images/convex/Cov_cut.png').read_bytes()
    (data / 'pocus_images/convex/Cov_cut.png').write_bytes(whole[: len(whole) // 2])
    cut, unknown, bad = faults_of('pocus', source, tmp_path / 'out')
    assert 'Cov_cut.png: damaged, or not an image' in cut
    assert "Unknown_1.png: pathology: 'Unknown_1' fits none of" in unknown
    assert 'Cov_bad.mp4: cannot be opened as a video' in bad


def test_unknown_view_and_patient_on_both_sides_of_butterfly(tmp_path: Path) -> None:
    top = tmp_path / 'raw' / 'butterfly_dataset'
    for number, name in enumerate(('training/2/ivc/a.png', 'test/26/ivc/a.png', 'training/3/liver/a.png')):
        save(top / name, speckle(number))
    (fault,) = faults_of('butterfly', tmp_path / 'raw', tmp_path / 'out')
    assert "training/3/liver/a.png: of class 'liver', which is none of" in fault
    shutil.move(top / 'training/3/liver', top / 'training/3/ivc')
    shutil.copytree(top / 'test/26', top / 'training/26')
    (fault,) = faults_of('butterfly', tmp_path / 'raw', tmp_path / 'out')
    assert fault == 'subject 26: in test and train of train.txt'


def test_nothing_is_written_before_terms_are_accepted(tmp_path: Path) -> None:
    source = build('butterfly', tmp_path / 'raw').source
    before = digests(tmp_path)
    with pytest.raises(TermsError, match=r'nothing was read or written.*--accept-terms'):
        convert_dataset(DESCRIPTIONS['butterfly'], source, tmp_path / 'out', Options(accept_counts=True))
    assert digests(tmp_path) == before and not (tmp_path / 'out').exists()


def test_command_shows_terms_first(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = build('butterfly', tmp_path / 'raw').source
    words = ('butterfly', source, tmp_path / 'out', '--accept-counts')
    assert run(*words) == EXIT_USAGE
    out, err = capsys.readouterr()
    assert 'for the MIT Grand Hack 2018 and for no other purpose' in out
    assert '--accept-terms' in err
    assert not (tmp_path / 'out').exists()
    assert run(*words, '--accept-terms') == 0
    out, _ = capsys.readouterr()
    assert out.index('no other purpose') < out.index('Butterfly: 22 images')
    manifest = json.loads((tmp_path / 'out/Butterfly' / MANIFEST).read_text(encoding='utf-8'))
    assert 'no other purpose' in manifest['terms_accepted']
    assert 'no other purpose' in (tmp_path / 'out/Butterfly/README.md').read_text(encoding='utf-8')


@pytest.mark.parametrize(
    ('answer', 'accepted'), [('accept\n', True), (' ACCEPT \n', True), ('yes\n', False), ('', False)]
)
def test_terms_are_accepted_by_an_answer(
    answer: str, accepted: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    spec = load_spec(DESCRIPTIONS['butterfly'])
    if accepted:
        accept_terms(spec, accepted=False, answers=io.StringIO(answer))
    else:
        with pytest.raises(TermsError):
            accept_terms(spec, accepted=False, answers=io.StringIO(answer))
    assert "Type 'accept'" in capsys.readouterr().out


def test_other_sets_ask_nothing() -> None:
    asking = [name for name, path in DESCRIPTIONS.items() if must_accept(load_spec(path))]
    assert asking == ['butterfly']


def test_report_says_that_the_licence_is_not_stated(
    tn: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as leaving:
        run_description(
            str(DESCRIPTIONS['tn5000']), [str(tn), str(tmp_path / 'out'), '--accept-counts', '--preview', '4']
        )
    assert leaving.value.code == 0
    out, _ = capsys.readouterr()
    assert 'TN5000: 6 images' in out and 'Licence: not stated by the release; ask its authors' in out
    assert (tmp_path / 'out/TN5000.preview.png').is_file()
    page = (tmp_path / 'out/TN5000/README.md').read_text(encoding='utf-8')
    assert 'Licence: not stated' in page and 'whether one is in several parts cannot be told' in page
    with pytest.raises(OutputError, match='exists already'):
        convert('tn5000', tn, tmp_path / 'out')


def changed_table(folder: Path) -> None:
    path = folder / 'annotations/images.csv'
    rows = list(csv.reader(io.StringIO(path.read_text(encoding='utf-8'))))
    place = rows[0].index('part')
    row = next(row for row in rows[1:] if row[place] == 'test')
    row[place] = 'train'
    text = io.StringIO()
    csv.writer(text, lineterminator='\n').writerows(rows)
    path.write_text(text.getvalue(), encoding='utf-8')


def test_files_that_changed_are_found(tmp_path: Path) -> None:
    source = build('fatty_liver', tmp_path / 'raw').source
    folder = convert('fatty_liver', source, tmp_path / 'out').folder
    kept = {name: (folder / name).read_bytes() for name in (MANIFEST, 'annotations/images.csv')}
    verify_dataset(folder)
    changed_table(folder)
    with pytest.raises(IntegrityError, match='its content changed'):
        verify_dataset(folder)
    # with a digest that fits, the lists still tell
    manifest = json.loads(kept[MANIFEST])
    manifest['files']['annotations/images.csv'] = digests(folder)['annotations/images.csv']
    (folder / MANIFEST).write_text(json.dumps(manifest), encoding='utf-8')
    with pytest.raises(IntegrityError, match=r'train\.txt: not what annotations/images\.csv says'):
        verify_dataset(folder)
    for name, content in kept.items():
        (folder / name).write_bytes(content)
    verify_dataset(folder)
    write(folder / 'annotations/classes.txt', 'NFLD\nNormal\n')
    manifest = json.loads(kept[MANIFEST])
    manifest['files']['annotations/classes.txt'] = digests(folder)['annotations/classes.txt']
    (folder / MANIFEST).write_text(json.dumps(manifest), encoding='utf-8')
    with pytest.raises(IntegrityError, match=r'classes\.txt: not the classes of'):
        verify_dataset(folder)


def test_stopped_conversion_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = build('fatty_liver', tmp_path / 'raw').source
    whole = convert('fatty_liver', source, tmp_path / 'whole')
    seen: list[int] = []

    def stop(done: int, total: int) -> None:
        seen.append(done)
        if done == 3:
            raise KeyboardInterrupt

    options = Options(accept_counts=True, progress=stop)
    with pytest.raises(KeyboardInterrupt):
        convert_dataset(DESCRIPTIONS['fatty_liver'], source, tmp_path / 'out', options)
    assert not (tmp_path / 'out/FattyLiver').exists()
    again: list[int] = []
    options = Options(accept_counts=True, progress=lambda done, total: again.append(done))
    report = convert_dataset(DESCRIPTIONS['fatty_liver'], source, tmp_path / 'out', options)
    assert again[0] >= 3, 'what was done was done again'
    assert digests(report.folder) == digests(whole.folder)
    assert [path.name for path in (tmp_path / 'out').iterdir()] == ['FattyLiver']
