"""The scripts of the benchmarks, importable as they are when one of them runs."""

from __future__ import annotations

import pytest

from tests.golden import ROOT

FOLDER = ROOT / 'benchmarks'


@pytest.fixture(autouse=True)
def _scripts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(FOLDER))
