"""Reading predictions, and the gallery that shows them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.corpus.gallery.chromium import dump, needs_browser, text_of, tiles_of
from tests.corpus.tools.tiny import coco, square, write_dataset, write_json
from ultrasam.corpus.coco_files import read_coco
from ultrasam.corpus.gallery import write_prediction_gallery
from ultrasam.corpus.gallery.folder import read_script
from ultrasam.corpus.gallery.predictions import read_predictions
from ultrasam.errors import AnnotationError, InputError


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
    return write_prediction_gallery(path, *files(truth), truth.parent / 'out', **options)


def test_report_and_records(truth: Path) -> None:
    report = made(truth, RESULTS, min_score=0.1)
    assert (report.images, report.objects, report.missed, report.unmatched) == (5, 5, 2, 1)
    assert (report.unpredicted, report.strays, report.low) == (2, 1, 1)
    # 1, two thirds, missed, 1, missed
    assert report.mean_dice == pytest.approx((1 + 2 / 3 + 1) / 5, abs=1e-4)
    records = read_script(truth.parent / 'out/data/part0.js')
    assert [record['worst'] for record in records] == [1.0, 0.6667, 0.0, 1.0, 0.0]
    assert records[1]['truths'][0]['iou'] == 0.5
    index = read_script(truth.parent / 'out/data/index.js')
    assert index['totals'] == {
        'objects': 5,
        'dice': report.mean_dice,
        'missed': 2,
        'unmatched': 1,
        'strays': 1,
        'low': 1,
    }


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
        write_prediction_gallery(path, *files(truth), truth.parent / 'out')
    assert not (truth.parent / 'out').exists()


def test_missing_files_are_named(truth: Path) -> None:
    with pytest.raises(AnnotationError, match=r'none\.json cannot be read'):
        write_prediction_gallery(truth / 'none.json', *files(truth), truth.parent / 'out')
    write_json(truth / 'empty.json', [])
    with pytest.raises(InputError, match='no such folder'):
        write_prediction_gallery(
            truth / 'empty.json', files(truth)[0], truth / 'nowhere', truth.parent / 'out'
        )


def test_no_prediction_at_all_is_shown(truth: Path) -> None:
    report = made(truth, [])
    assert (report.unpredicted, report.missed, report.mean_dice) == (5, 5, 0.0)


def test_masks_that_cannot_be_decoded_are_counted(truth: Path) -> None:
    report = made(truth, [*RESULTS, result(0, segmentation={'size': [3, 3], 'counts': '1'})])
    assert report.faults == {'masks of another size than their image': 1}
    assert report.examples == {'masks of another size than their image': 'BUSI__coco/00000.png'}


@needs_browser
def test_worst_comes_first_in_a_browser(truth: Path, tmp_path: Path) -> None:
    page = made(truth, RESULTS, min_score=0.1).path
    document = dump(page, 'from=0&to=0.7')
    assert text_of(document, 'status') == '3 of 5 images'
    assert tiles_of(document) == ['00002.png', '00004.png', '00001.png']
    assert 'no prediction' in document
    assert '1 predictions left out, their score is below 0.1' in text_of(document, 'summary')
    document = dump(page, 'state=unmatched&image=00003.png')
    assert tiles_of(document) == ['00003.png']
    assert text_of(document, 'view-title') == '00003.png'
    assert 'none: unmatched' in document
    assert document.count('<figcaption>') == 2
    # rim and line of the dashed truth, and rim, line and inside of each mask
    assert document.split('<dialog')[1].count('<path') == 3 + 2 + 2 * 3


def test_results_are_json_of_a_test_run(truth: Path) -> None:
    # pycocotools writes the scores of a run as floats and its masks as text
    path = truth.parent / 'run.segm.json'
    path.write_text(json.dumps(RESULTS[:2]))
    found = read_predictions(path, read_coco(files(truth)[0]))
    assert [one[0].score for one in found.of_image.values()] == [0.9, 0.7]
    assert found.of_image[0][0].category == 'kind1'
