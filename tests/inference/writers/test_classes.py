"""Where each format puts the class of an object."""

from __future__ import annotations

import csv
import json
from dataclasses import replace

import numpy as np
import pytest
from pycocotools.coco import COCO

from ultrasam.io.writers import ResultWriter
from ultrasam.io.writers.pictures import draw_overlay
from ultrasam.io.writers.table import CLASS_COLUMNS, COLUMNS
from ultrasam.openmmlab.datasets import UltraSamCocoDataset
from ultrasam.structures import Segmentation

from .conftest import make_frame, make_segmentation

NAMES = ('benign', 'malignant')
SCORES = [[0.9, 0.2], [0.125, 0.5], [np.nan, np.nan]]


def with_classes(scores=SCORES, names=NAMES, **options) -> Segmentation:
    """An object of each class, and one that was lost."""
    plain = make_segmentation(num_objects=len(scores), **options)
    masks = plain.masks.copy()
    scores = np.array(scores, np.float32).reshape(-1, len(names))
    masks[np.isnan(scores).any(1)] = False
    return replace(plain, masks=masks, class_names=names, class_scores=scores)


def write(out_dir, *segmentations, formats=('coco', 'csv')):
    with ResultWriter(out_dir, formats=formats) as writer:
        for index, segmentation in enumerate(segmentations):
            writer.write(make_frame(f'{index}.png'), segmentation)


def rows_of(out_dir) -> list[list[str]]:
    with (out_dir / 'measurements.csv').open(newline='') as file:
        return list(csv.reader(file))


def test_labels_of_a_segmentation():
    found = with_classes()
    assert found.labels.tolist() == [0, 1, -1]
    assert found.labels.dtype == np.int64
    assert found.class_of(0) == ('benign', pytest.approx(0.9))
    assert found.class_of(1) == ('malignant', 0.5)
    assert found.class_of(2) is None
    empty = with_classes(np.zeros((0, 2)))
    assert empty.labels.shape == (0,)


def test_coco_categories_are_the_classes(tmp_path):
    write(tmp_path, with_classes(SCORES[:2]))
    content = json.loads((tmp_path / 'coco.json').read_text())
    assert content['categories'] == [
        {'id': 1, 'name': 'benign', 'supercategory': 'none'},
        {'id': 2, 'name': 'malignant', 'supercategory': 'none'},
    ]
    first, second = content['annotations']
    assert (first['category_id'], second['category_id']) == (1, 2)
    assert first['class_probability'] == 0.9
    assert second['class_scores'] == {'benign': 0.125, 'malignant': 0.5}
    assert first['score'] == first['predicted_iou'] != first['class_probability']
    data = UltraSamCocoDataset(
        data_root=str(tmp_path), ann_file='coco.json', data_prefix=dict(img='images'),
        metainfo=dict(classes=NAMES), pipeline=[],
    )  # fmt: skip
    assert [one['bbox_label'] for one in data.get_data_info(0)['instances']] == [0, 1]


def test_coco_of_a_lost_object(tmp_path):
    write(tmp_path, with_classes(SCORES[:1]), with_classes())
    opened = COCO(str(tmp_path / 'coco.json'))
    assert [category['name'] for category in opened.dataset['categories']] == [*NAMES, 'unknown']
    lost = opened.dataset['annotations'][-1]
    assert (lost['category_id'], lost['area']) == (3, 0)
    assert lost['class_probability'] is lost['class_scores'] is None


def test_table_has_two_more_columns(tmp_path):
    write(tmp_path, with_classes([]), with_classes())
    header, *rows = rows_of(tmp_path)
    assert header == [*COLUMNS, *CLASS_COLUMNS]
    assert [row[-2:] for row in rows] == [['benign', '0.9000'], ['malignant', '0.5000'], ['', '']]
    assert all(len(row) == len(header) for row in rows)


def test_without_classes_nothing_changes(tmp_path):
    write(tmp_path / 'plain', make_segmentation())
    assert rows_of(tmp_path / 'plain')[0] == list(COLUMNS)
    content = json.loads((tmp_path / 'plain/coco.json').read_text())
    assert [category['name'] for category in content['categories']] == ['object']
    assert {a['category_id'] for a in content['annotations']} == {1}
    assert not {'class_probability', 'class_scores'} & set(content['annotations'][0])
    write(tmp_path / 'none')
    assert rows_of(tmp_path / 'none') == [list(COLUMNS)]


@pytest.mark.parametrize(
    'name', ['malignant', 'serous cystadenocarcinoma of high grade', 'Zyste, echofrei ä']
)
def test_overlay_names_the_class(name, monkeypatch):
    written = []
    original = draw_overlay.__globals__['Canvas'].chip
    monkeypatch.setattr(
        draw_overlay.__globals__['Canvas'],
        'chip',
        lambda canvas, text, *place, **options: (
            written.append(text) or original(canvas, text, *place, **options)
        ),
    )
    segmentation = with_classes(names=('benign', name), scores=[[0.1, 0.876], SCORES[2]])
    frame = make_frame('a.png')
    picture = draw_overlay(frame, segmentation)
    plain = draw_overlay(frame, replace(segmentation, class_names=(), class_scores=None))
    assert (picture != plain).any()
    shown, lost, *others = written
    assert shown.startswith(f'1: {segmentation.scores[0]:.2f} {name[:9]}')
    assert shown.endswith(' 88%')
    assert shown.isascii()
    assert len(shown) <= 8 + 28 + 4
    assert lost == f'2: {segmentation.scores[1]:.2f}'
    assert others == [f'{i + 1}: {segmentation.scores[i]:.2f}' for i in range(2)]
