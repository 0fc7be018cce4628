"""UPBD: a label that is not described, or a shape that is no polygon, is refused with the name of its file."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.corpus.test_sweep import DESCRIPTIONS, build
from ultrasam.corpus.errors import RawFileError
from ultrasam.corpus.loading import load_spec
from ultrasam.corpus.pipeline import read_frames
from ultrasam.corpus.plan import make_plan
from ultrasam.corpus.tree import open_tree

SPEC = load_spec(DESCRIPTIONS['upbd'])


@pytest.mark.parametrize(('known', 'other'), [('jizhu', 'gutou'), ('polygon', 'circle')])
def test_what_is_not_described(tmp_path: Path, known: str, other: str) -> None:
    tree = build('upbd', tmp_path / 'raw')
    path = tree.source / 'json_train' / '2_1_0.json'
    path.write_text(path.read_text(encoding='utf-8').replace(f'"{known}"', f'"{other}"'), encoding='utf-8')
    plan = make_plan(SPEC, open_tree(tree.source, tmp_path / 'scratch', SPEC.archives))
    (item,) = (item for item in plan.items if item.key.endswith('2_1_0.jpg'))
    with pytest.raises(RawFileError, match=rf'2_1_0\.json.*{other}'):
        list(read_frames(SPEC, item))
