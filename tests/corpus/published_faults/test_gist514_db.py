"""GIST514-DB: the objects of an image are of one class, or the image has no label."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.corpus.raw_trees import gist514_db
from ultrasam.corpus.engine import Options, convert_dataset
from ultrasam.corpus.errors import DataFaultsError
from ultrasam.corpus.splits import split_corpus

DESCRIPTION = Path(__file__).resolve().parents[3] / 'datasets/us43d/gist514_db.py'


def test_lists_for_classifiers(tmp_path: Path) -> None:
    tree = gist514_db.build(tmp_path)
    report = convert_dataset(DESCRIPTION, tree.source, tmp_path / 'out', Options(accept_counts=True))
    (split,) = split_corpus(report.folder)[1]
    lists = {path.name: path.read_text() for path in (report.folder / 'annotations').glob('*.txt')}
    assert lists.pop('classes.txt') == 'lmym\ngist\n'
    test = lists.pop('test_classification.txt')
    # in the order of the names: 9, 101, 111 and 102, 110
    assert sorted(''.join(lists.values()).splitlines()) == [
        f'images/GIST514-DB__0000{k} {label}' for k, label in (('0.png', 1), ('1.png', 0), ('2.png', 1))
    ]
    assert test == ''.join(
        f'images/test.GIST514-DB__0000{k} {label}\n' for k, label in (('0.png', 1), ('1.png', 0))
    )
    assert split.classes['test'] == {'gist': 1, 'lmym': 1}


def test_objects_of_two_classes_in_an_image_are_a_fault(tmp_path: Path) -> None:
    tree = gist514_db.build(tmp_path)
    path = tmp_path / 'usd514_jpeg_roi/annotations/val_anno_crop_split_0.json'
    content = json.loads(path.read_text(encoding='utf-8'))
    first = content['annotations'][0]
    content['annotations'].append({**first, 'id': 999, 'category_id': 3 - first['category_id']})
    path.write_text(json.dumps(content), encoding='utf-8')
    with pytest.raises(DataFaultsError, match=r"disagree: \['1', '2'\]"):
        convert_dataset(DESCRIPTION, tree.source, tmp_path / 'out', Options(accept_counts=True))
