"""EchoNet-Pediatric: a frame number outside the video is refused, never taken for another frame."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.corpus.test_sweep import DESCRIPTIONS, build
from ultrasam.corpus.errors import RawFileError
from ultrasam.corpus.loading import load_spec
from ultrasam.corpus.pipeline import read_frames
from ultrasam.corpus.plan import make_plan
from ultrasam.corpus.tree import open_tree

SPEC = load_spec(DESCRIPTIONS['echonet_pediatric'])


@pytest.mark.parametrize('number', ['0', '7'])
def test_frames_that_there_are_not(tmp_path: Path, number: str) -> None:
    tree = build('echonet_pediatric', tmp_path / 'raw')
    (table,) = tree.source.glob('**/A4C/VolumeTracings.csv')
    text = table.read_text(encoding='utf-8')
    assert '.3,6\n' in text
    table.write_text(text.replace('.3,6\n', f'.3,{number}\n'), encoding='utf-8')
    plan = make_plan(SPEC, open_tree(tree.source, tmp_path / 'scratch', SPEC.archives))
    (item,) = (item for item in plan.items if 'CR32a9f2a' in item.key)
    with pytest.raises(RawFileError, match=r'CR32a9f2a-CR32a9f47-000051\.avi'):
        list(read_frames(SPEC, item))
