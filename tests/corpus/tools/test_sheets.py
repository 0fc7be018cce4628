"""Contact sheets of a corpus."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.corpus.tools.tiny import HW, annotation, coco, image, square, write_dataset, write_json
from ultrasam.cli.main import main
from ultrasam.corpus.sheets import evenly, write_corpus_sheets
from ultrasam.errors import ConfigError, InputError, OutputError
from ultrasam.io.sheets import COLOURS, draw_outlines, tile_sheet, write_caption, write_sheets


@pytest.fixture(scope='module')
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """BUSI with 6 images in train, 2 in val and 3 in test; `odd & sets #1` with 2 images, not split."""
    root = tmp_path_factory.mktemp('corpus') / 'data'
    train = coco({f'p{number}': [1] for number in range(4)} | {'p4': [1, 2]})
    train['annotations'][0].update(square(2))
    val = coco({'v': [1, 1]}, first_image=20)
    test = coco({'t': [1, 2]}, first_image=40)
    test['images'].append(image(49, 't', source_file='scan.dcm', frame=7))
    val['categories'] = test['categories'] = train['categories']
    everything = {**train, 'images': [*train['images'], *val['images']], 'annotations': train['annotations']}
    write_dataset(root, 'BUSI', everything, test)
    for part, content in (('train', train), ('val', val)):
        write_json(root / f'BUSI/annotations/{part}.BUSI__coco.json', content)
    odd = coco({'x': [1], 'y': []}, first_image=0)
    odd['images'].append({**image(1, 'y'), 'file_name': 'a "b" #2?.png'})
    odd['annotations'].append({**annotation(9, 1), 'segmentation': {'size': list(HW), 'counts': '1'}})
    write_dataset(root, 'odd & sets #1', odd)
    (root / 'notes').mkdir()
    return root


def test_a_page_of_each_dataset(corpus: Path, tmp_path: Path) -> None:
    done = write_corpus_sheets(corpus, tmp_path / 'out')
    assert done.images == {'BUSI': 11, 'odd & sets #1': 2} == done.shown
    assert sorted(path.name for path in (tmp_path / 'out').iterdir()) == [
        '00_BUSI_001.jpg',
        '01_odd___sets__1_001.jpg',
    ]
    assert len(done.faults) == 1 and 'a "b" #2?.png' in done.faults[0], 'its mask cannot be decoded'
    assert len(done.skipped) == 1 and 'notes' in done.skipped[0]
    with Image.open(done.pages['BUSI'][0]) as page:
        assert page.size == (6 * 240, 2 * 240)


def test_fewer_images_lie_evenly_over_all_parts(corpus: Path, tmp_path: Path) -> None:
    done = write_corpus_sheets(corpus, tmp_path / 'out', datasets=['BUSI'], most=4)
    assert done.shown == {'BUSI': 4}
    assert evenly(11, 4) == [0, 3, 7, 10]


def test_an_image_that_cannot_be_read_costs_itself(corpus: Path, tmp_path: Path) -> None:
    root = tmp_path / 'data'
    write_dataset(root, 'ONE', coco({'a': [1, 1]}))
    (root / 'ONE/images/00000.png').write_bytes(b'text')
    done = write_corpus_sheets(root, tmp_path / 'out')
    assert len(done.faults) == 1 and '00000.png' in done.faults[0]
    assert done.shown == {'ONE': 2}


def test_wrong_use(corpus: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match='no dataset NONE in it; there are BUSI'):
        write_corpus_sheets(corpus, tmp_path / 'out', datasets=['NONE'])
    with pytest.raises(ConfigError, match='-1 images'):
        write_corpus_sheets(corpus, tmp_path / 'out', most=-1)
    write_corpus_sheets(corpus, tmp_path / 'out', most=1)
    with pytest.raises(OutputError, match='exists'):
        write_corpus_sheets(corpus, tmp_path / 'out', most=1)


def test_command(corpus: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(['browse', 'corpus', str(corpus), '--out', str(tmp_path / 'out'), '--most', '3']) == 0
    text = capsys.readouterr().out
    assert 'BUSI: 3 of 11 images, from 00_BUSI_001.jpg' in text
    assert 'not drawn: ' in text and 'skipped: ' in text


def test_the_outline_of_a_small_object_stays() -> None:
    picture = np.zeros((2000, 3000, 3), np.uint8)
    mask = np.zeros(picture.shape[:2], np.uint8)
    mask[1000:1003, 1500:1503] = 1
    tile = draw_outlines(picture, [mask], [COLOURS[0]], 240)
    assert tile.shape == (160, 240, 3)
    assert (tile == COLOURS[0]).all(2).sum() >= 4


def test_pages_are_filled_in_order(tmp_path: Path) -> None:
    tiles = [np.full((20, 30, 3), 10 * number, np.uint8) for number in range(7)]
    pages = write_sheets(tmp_path, 'p', iter(tiles), columns=2, rows=2, tile=40)
    assert [page.name for page in pages] == ['p_001.jpg', 'p_002.jpg']
    with Image.open(pages[1]) as page:
        pixels = np.asarray(page.convert('L')).astype(int)
    assert pixels.shape == (80, 80)
    assert abs(pixels[20, 20] - 40) < 4 and abs(pixels[60, 20] - 60) < 4 and pixels[60, 60] < 4
    assert write_sheets(tmp_path, 'none', []) == []
    assert tile_sheet(tiles[:1], columns=1, tile=40).shape == (40, 40, 3)


@pytest.mark.parametrize('text', ['', 'short.png', 'x' * 500, 'Knötchen\n<b>'])
def test_captions_fit(text: str) -> None:
    tile = np.zeros((50, 100, 3), np.uint8)
    captioned = write_caption(tile, text)
    assert captioned.shape == (64, 100, 3)
    assert bool(captioned[50:].any()) is bool(text)
