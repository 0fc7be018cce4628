"""S1: a label that was resampled is refused, since the border of a malignant tumour would be benign."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.corpus.raw_trees import s1
from tests.corpus.raw_trees.common import save
from ultrasam.corpus.engine import Options, convert_dataset
from ultrasam.corpus.errors import DataFaultsError

DESCRIPTION = Path(__file__).resolve().parents[3] / 'datasets/us43d/s1.py'


def test_a_resampled_label_is_refused(tmp_path: Path) -> None:
    tree = s1.build(tmp_path)
    ramp = np.tile(np.linspace(0, 255, 80).astype(np.uint8), (64, 1))
    save(tmp_path / 'Data/TrainingDataSet/Expanded-3-channel-Labels/1.png', np.dstack([ramp] * 3))
    with pytest.raises(DataFaultsError, match=r'Labels/1\.png: .* have values that Values does not name'):
        convert_dataset(DESCRIPTION, tree.source, tmp_path / 'out', Options())
