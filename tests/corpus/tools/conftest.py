"""A few converted data sets, made once."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tests.corpus.raw_trees import common
from tests.corpus.test_sweep import DESCRIPTIONS
from ultrasam.corpus.engine import Options, convert_dataset

# parts of all kinds: none, test, all test, train and val and test; one and many categories
FEW = ('abdomenus', 'bus_bra', 'busi', 'gist514_db', 'kidneyus', 'mmotu_2d', 'mmotu_3d', 'tn3k')


def convert(names: tuple[str, ...], raw: Path, out: Path) -> Path:
    """Convert the raw trees of data sets; no two of them draw the same picture."""
    for number, name in enumerate(names, start=1):
        module = importlib.import_module(f'tests.corpus.raw_trees.{name}')
        with pytest.MonkeyPatch.context() as patch:
            for word in ('speckle', 'smooth'):
                if hasattr(module, word):
                    patch.setattr(module, word, _brighter(getattr(common, word), number))
            (raw / name).mkdir(parents=True)
            tree = module.build(raw / name)
        convert_dataset(DESCRIPTIONS[name], tree.source, out, Options(accept_counts=True))
    return out


def _brighter(draw: Callable[..., np.ndarray], number: int) -> Callable[..., np.ndarray]:
    return lambda *args, **options: draw(*args, **options) + np.uint8(number)


@pytest.fixture(scope='session')
def converted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Root of converted data sets; copy it before anything is written."""
    folder = tmp_path_factory.mktemp('converted')
    return convert(FEW, folder / 'raw', folder / 'data')
