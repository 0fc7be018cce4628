"""FASS: what stands in the pickled masks is never run, and unknown structures are refused."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.corpus.raw_trees import fass
from tests.corpus.raw_trees.common import disc
from ultrasam.corpus.engine import Options, convert_dataset
from ultrasam.corpus.errors import DataFaultsError

DESCRIPTION = Path(__file__).resolve().parents[3] / 'datasets/us43d/fass.py'


class Payload:
    def __init__(self, canary: Path) -> None:
        self.canary = canary

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.canary),)


def content(tmp_path: Path, kind: str) -> Any:
    good = disc(20, 20, 8).astype(np.uint8)
    return {
        'code': {'structures': {'liver': good}, 'note': Payload(tmp_path / 'canary')},
        'name': {'structures': {'kidney': good}},
        'value': {'structures': {'liver': good * 7}},
        'channels': {'structures': {'liver': np.dstack([good, good])}},
        'size': {'structures': {'liver': good[:40]}},
        'no dict': [1, 2],
    }[kind]


@pytest.mark.parametrize('kind', ['code', 'name', 'value', 'channels', 'size', 'no dict'])
def test_other_content_is_a_fault_of_its_image(kind: str, tmp_path: Path) -> None:
    fass.build(tmp_path)
    path = tmp_path / 'data' / fass.TITLE / 'ARRAY_FORMAT' / 'P02_IMG1.npy'
    array = np.empty((), object)
    array[()] = content(tmp_path, kind)
    np.save(path, array, allow_pickle=True)
    with pytest.raises(DataFaultsError) as caught:
        convert_dataset(DESCRIPTION, tmp_path / 'data', tmp_path / 'out', Options(accept_counts=True))
    assert [fault.file for fault in caught.value.faults] == ['IMAGES/P02_IMG1.png']
    assert not (tmp_path / 'canary').exists()
