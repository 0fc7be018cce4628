"""Ultrasound nerve segmentation: file names tell the subject, and its frames follow their numbers."""

from __future__ import annotations

import json
from pathlib import Path

from tests.corpus.raw_trees.us_nerve_segmentation import build
from ultrasam.corpus.engine import Options, convert_dataset

NAME = 'ultrasound-nerve-segmentation'
DESCRIPTION = Path(__file__).resolve().parents[3] / 'datasets/us43d/us_nerve_segmentation.py'


def test_names_hold_subject_and_place(tmp_path: Path) -> None:
    source = build(tmp_path / 'raw').source
    report = convert_dataset(DESCRIPTION, source, tmp_path / 'out', Options(accept_counts=True))
    content = json.loads((report.folder / f'annotations/{NAME}__coco.json').read_text(encoding='utf-8'))
    names = {image['source_file']: image['file_name'] for image in content['images']}
    assert names == {
        'train/1_1.tif': f'{NAME}__1__00000.png',
        'train/1_2.tif': f'{NAME}__1__00001.png',
        'train/1_12.tif': f'{NAME}__1__00002.png',
        'train/2_1.tif': f'{NAME}__2__00000.png',
        'train/11_2.tif': f'{NAME}__11__00000.png',
        'train/47_120.tif': f'{NAME}__47__00000.png',
    }
