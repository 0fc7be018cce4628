"""EchoCP: chambers are told apart by their values; what is no label map is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.corpus.raw_trees.common import save_volume, speckle
from tests.corpus.test_sweep import DESCRIPTIONS, build
from ultrasam.corpus.errors import RawFileError
from ultrasam.corpus.loading import load_spec
from ultrasam.corpus.pipeline import read_frames
from ultrasam.corpus.plan import make_plan
from ultrasam.corpus.tree import open_tree

SPEC = load_spec(DESCRIPTIONS['echocp'])


@pytest.mark.parametrize(
    ('labels', 'reason'),
    [
        (np.stack([speckle(k, (64, 72)) for k in range(4)]), 'values where at most 8'),
        (np.zeros((3, 64, 72), np.uint8), 'its image'),
    ],
)
def test_labels_that_fit_no_video_are_refused(tmp_path: Path, labels: np.ndarray, reason: str) -> None:
    tree = build('echocp', tmp_path / 'raw')
    save_volume(tree.source / 'EchoCP_dataset' / '001_r_label.nii.gz', labels)
    plan = make_plan(SPEC, open_tree(tree.source, tmp_path / 'scratch', SPEC.archives))
    with pytest.raises(RawFileError, match=f'001_r_label.nii.gz.*{reason}'):
        list(read_frames(SPEC, plan.items[0]))
