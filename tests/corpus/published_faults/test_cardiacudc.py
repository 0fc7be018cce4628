"""CardiacUDC: labels that are missing, or of a code that is not described, are reported, not guessed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.corpus.raw_trees.common import Tree, save_volume, speckle
from tests.corpus.test_sweep import DESCRIPTIONS, build
from ultrasam.corpus.errors import RawFileError
from ultrasam.corpus.loading import load_spec
from ultrasam.corpus.pipeline import read_frames
from ultrasam.corpus.plan import make_plan
from ultrasam.corpus.tree import open_tree

SPEC = load_spec(DESCRIPTIONS['cardiacudc'])


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """The release, unpacked."""
    tree: Tree = build('cardiacudc', tmp_path / 'raw')
    assert tree.source.is_dir()
    return tmp_path / 'raw' / 'inner' / 'cardiacUDC_dataset'


def test_a_video_of_another_site_without_labels_is_a_fault(home: Path, tmp_path: Path) -> None:
    (home / 'Site_G_20' / 'patient-1-4_label.nii.gz').unlink()
    plan = make_plan(SPEC, open_tree(home, tmp_path / 'scratch', SPEC.archives))
    assert [fault.file for fault in plan.faults] == ['Site_G_20/patient-1-4_image.nii.gz']
    assert len(plan.items) == 3


def test_labels_of_another_code_are_refused(home: Path, tmp_path: Path) -> None:
    labels = np.zeros((4, 72, 80), np.uint8)
    labels[:, 10:40, 10:40] = 50
    save_volume(home / 'label_all_frame' / 'normal-1-4_label.nii.gz', labels)
    plan = make_plan(SPEC, open_tree(home, tmp_path / 'scratch', SPEC.archives))
    (item,) = (item for item in plan.items if item.groups['patient'] == 'normal-1')
    with pytest.raises(RawFileError, match=r'normal-1-4_label.nii.gz.*50'):
        list(read_frames(SPEC, item))


def test_labels_that_appear_for_the_site_without_them_are_not_ignored(home: Path, tmp_path: Path) -> None:
    save_volume(home / 'Site_R_73' / 'patient-1-4_label.nii.gz', speckle(1)[None])
    plan = make_plan(SPEC, open_tree(home, tmp_path / 'scratch', SPEC.archives))
    assert [fault.file for fault in plan.faults] == ['Site_R_73/patient-1-4_label.nii.gz']
