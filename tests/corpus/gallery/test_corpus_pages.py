"""The gallery of a corpus: what it holds, that it is kept up to date, and what a browser makes of it."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.corpus.gallery.chromium import dump, needs_browser, screenshot, text_of, tiles_of
from tests.corpus.gallery.conftest import CLOSING, SCRIPT
from tests.corpus.tools.tiny import HW, square
from ultrasam.corpus.gallery import CorpusGalleryReport, write_corpus_gallery
from ultrasam.corpus.gallery.corpus_pages import AREA_CLASSES, SIDE_CLASSES, area_class, evenly, side_class
from ultrasam.corpus.gallery.folder import folder_name, read_script
from ultrasam.errors import ConfigError, InputError

ODD = 'odd & sets #1'


@pytest.fixture(scope='module')
def made(corpus: Path, tmp_path_factory: pytest.TempPathFactory) -> CorpusGalleryReport:
    return write_corpus_gallery(corpus, tmp_path_factory.mktemp('gallery') / 'out')


def records(report: CorpusGalleryReport, name: str) -> list[dict]:
    return read_script(report.path.parent / 'data' / f'{folder_name(name)}.js')


def thumbs(folder: Path) -> dict[str, int]:
    return {
        path.relative_to(folder).as_posix(): path.stat().st_mtime_ns for path in folder.glob('thumbs/*/*.jpg')
    }


def test_report(made: CorpusGalleryReport) -> None:
    assert made.shown == made.images == {'BUSI': 11, ODD: 2}
    assert made.faults == {'masks whose run lengths do not fill their image': 1}
    assert made.examples == {'masks whose run lengths do not fill their image': f'{ODD}/a "b" #2?.png'}
    assert [text.split(':')[0] for text in made.skipped] == ['notes']
    assert made.removed == 0


def test_records(made: CorpusGalleryReport) -> None:
    busi = records(made, 'BUSI')
    assert [record['part'] for record in busi] == ['train'] * 6 + ['val'] * 2 + ['test'] * 3
    assert busi[4]['subject'] == CLOSING
    assert busi[0]['objects'] == [[0, 4, 0]]
    assert busi[1]['objects'] == [[0, 81, 4]]
    assert (busi[-1]['source'], busi[-1]['frame'], busi[-1]['objects']) == ('scan.dcm', '7', [])
    assert {record['part'] for record in records(made, ODD)} == {'unsplit'}
    index = read_script(made.path.parent / 'data/index.js')
    first, second = index['datasets']
    assert (first['licence'], first['organs'], first['shown']) == (
        'CC BY 4.0',
        ['breast'],
        {'train': 6, 'val': 2, 'test': 3},
    )
    assert first['categories'] == [SCRIPT, 'kind2']
    assert second['licence'] == 'not stated'
    assert second['address'].endswith('data/odd%20%26%20sets%20%231/images/')


def test_thumbnails_show_their_images(made: CorpusGalleryReport, corpus: Path) -> None:
    record = records(made, 'BUSI')[0]
    path = made.path.parent / 'thumbs' / folder_name('BUSI') / f'{record["thumb"]}.jpg'
    with Image.open(path) as thumbnail, Image.open(corpus / 'BUSI/images' / record['file']) as original:
        assert thumbnail.size == original.size == HW[::-1]
        difference = np.asarray(thumbnail.convert('L'), int) - np.asarray(original, int)
    assert np.abs(difference).mean() < 12


def test_second_run_keeps_what_did_not_change(corpus: Path, tmp_path: Path) -> None:
    root, out = tmp_path / 'data', tmp_path / 'out'
    shutil.copytree(corpus, root)
    write_corpus_gallery(root, out)
    before = thumbs(out)
    assert len(before) == 13
    changed = root / 'BUSI/images/00000.png'
    Image.fromarray(np.full(HW, 200, np.uint8)).save(changed)
    (root / 'BUSI/images/00001.png').unlink()
    damaged = out / next(iter(before))
    size = damaged.stat().st_size
    damaged.write_bytes(damaged.read_bytes()[: size // 2])
    report = write_corpus_gallery(root, out, jobs=2)
    after = thumbs(out)
    assert report.faults['missing images'] == 1
    assert report.removed == 2
    assert len(after) == 12
    kept = {name for name in before if after.get(name) == before[name]}
    assert len(kept) in (10, 11)
    if damaged.exists():
        assert damaged.stat().st_size == size
    assert not list(out.rglob('.*.jpg*'))


def test_images_that_cannot_be_shown_are_told(corpus: Path, tmp_path: Path) -> None:
    root = tmp_path / 'data'
    shutil.copytree(corpus, root)
    images = root / 'BUSI/images'
    (images / '00000.png').write_bytes(b'\x89PNG\r\n\x1a\nno more')
    Image.new('L', (5, 5)).save(images / '00001.png')
    (images / '00002.png').unlink()
    os.symlink('/etc/hostname', images / '00002.png')
    report = write_corpus_gallery(root, tmp_path / 'out', datasets=['BUSI'])
    assert report.faults == {
        'images that cannot be read': 1,
        'images of another size than their annotations state': 1,
        'links that leave their data set': 1,
    }
    assert [bool(record.get('fault')) for record in records(report, 'BUSI')[:4]] == [True, True, True, False]
    assert report.shown == {'BUSI': 11}


def test_self_contained_copies(corpus: Path, tmp_path: Path) -> None:
    report = write_corpus_gallery(corpus, tmp_path / 'out', datasets=[ODD], with_views=True)
    assert len(list(tmp_path.glob('out/thumbs/*/*.view.jpg'))) == 2
    assert report.shown == {ODD: 2}


def test_fewer_images_are_spread_over_the_parts(corpus: Path, tmp_path: Path) -> None:
    report = write_corpus_gallery(corpus, tmp_path / 'out', max_per_dataset=4)
    assert report.shown == {'BUSI': 4, ODD: 2}
    assert [record['part'] for record in records(report, 'BUSI')] == ['train', 'train', 'val', 'test']
    assert report.images['BUSI'] == 11


def test_wrong_use_is_refused(corpus: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match='no data set BUSY in it; there are BUSI'):
        write_corpus_gallery(corpus, tmp_path / 'out', datasets=['BUSY'])
    with pytest.raises(ConfigError, match='at least one process'):
        write_corpus_gallery(corpus, tmp_path / 'out', jobs=0)
    with pytest.raises(ConfigError, match='-1 images'):
        write_corpus_gallery(corpus, tmp_path / 'out', max_per_dataset=-1)
    assert not (tmp_path / 'out').exists()


def test_classes() -> None:
    assert evenly(10, 3) == [0, 4, 9]
    assert evenly(2, 500) == [0, 1]
    assert [side_class(width, 100) for width in (255, 256, 1023, 1024)] == [0, 1, 3, 4]
    assert [area_class(area, 1000, 1000) for area in (8, 900, 1000, 10_000, 100_000)] == [0, 1, 2, 3, 4]
    assert (len(SIDE_CLASSES), len(AREA_CLASSES)) == (5, 5)
    assert square(9)['area'] == 81


@needs_browser
def test_filters_in_a_browser(made: CorpusGalleryReport) -> None:
    document = dump(made.path, 'dataset=BUSI&split=test')
    assert text_of(document, 'status') == '3 of 11 images'
    assert tiles_of(document) == ['00040.png', '00041.png', '00049.png']
    assert text_of(document, 'licence') == 'Licence of BUSI: CC BY 4.0'
    # rim, line and inside of two masks
    assert document.count('<path') == 6
    document = dump(made.path, 'objects=no+object&masks=off')
    assert (text_of(document, 'status'), tiles_of(document)) == ('1 of 13 images', ['00049.png'])
    assert 'class="without-masks"' in document


@needs_browser
def test_hostile_texts_stay_texts(made: CorpusGalleryReport) -> None:
    document = dump(made.path, 'show=24&image=BUSI/00004.png&page=9')
    assert text_of(document, 'status') == '13 of 13 images'
    assert '<title>Corpus gallery</title>' in document
    assert document.count('<script') == 4 + 2 + 2
    assert '&lt;script&gt;document.title' in document
    assert text_of(document, 'view-title') == '00004.png'
    assert '<img src="x"' not in document
    assert 'href="javascript' not in document
    assert text_of(document, 'trouble') == ''
    assert 'a "b" #2?.png' in tiles_of(document)


@needs_browser
def test_screenshots_show_images(made: CorpusGalleryReport, tmp_path: Path) -> None:
    target = tmp_path / 'shot.png'
    screenshot(made.path, target, 'masks=off', size_wh=(420, 800))
    with Image.open(target) as shot:
        assert shot.size == (420, 800)
        pixels = np.asarray(shot.convert('L'))
    # the page is pale or dark as a whole; noise of the thumbnails is all between
    assert ((pixels > 60) & (pixels < 200)).mean() > 0.1
