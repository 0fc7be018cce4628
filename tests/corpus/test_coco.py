"""COCO files of the engine: names, classes, and the check that reads them back."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from pycocotools import mask as coco_mask

from tests.corpus.raw_trees.common import disc
from tests.corpus.test_sweep import DESCRIPTIONS, build
from ultrasam.corpus.coco import check_coco
from ultrasam.corpus.engine import Options, convert_dataset
from ultrasam.corpus.errors import IntegrityError


def test_names_of_classes_are_kept_and_lists_left_to_the_split(tmp_path: Path) -> None:
    tree = build('bus_bra', tmp_path / 'raw')
    folder = convert_dataset(
        DESCRIPTIONS['bus_bra'], tree.source, tmp_path / 'out', Options(accept_counts=True)
    ).folder
    texts = {path.name: path.read_text() for path in (folder / 'annotations').glob('*.txt')}
    assert texts == {'classes.txt': 'breast_nodule_benign\nbreast_nodule_malignant\n'}
    assert 'annotations/classes.txt' in json.loads((folder / 'manifest.json').read_text())['files']


def test_published_names_of_series(tmp_path: Path) -> None:
    pytest.importorskip('SimpleITK')
    tree = build('camus', tmp_path / 'raw')
    folder = convert_dataset(
        DESCRIPTIONS['camus'], tree.source, tmp_path / 'out', Options(accept_counts=True)
    ).folder
    names = sorted(path.name for path in (folder / 'images').iterdir())
    assert names[:3] == [
        'CAMUS__0001__CH2__00000.png',
        'CAMUS__0001__CH2__00001.png',
        'CAMUS__0001__CH4__00000.png',
    ]
    assert names[-1] == 'test.CAMUS__0450__CH4__00001.png'


def test_published_choices(tmp_path: Path) -> None:
    tree = build('mmotu_2d', tmp_path / 'raw')
    options = Options(accept_counts=True, published=True)
    report = convert_dataset(DESCRIPTIONS['mmotu_2d'], tree.source, tmp_path / 'out', options)
    # the speck of each image is kept in the main part, and dropped in the test part
    assert report.counts.annotations == {'main': 4, 'test': 2}
    assert json.loads((report.folder / 'manifest.json').read_text())['as_published'] is True


SPOILED = {
    'cut counts': lambda a: a['segmentation'].update(counts=a['segmentation']['counts'][:-2]),
    'other letters': lambda a: a['segmentation'].update(counts='~~~~'),
    'endless run': lambda a: a['segmentation'].update(counts='oooooooooooooooo0'),
    'other size': lambda a: a['segmentation'].update(size=[10**6, 10**6]),
    'turned size': lambda a: a['segmentation'].update(size=[80, 64]),
    'area': lambda a: a.update(area=1),
    'box': lambda a: a.update(bbox=[0, 0, 5, 5]),
    'category': lambda a: a.update(category_id=0),
    'image': lambda a: a.update(image_id=7),
    'id': lambda a: a.update(id=2),
}


@pytest.mark.parametrize('name', SPOILED)
def test_check_refuses(name: str, tmp_path: Path) -> None:
    (tmp_path / 'a.png').write_bytes(b'')
    rle = coco_mask.encode(np.asfortranarray(disc(30, 40, 9), dtype=np.uint8))
    annotations = [
        {
            'id': number,
            'image_id': 0,
            'category_id': 1,
            'area': int(coco_mask.area(rle)),
            'bbox': coco_mask.toBbox(rle).tolist(),
            'segmentation': {'size': [64, 80], 'counts': rle['counts'].decode()},
        }
        for number in (1, 2)
    ]
    content = {
        'images': [{'id': 0, 'file_name': 'a.png', 'height': 64, 'width': 80, 'subject': 's'}],
        'annotations': annotations,
        'categories': [{'id': 1, 'name': 'a'}],
    }
    path = tmp_path / 'c.json'
    path.write_text(json.dumps(content))
    assert check_coco(path, tmp_path) == {'images': 1, 'annotations': 2, 'subjects': 1}
    SPOILED[name](annotations[0])
    path.write_text(json.dumps(content))
    with pytest.raises(IntegrityError, match='annotation'):
        check_coco(path, tmp_path)
