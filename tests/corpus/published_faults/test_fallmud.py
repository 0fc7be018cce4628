"""FALLMUD: the published data have no fascicles; masks that do not fit are refused, not resized."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.corpus.raw_trees import fallmud
from tests.corpus.raw_trees.common import box, save
from ultrasam.corpus.engine import Options, convert_dataset
from ultrasam.corpus.errors import DataFaultsError

DESCRIPTION = Path(__file__).resolve().parents[3] / 'datasets/us43d/fallmud.py'


def test_published_data_have_aponeuroses_alone(tmp_path: Path) -> None:
    tree = fallmud.build(tmp_path)
    report = convert_dataset(DESCRIPTION, tree.source, tmp_path / 'out', Options(published=True))
    content = json.loads((report.folder / 'annotations/FALLMUD__coco.json').read_text(encoding='utf-8'))
    assert [one['name'] for one in content['categories']] == ['aponeurosis', 'fascicle']
    assert [one['category_id'] for one in content['annotations']] == [1, 1] * len(fallmud.IMAGES) + [1]


@pytest.mark.parametrize('lab', ['NeilCronin', 'RyanCunningham'])
def test_a_mask_of_another_size_is_refused(lab: str, tmp_path: Path) -> None:
    fallmud.build(tmp_path)
    name, size = ('img_00014', (96, 64)) if lab == 'NeilCronin' else ('3', (48, 32))
    save(tmp_path / 'unpacked/FALLMUD' / lab / f'aponeurosis_masks/{name}.jpg', box(10, 4, 15, 20, size))
    with pytest.raises(DataFaultsError, match=f'{size[0]} x {size[1]} pixels'):
        convert_dataset(DESCRIPTION, tmp_path / 'unpacked', tmp_path / 'out', Options())
