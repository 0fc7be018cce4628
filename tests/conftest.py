"""What every test starts from."""

from __future__ import annotations

import pytest
from mmengine.registry import init_default_scope


@pytest.fixture(autouse=True)
def scope_of_mmdet() -> None:
    """Types are looked up as in a run, whatever an earlier test left behind."""
    init_default_scope('mmdet')
