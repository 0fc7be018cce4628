"""Plans of every description, on the release of its layout that the sweep converts."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.corpus.test_sweep import DESCRIPTIONS, build
from ultrasam.corpus.preview import preview


@pytest.mark.slow
@pytest.mark.parametrize('name', DESCRIPTIONS)
def test_every_description_can_be_planned(name: str, tmp_path: Path) -> None:
    source = build(name, tmp_path / 'raw').source
    files = sorted((tmp_path / 'raw').rglob('*'))
    shown = preview(DESCRIPTIONS[name], source, tmp_path / 'sheet.png', samples=2)
    assert files == sorted((tmp_path / 'raw').rglob('*')), 'the release stays as it is'
    assert shown.faults == ()
    assert shown.sheet == tmp_path / 'sheet.png'
    assert 1 <= len(shown.samples) <= 2
    assert any('not taken' not in line for line in shown.samples)
