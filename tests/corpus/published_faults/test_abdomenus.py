"""AbdomenUS: the annotated real scans are the official test part, which only ``published`` mixes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.corpus.raw_trees import abdomenus
from ultrasam.corpus.engine import Options, convert_dataset

DESCRIPTION = Path(__file__).resolve().parents[3] / 'datasets/us43d/abdomenus.py'


@pytest.mark.parametrize(('published', 'files'), [(False, {'': 0, 'test.': 4}), (True, {'': 4})])
def test_only_the_published_data_have_them_in_the_main_file(
    published: bool, files: dict[str, int], tmp_path: Path
) -> None:
    tree = abdomenus.build(tmp_path)
    report = convert_dataset(DESCRIPTION, tree.source, tmp_path / 'out', Options(published=published))
    names = {f'{part}AbdomenUS__coco.json': count for part, count in files.items()}
    found = {
        path.name: len(json.loads(path.read_text(encoding='utf-8'))['images'])
        for path in (report.folder / 'annotations').iterdir()
    }
    assert found == names
