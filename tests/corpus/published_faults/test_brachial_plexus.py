"""Brachial plexus: a video with fewer frames than masks is named, not converted up to where it ends."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.corpus.raw_trees import brachial_plexus
from tests.corpus.raw_trees.common import disc, save
from ultrasam.corpus.engine import Options, convert_dataset
from ultrasam.corpus.errors import DataFaultsError

DESCRIPTION = Path(__file__).resolve().parents[3] / 'datasets/us43d/brachial_plexus.py'


def test_a_mask_beyond_the_end_of_its_video_is_a_fault(tmp_path: Path) -> None:
    tree = brachial_plexus.build(tmp_path)
    masks = tmp_path / 'brachial_plexus/data/eSaote/ac_masks/1032'
    save(masks / '1032_040.jpg', disc(20, 20, 8, brachial_plexus.SIZE))
    with pytest.raises(DataFaultsError, match=r'videos/1032\.mp4: frame 40 is annotated, but there are 6'):
        convert_dataset(DESCRIPTION, tree.source, tmp_path / 'out', Options())
    assert not (tmp_path / 'out' / 'brachial_plexus').exists()
