"""What is read of a COCO file: subjects, spacing, data set, and what is left out."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from pycocotools import mask as coco_mask

from tests.evaluation.shapes import square
from ultrasam.errors import AnnotationError, ConfigError
from ultrasam.evaluation.ground_truth import GroundTruth, checked_spacing


def coded(mask: np.ndarray) -> dict:
    rle = coco_mask.encode(np.asfortranarray(mask.astype(np.uint8)))
    return {'size': list(rle['size']), 'counts': rle['counts'].decode()}


def annotation(number: int, image_id: int, **more) -> dict:
    basis = {
        'id': number,
        'image_id': image_id,
        'category_id': 7,
        'bbox': [10, 5, 8, 8],
        'area': 64,
        'iscrowd': 0,
    }
    return {**basis, 'segmentation': coded(square(5, 10, 8)), **more}


@pytest.fixture
def content() -> dict:
    images = [{'id': i, 'file_name': f'{i}.png', 'height': 60, 'width': 80} for i in range(4)]
    images[0] |= {'subject': 'p1', 'spacing_mm': [0.3, 0.2], 'dataset': 'BUSI'}
    images[1] |= {'subject_id': 4, 'spacing_mm': 0.5, 'organ': 'ovary'}
    images[2] |= {'source_file': 'cine.mp4'}
    annotations = [
        annotation(1, 0),
        annotation(2, 0, segmentation=coded(np.zeros((60, 80), bool))),
        annotation(3, 0, segmentation=[]),
        annotation(4, 1, iscrowd=1),
        annotation(5, 1, segmentation=[[0, 0, 40, 0, 40, 30, 0, 30]], bbox=[0, 0, 40, 30], area=1200),
        annotation(6, 2),
    ]
    return {'images': images, 'annotations': annotations, 'categories': [{'id': 7, 'name': 'cyst'}]}


def written(folder: Path, content: dict, name: str = 'test.MMOTU_2d__coco.json') -> Path:
    path = folder / name
    path.write_text(json.dumps(content), encoding='utf-8')
    return path


def test_frames(tmp_path, content):
    truth = GroundTruth(written(tmp_path, content), spacing_mm=(0.1, 0.1))
    frames = list(truth)
    assert len(truth) == len(frames) == 4
    assert [len(frame.objects) for frame in frames] == [1, 1, 1, 0]
    assert [frame.spacing_mm for frame in frames] == [(0.3, 0.2), (0.5, 0.5), (0.1, 0.1), (0.1, 0.1)]
    assert [frame.dataset for frame in frames] == ['BUSI', 'MMOTU_2d', 'MMOTU_2d', 'MMOTU_2d']
    assert [frame.organ for frame in frames] == ['breast', 'ovary', 'ovary', 'ovary']
    assert [frame.subject for frame in frames] == [
        'BUSI/p1',
        'MMOTU_2d/4',
        'MMOTU_2d/cine.mp4',
        'MMOTU_2d/3.png',
    ]
    assert [frame.subject_unit for frame in frames] == ['subject', 'subject', 'source file', 'image']
    assert frames[0].left_out == {'without mask': 2}
    assert frames[1].left_out == {'crowd or ignored': 1}
    assert frames[0].objects[0].category == 'cyst'
    assert (frames[0].masks()[0] == square(5, 10, 8)).all()
    assert frames[1].masks()[0].sum() == 30 * 40
    assert frames[3].masks().shape == (0, 60, 80)
    with pytest.raises(AnnotationError, match='no image with the id 9'):
        truth.frame(9)


def test_the_folder_names_a_set_of_your_own(tmp_path, content):
    frame = GroundTruth(written(tmp_path, content, 'annotations.json')).frame(3)
    assert frame.dataset == tmp_path.name
    assert (frame.organ, frame.spacing_mm) == ('not stated', None)


@pytest.mark.parametrize('value', [0, -1, [0.1, 0.1, 0.1], 'fine', [0.2, None], float('nan')])
def test_a_spacing_that_cannot_be(tmp_path, content, value):
    content['images'][0]['spacing_mm'] = value
    if value == value:
        with pytest.raises(AnnotationError, match=r"'0.png' has spacing_mm"):
            list(GroundTruth(written(tmp_path, content)))
    if isinstance(value, list) or not isinstance(value, str):
        with pytest.raises(ConfigError, match='spacing'):
            checked_spacing(value if isinstance(value, list) else [value])


def test_files_that_cannot_be_used(tmp_path, content):
    with pytest.raises(AnnotationError, match=r'nothing\.json does not exist'):
        GroundTruth(tmp_path / 'nothing.json')
    content['annotations'][0]['segmentation']['counts'] = 'oops'
    with pytest.raises(AnnotationError, match='annotation 1'):
        GroundTruth(written(tmp_path, content))
