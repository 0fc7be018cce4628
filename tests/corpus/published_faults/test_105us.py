"""105US: a mask of another size than its image is refused, not published with a size of its own."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from tests.corpus.test_sweep import DESCRIPTIONS, build
from ultrasam.corpus.errors import RawFileError
from ultrasam.corpus.loading import load_spec
from ultrasam.corpus.pipeline import read_frames
from ultrasam.corpus.plan import make_plan
from ultrasam.corpus.tree import open_tree

SPEC = load_spec(DESCRIPTIONS['105us'])


def test_mask_of_another_size_is_refused(tmp_path: Path) -> None:
    source = build('105us', tmp_path / 'raw').source
    path = source / '105 US Masks' / '10 G man.png'
    with Image.open(path) as mask:
        mask.resize((96, 72)).save(path)
    items = make_plan(SPEC, open_tree(source, tmp_path / 'scratch', SPEC.archives)).items
    item = next(item for item in items if item.groups['n'] == '10')
    with pytest.raises(RawFileError, match=r'10 G man\.png: 72 x 96 pixels .*, its image 64 x 80'):
        list(read_frames(SPEC, item))
