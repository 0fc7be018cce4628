"""Reading predictions, and the sheets and the table that show them."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tests.corpus.tools.tiny import coco, square, write_dataset, write_json
from ultrasam.coco.files import read_coco
from ultrasam.errors import AnnotationError, InputError, OutputError
from ultrasam.evaluation.prediction_sheets import TABLE, write_prediction_sheets
from ultrasam.evaluation.predictions import read_predictions


def result(image_id: int, *, left: int = 3, score: float = 0.9, **more: Any) -> dict[str, Any]:
    return {'image_id': image_id, 'category_id': 1, 'score': score, **square(9, left=left), **more}


# by the image: good, shifted, missed, a false alarm besides, and one of low score
RESULTS = [
    result(0),
    result(1, left=6, score=0.7),
    result(3, score=0.8),
    result(3, left=20, score=0.3),
    result(4, score=0.05),
    result(99),
]


@pytest.fixture
def truth(tmp_path: Path) -> Path:
    content = coco({'a': [1, 1], 'b': [1, 1], 'c': [1]})
    return write_dataset(tmp_path, 'BUSI', content)


def files(folder: Path) -> tuple[Path, Path]:
    return folder / 'annotations/BUSI__coco.json', folder / 'images'


def made(truth: Path, results: Any, **options: Any) -> Any:
    path = truth.parent / 'results.segm.json'
    write_json(path, results)
    return write_prediction_sheets(path, *files(truth), truth.parent / 'out', **options)


def test_report_and_records(truth: Path) -> None:
    report = made(truth, RESULTS, min_score=0.1)
    assert (report.images, report.objects, report.missed, report.unmatched) == (5, 5, 2, 1)
    assert (report.unpredicted, report.strays, report.low) == (2, 1, 1)
    # 1, two thirds, missed, 1, missed
    assert report.mean_dice == pytest.approx((1 + 2 / 3 + 1) / 5, abs=1e-4)
    with (truth.parent / 'out' / TABLE).open(newline='') as file:
        rows = list(csv.DictReader(file))
    dices = [(row['image'], row['result'], row['dice']) for row in rows]
    assert dices == [
        ('00000.png', 'found', '1.0'),
        ('00001.png', 'found', '0.6667'),
        ('00002.png', 'missed', '0.0'),
        ('00003.png', 'found', '1.0'),
        ('00003.png', 'unmatched', ''),
        ('00004.png', 'missed', '0.0'),
    ]
    assert rows[1]['iou'] == '0.5' and rows[1]['score'] == '0.7'


def test_sheets_show_the_worst_first_with_both_outlines(truth: Path) -> None:
    made(truth, RESULTS, min_score=0.1, most=2)
    (page,) = (truth.parent / 'out').glob('worst_*.jpg')
    with Image.open(page) as opened:
        sheet = np.asarray(opened.convert('RGB')).astype(int)
    assert sheet.shape[:2] == (240, 480), 'two images, both missed'
    green = (sheet[..., 1] > sheet[..., 0] + 60) & (sheet[..., 1] > 100)
    red = (sheet[..., 0] > sheet[..., 1] + 60) & (sheet[..., 0] > 150)
    assert green[:, :240].any() and green[:, 240:].any() and not red.any()
    made(truth, RESULTS[1:2], overwrite=True)
    with Image.open(truth.parent / 'out/worst_001.jpg') as opened:
        sheet = np.asarray(opened.convert('RGB')).astype(int)
    red = (sheet[..., 0] > sheet[..., 1] + 60) & (sheet[..., 0] > 150)
    # four images without a prediction come first
    assert not red[:, : 4 * 240].any() and red[:, 4 * 240 :].any()


def test_a_folder_that_is_there_is_kept(truth: Path) -> None:
    made(truth, RESULTS)
    with pytest.raises(OutputError, match='exists'):
        made(truth, RESULTS)


def test_images_that_cannot_be_read_are_named(truth: Path) -> None:
    (truth / 'images/00002.png').write_bytes(b'no image')
    report = made(truth, RESULTS)
    assert len(report.faults) == 1 and '00002.png' in report.faults[0]


def test_files_of_predict_are_matched_by_name(truth: Path) -> None:
    content = {
        'categories': [{'id': 1, 'name': 'object'}],
        'images': [
            {'id': 7, 'file_name': 'x_00001.png', 'source': '/scans/00001.png'},
            {'id': 8, 'file_name': '00000.png', 'source': ''},
            {'id': 9, 'file_name': 'other.png'},
        ],
        'annotations': [result(7, score=None), result(8), result(9)],
    }
    path = truth.parent / 'coco.json'
    write_json(path, content)
    found = read_predictions(path, read_coco(files(truth)[0]))
    assert sorted(found.of_image) == [0, 1]
    assert found.of_image[1][0].score is None
    assert found.of_image[1][0].category == 'object'
    assert found.strays == 1


@pytest.mark.parametrize(
    ('content', 'words'),
    [
        ('[{"image_id": 0', 'is damaged'),
        ('[{"image_id": 0, "score": NaN}]', 'is damaged'),
        ('3', 'holds a int'),
        ('{"images": []}', "no list of records 'annotations'"),
        ('[{"score": 1}]', 'prediction 0 has no image_id'),
        ('[[1]]', 'prediction 0 has no image_id'),
        ('[{"image_id": [1]}]', 'prediction 0 has no image_id'),
        ('[{"image_id": 0, "bbox": [1, 2, 3, 4], "score": 1}]', r'prediction 0 has no mask: .*segm\.json'),
        ('[{"image_id": 0, "segmentation": {}, "score": "high"}]', "the score 'high'"),
        ('[{"image_id": 0, "segmentation": {}, "category_id": {}}]', 'the category_id'),
        ('[{"image_id": 77, "segmentation": {}, "score": 1}]', 'none of its 1 predictions is of an image of'),
    ],
)
def test_damaged_predictions_are_refused(truth: Path, content: str, words: str) -> None:
    path = truth.parent / 'results.segm.json'
    path.write_text(content)
    with pytest.raises(AnnotationError, match=words):
        write_prediction_sheets(path, *files(truth), truth.parent / 'out')
    assert not (truth.parent / 'out').exists()


def test_missing_files_are_named(truth: Path) -> None:
    with pytest.raises(AnnotationError, match=r'none\.json cannot be read'):
        write_prediction_sheets(truth / 'none.json', *files(truth), truth.parent / 'out')
    write_json(truth / 'empty.json', [])
    with pytest.raises(InputError, match='no such folder'):
        write_prediction_sheets(
            truth / 'empty.json', files(truth)[0], truth / 'nowhere', truth.parent / 'out'
        )


def test_no_prediction_at_all_is_shown(truth: Path) -> None:
    report = made(truth, [])
    assert (report.unpredicted, report.missed, report.mean_dice) == (5, 5, 0.0)


def test_masks_that_cannot_be_decoded_are_named(truth: Path) -> None:
    report = made(truth, [*RESULTS, result(0, segmentation={'size': [3, 3], 'counts': '1'})])
    assert len(report.faults) == 1 and report.faults[0].startswith('00000.png: ')


def test_results_are_json_of_a_test_run(truth: Path) -> None:
    # pycocotools writes the scores of a run as floats and its masks as text
    path = truth.parent / 'run.segm.json'
    path.write_text(json.dumps(RESULTS[:2]))
    found = read_predictions(path, read_coco(files(truth)[0]))
    assert [one[0].score for one in found.of_image.values()] == [0.9, 0.7]
    assert found.of_image[0][0].category == 'kind1'
