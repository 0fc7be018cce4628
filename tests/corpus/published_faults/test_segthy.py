"""SegThy: intensities beyond 8 bits are refused; they must not wrap round."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.corpus.raw_trees.common import save_volume
from tests.corpus.test_sweep import DESCRIPTIONS, build
from ultrasam.corpus.errors import RawFileError
from ultrasam.corpus.loading import load_spec
from ultrasam.corpus.pipeline import read_frames
from ultrasam.corpus.plan import make_plan
from ultrasam.corpus.tree import open_tree

SPEC = load_spec(DESCRIPTIONS['segthy'])


def test_intensities_beyond_8_bits(tmp_path: Path) -> None:
    tree = build('segthy', tmp_path / 'raw')
    (path,) = tree.source.glob('**/ground_truth_data/US/001_P1_1_left_US.nii')
    save_volume(path, np.full((3, 64, 72), 256, np.int16))
    plan = make_plan(SPEC, open_tree(tree.source, tmp_path / 'scratch', SPEC.archives))
    with pytest.raises(RawFileError, match=r'001_P1_1_left_US\.nii.*256'):
        list(read_frames(SPEC, plan.items[0]))
