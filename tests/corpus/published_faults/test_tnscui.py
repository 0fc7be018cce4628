"""TN-SCUI 2020 as the published corpus packed it anew: JPEG images, masks of 0 and 1."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from tests.corpus.raw_trees.common import disc, save, smooth
from tests.corpus.test_sweep import DESCRIPTIONS
from ultrasam.corpus.loading import load_spec
from ultrasam.corpus.plan import make_plan
from ultrasam.corpus.reading import read_frames
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
    found = {frame.subject: frame.instances for frame in frames if frame is not None}
    assert list(found) == list(nodules)
    for name, mask in nodules.items():
        assert [np.array_equal(one.mask, mask) for one in found[name]] == [True]
