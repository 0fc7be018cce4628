"""TN-SCUI 2020 as the published corpus packed it anew: JPEG images, masks of 0 and 1."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from tests.corpus.raw_trees.common import disc, save, smooth
from tests.corpus.test_sweep import DESCRIPTIONS, build
from ultrasam.corpus.engine import Options, convert_dataset
from ultrasam.corpus.loading import load_spec
from ultrasam.corpus.pipeline import FinishedFrame, read_frames
from ultrasam.corpus.plan import make_plan
from ultrasam.corpus.splits import split_corpus
from ultrasam.corpus.tree import open_tree

SPEC = load_spec(DESCRIPTIONS['tnscui'])


def test_masks_of_0_and_1_give_objects_too(tmp_path: Path) -> None:
    nodules = {'1': disc(30, 30, 10), '2': disc(40, 50, 12)}
    for seed, (name, mask) in enumerate(nodules.items()):
        save(tmp_path / 'raw/tnscui/JPEGImages' / f'{name}.jpg', smooth(seed))
        save(tmp_path / 'raw/tnscui/SegmentationClass' / f'{name}.png', mask.astype(np.uint8))
    plan = make_plan(SPEC, open_tree(tmp_path / 'raw', tmp_path / 'scratch', SPEC.archives))
    assert plan.faults == ()
    frames = [frame for item in plan.items for frame in read_frames(SPEC, item)]
    found = {frame.subject: frame.instances for frame in frames if isinstance(frame, FinishedFrame)}
    assert list(found) == list(nodules)
    assert [frame.label for frame in frames if isinstance(frame, FinishedFrame)] == ['', '']
    assert dict(plan.left_out) == {'no table train.csv, so that what it tells is not known': 1}
    for name, mask in nodules.items():
        assert [np.array_equal(one.mask, mask) for one in found[name]] == [True]


def test_images_of_unknown_class_are_in_no_list(tmp_path: Path) -> None:
    tree = build('tnscui', tmp_path / 'raw')
    table = tmp_path / 'raw/TNSCUI2020_train/train.csv'
    lines = table.read_text(encoding='utf-8').splitlines()
    table.write_text('\n'.join(lines[:-1]) + '\n', encoding='utf-8')
    report = convert_dataset(DESCRIPTIONS['tnscui'], tree.source, tmp_path / 'a', Options(accept_counts=True))
    assert report.counts.images.total() == 4
    split_corpus(report.folder)
    lists = ('annotations/train.txt', 'annotations/val_classification.txt')
    lines = [line for name in lists for line in (report.folder / name).read_text().splitlines()]
    assert sorted(lines) == [f'images/TNSCUI__0000{k}.png {k % 2}' for k in range(3)]
    table.unlink()
    report = convert_dataset(DESCRIPTIONS['tnscui'], tree.source, tmp_path / 'b', Options(accept_counts=True))
    assert report.counts.images.total() == 4
    split_corpus(report.folder)
    assert not list((report.folder / 'annotations').glob('*.txt'))
