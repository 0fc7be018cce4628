"""A resumed run finds its place in the data without reading what it skips."""

from __future__ import annotations

import json
from itertools import islice

import numpy as np
import pytest
from mmdet.datasets.samplers import AspectRatioBatchSampler

from ultrasam.openmmlab.datasets import UltraSamCocoDataset
from ultrasam.openmmlab.datasets.replay import ReplayableBatchSampler, ReplayableSampler


@pytest.fixture
def dataset(tmp_path):
    sizes = np.random.default_rng(0).integers(5, 9, (23, 2)).tolist()
    content = dict(
        images=[
            dict(id=i, file_name=f'{i}.png', height=height, width=width)
            for i, (height, width) in enumerate(sizes)
        ],
        annotations=[
            dict(
                id=i,
                image_id=i,
                category_id=1,
                iscrowd=0,
                area=9,
                bbox=[1, 1, 3, 3],
                segmentation=[[1, 1, 4, 1, 4, 4, 1, 4]],
            )
            for i in range(23)
        ],
        categories=[dict(id=1, name='object')],
    )
    (tmp_path / 'annotations.json').write_text(json.dumps(content))
    return UltraSamCocoDataset(
        data_root=str(tmp_path),
        ann_file='annotations.json',
        data_prefix=dict(img=''),
        pipeline=[],
        check_images=False,
        indices=20,
    )


def test_resuming_parses_no_skipped_record(dataset, monkeypatch):
    straight = list(islice(AspectRatioBatchSampler(ReplayableSampler(dataset, seed=1), 3), 40))
    parsed = []
    monkeypatch.setattr(dataset, 'get_data_info', parsed.append)
    resumed = ReplayableBatchSampler(ReplayableSampler(dataset, seed=1), 3)
    resumed.first_batch = 25
    assert list(islice(resumed, 15)) == straight[25:]
    assert not parsed


@pytest.mark.parametrize('drop_last', [False, True])
@pytest.mark.parametrize('samples', range(7))
def test_batches_of_a_sampler_that_ends_are_those_of_mmdet(dataset, samples, drop_last):
    sampler = ReplayableSampler(dataset, seed=1)
    draws = list(islice(sampler, samples))
    sampler.__class__ = type('Ending', (ReplayableSampler,), {'__iter__': lambda _: iter(draws)})
    ours = ReplayableBatchSampler(sampler, 2, drop_last)
    assert list(ours) == list(AspectRatioBatchSampler(sampler, 2, drop_last))
