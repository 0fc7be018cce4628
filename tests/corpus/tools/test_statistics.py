"""Counts of a corpus and their pages."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from PIL import Image

from tests.corpus.tools.tiny import HW, coco, image, square, write_dataset, write_json
from ultrasam.corpus.splits import SplitOptions, split_corpus
from ultrasam.corpus.statistics import AREA_EDGES, ASPECT_EDGES, count_corpus, sum_up
from ultrasam.corpus.statistics_pages import write_statistics
from ultrasam.corpus.statistics_plots import PLOTS
from ultrasam.errors import OutputError


@pytest.fixture
def root(tmp_path: Path) -> Path:
    value = coco({'a': [1, 2], 'b': [1], 'c': [1]})
    value['images'].append(image(9, 'd'))
    write_dataset(tmp_path, 'BUSI', value, coco({'t': [1, 2]}, first_image=50))
    write_json(
        tmp_path / 'BUSI/manifest.json',
        {'files': {}, 'title': 'A | title', 'licence': 'none', 'subject_known': True},
    )
    write_dataset(tmp_path, 'mine', coco({'x': [1]}))
    return tmp_path


def test_counts(root: Path) -> None:
    (busi, mine), _ = count_corpus(root)
    assert dict(busi.images) == {'unsplit': 5, 'test': 2}
    assert dict(busi.masks) == {'unsplit': 4, 'test': 2}
    assert dict(busi.subjects) == {'unsplit': 4, 'test': 1}
    assert busi.categories == {'kind1': 4, 'kind2': 2}
    assert busi.category_images == {'kind1': 4, 'kind2': 2}
    assert dict(busi.masks_per_image) == {0: 1, 1: 6}
    assert busi.sizes_wh == {HW[::-1]: 7}
    share = 81 / (HW[0] * HW[1])
    (place,) = [i for i, count in enumerate(busi.areas) if count]
    assert AREA_EDGES[place] <= share < AREA_EDGES[place + 1]
    assert busi.areas[place] == 6
    (place,) = [i for i, count in enumerate(busi.aspects) if count]
    assert ASPECT_EDGES[place] < 1 < ASPECT_EDGES[place + 1]
    total = sum_up([busi, mine])
    assert (total.images.total(), total.masks.total(), total.subjects.total()) == (8, 7, 6)
    assert total.categories['mine/kind1'] == 1


def test_parts_are_counted_once_they_are_there(root: Path) -> None:
    split_corpus(root, SplitOptions(train_percent=0.7))
    (busi, _), _ = count_corpus(root)
    assert set(busi.images) == {'train', 'val', 'test'}
    assert busi.images.total() == 7


def test_extreme_masks_are_in_the_outer_bins(tmp_path: Path) -> None:
    value = coco({'a': [1, 1]})
    value['annotations'][0].update(square(1), bbox=[0.0, 0.0, 1.0, 24.0], area=0.001)
    value['annotations'][1].update(area=HW[0] * HW[1])
    write_dataset(tmp_path, 'mine', value)
    (mine,), _ = count_corpus(tmp_path)
    assert (mine.areas[0], mine.areas[-1], mine.aspects[0]) == (1, 1, 1)


def test_pages(root: Path) -> None:
    folder = write_statistics(root, count_corpus(root)[0])
    values = json.loads((folder / 'statistics.json').read_text())
    assert values['all']['masks'] == {'unsplit': 5, 'test': 2}
    assert [one['dataset'] for one in values['datasets']] == ['BUSI', 'mine']
    page = (folder / 'README.md').read_text()
    assert '| [BUSI](<cards/BUSI.md>) | breast | 7 | 0 | 0 | 2 | 6 | 5 | 2 |' in page
    for name in re.findall(r'\]\(<?([^)>]+)>?\)', page):
        assert (folder / name).is_file()
    for name in PLOTS:
        with Image.open(folder / f'{name}.png') as picture:
            colours = picture.convert('RGB').getcolors(1 << 20)
        assert colours is not None
        assert len(colours) > 20, f'{name}.png is blank'
    card = (folder / 'cards/BUSI.md').read_text()
    assert 'Title: A | title' in card
    assert '| kind2 | 2 | 2 |' in card
    assert '- Images without a mask: 1' in card
    assert 'patients or recordings' in card


def test_pages_are_not_replaced_by_themselves(root: Path) -> None:
    counted = count_corpus(root)[0]
    write_statistics(root, counted)
    with pytest.raises(OutputError, match='overwrite'):
        write_statistics(root, counted)
    write_statistics(root, counted, overwrite=True)
    assert 'statistics' not in {one.dataset for one in count_corpus(root)[0]}
