"""Both libraries count what pycocotools alone counts, and see no mask that was not checked."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from pycocotools import mask as coco_mask
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from ultrasam.errors import AnnotationError, ConfigError, InputError
from ultrasam.evaluation.coco_metric_figures import EVALUATORS, choose_evaluator
from ultrasam.openmmlab.metrics.coco import UltraSamCocoMetric

HW = (64, 96)
CLASSES = ('cyst', 'mass', 'never seen')
DETECTIONS = (100, 300, 1000)
LIBRARIES = [name for name in EVALUATORS if name != 'auto']
NAMES = ('mAP', 'mAP_50', 'mAP_75', 'mAP_s', 'mAP_m', 'mAP_l')
RECALLS = ('AR@100', 'AR@300', 'AR@1000', 'AR_s@1000', 'AR_m@1000', 'AR_l@1000')


@pytest.fixture(params=LIBRARIES)
def library(request) -> str:
    if request.param == 'faster-coco-eval':
        pytest.importorskip('faster_coco_eval')
    return request.param


def blob(rng: np.random.Generator) -> np.ndarray:
    """A mask of an ellipse, sometimes of most of the image."""
    height, width = HW
    y, x = rng.uniform(0, height), rng.uniform(0, width)
    a, b = rng.uniform(2, rng.choice([8, 30, 60]), 2)
    rows, columns = np.ogrid[:height, :width]
    mask = ((rows - y) / a) ** 2 + ((columns - x) / b) ** 2 <= 1
    mask[min(int(y), height - 1), min(int(x), width - 1)] = True
    return mask


def shifted(mask: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    return np.roll(mask, rng.integers(-4, 5, 2), (0, 1))


def rle_of(mask: np.ndarray) -> dict[str, Any]:
    rle = coco_mask.encode(np.asfortranarray(mask.astype(np.uint8)))
    return {'size': list(mask.shape), 'counts': rle['counts'].decode()}


def truth_and_predictions(
    seed: int, *, images: int = 12, per_image: int = 6, noise: int = 4, crowd: float = 0.1
) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """A COCO file of two categories that occur and one that does not, and predictions near and far from it."""
    rng = np.random.default_rng(seed)
    annotations, results = [], []
    # ids neither start at 1 nor ascend
    ids = (rng.permutation(images) * 3 + 5).tolist()
    for image_id in ids:
        found = []
        for _ in range(rng.integers(0, per_image + 1)):
            mask, category = blob(rng), int(rng.integers(1, 3))
            rle = rle_of(mask)
            annotations.append(
                {
                    'id': len(annotations) + 1,
                    'image_id': image_id,
                    'category_id': category,
                    'bbox': coco_mask.toBbox(rle).tolist(),
                    'area': int(mask.sum()),
                    'iscrowd': int(rng.random() < crowd),
                    'segmentation': rle,
                }
            )
            found += [(shifted(mask, rng), category)] if rng.random() < 0.8 else []
        found += [(blob(rng), int(rng.integers(1, 4))) for _ in range(rng.integers(0, noise + 1))]
        results += [
            {
                'image_id': image_id,
                'category_id': category,
                # few values, so that many are equal
                'score': float(np.float32(rng.integers(1, 20) / 20)),
                'segmentation': rle_of(mask),
                'bbox': coco_mask.toBbox(rle_of(mask)).tolist(),
            }
            for mask, category in found
        ]
    content = {
        'images': [{'id': id_, 'file_name': f'{id_}.png', 'height': HW[0], 'width': HW[1]} for id_ in ids],
        'annotations': annotations,
        'categories': [{'id': number, 'name': name} for number, name in enumerate(CLASSES, start=1)],
    }
    return content, results


def stock(content: dict, results: list[dict], kind: str) -> tuple[np.ndarray, np.ndarray]:
    """The twelve figures of pycocotools, and its precision array, without any code of ours."""
    truth = COCO()
    truth.dataset = copy.deepcopy(content)
    truth.createIndex()
    results = copy.deepcopy(results)
    if kind == 'segm':
        for result in results:
            result.pop('bbox')
    evaluation = COCOeval(truth, truth.loadRes(results), kind)
    evaluation.params.maxDets = list(DETECTIONS)
    evaluation.evaluate()
    evaluation.accumulate()
    evaluation.summarize()
    return evaluation.stats, evaluation.eval['precision']


def samples_of(content: dict, results: list[dict]) -> list[dict[str, Any]]:
    """What a model hands to a metric."""
    samples = []
    for image in content['images']:
        found = [result for result in results if result['image_id'] == image['id']]
        boxes = torch.tensor([result['bbox'] for result in found], dtype=torch.float64).reshape(-1, 4)
        boxes[:, 2:] += boxes[:, :2]
        samples.append(
            {
                'img_id': image['id'],
                'ori_shape': HW,
                'pred_instances': {
                    'bboxes': boxes,
                    'scores': torch.tensor([result['score'] for result in found]),
                    'labels': torch.tensor([result['category_id'] - 1 for result in found], dtype=torch.long),
                    'masks': [dict(result['segmentation']) for result in found],
                },
            }
        )
    return samples


def write(folder: Path, content: dict) -> str:
    path = folder / 'truth.json'
    path.write_text(json.dumps(content))
    return str(path)


def score(ann_file: str | None, samples: list[dict], library: str, **options: Any) -> dict[str, float]:
    settings = dict(metric=['bbox', 'segm'], classwise=True, metric_items=[*NAMES, *RECALLS])
    metric = UltraSamCocoMetric(ann_file, evaluator=library, **{**settings, **options})
    metric.dataset_meta = {'classes': CLASSES}
    for sample in samples:
        metric.process({}, [sample])
    return metric.evaluate(len(samples))


def assert_equal_to_stock(scores: dict[str, float], content: dict, results: list[dict]) -> None:
    for kind in ('bbox', 'segm'):
        stats, precision = stock(content, results, kind)
        ours = [scores[f'coco/{kind}_{name}'] for name in (*NAMES, *RECALLS)]
        np.testing.assert_allclose(ours, stats, atol=1e-6, rtol=0)
        for label, name in enumerate(CLASSES):
            values = precision[:, :, label, 0, -1]
            expected = values[values > -1].mean() if (values > -1).any() else np.nan
            np.testing.assert_allclose(scores[f'coco/{kind}_{name}_precision'], expected, atol=1e-6, rtol=0)


@pytest.mark.parametrize('seed', range(3))
def test_random_predictions(tmp_path, library, seed):
    content, results = truth_and_predictions(seed)
    scores = score(write(tmp_path, content), samples_of(content, results), library)
    assert_equal_to_stock(scores, content, results)
    assert 0 < scores['coco/segm_mAP'] < 1


def test_more_detections_than_count(tmp_path, library):
    content, results = truth_and_predictions(7, images=2, per_image=4, noise=0)
    rng = np.random.default_rng(0)
    for image in content['images']:
        results += [
            {
                'image_id': image['id'],
                'category_id': 1,
                'score': float(np.float32(rng.random())),
                'segmentation': rle_of(mask),
                'bbox': coco_mask.toBbox(rle_of(mask)).tolist(),
            }
            for mask in (blob(rng) for _ in range(350))
        ]
    scores = score(write(tmp_path, content), samples_of(content, results), library)
    assert_equal_to_stock(scores, content, results)
    assert scores['coco/segm_AR@1000'] > scores['coco/segm_AR@100']


def test_crowds_only(tmp_path, library):
    content, results = truth_and_predictions(3, crowd=1.0)
    scores = score(write(tmp_path, content), samples_of(content, results), library)
    assert_equal_to_stock(scores, content, results)
    assert scores['coco/segm_mAP'] == -1


def test_the_truth_itself(tmp_path, library):
    content, _ = truth_and_predictions(4, crowd=0.0)
    results = [dict(one, score=1.0) for one in content['annotations']]
    scores = score(write(tmp_path, content), samples_of(content, results), library)
    assert_equal_to_stock(scores, content, results)
    assert scores['coco/segm_mAP'] == scores['coco/bbox_mAP'] == 1.0


def test_no_prediction(tmp_path, library):
    content, _ = truth_and_predictions(5)
    scores = score(write(tmp_path, content), samples_of(content, []), library)
    assert scores['coco/segm_mAP'] == scores['coco/bbox_AR@100'] == 0
    assert scores['coco/bbox_cyst_precision'] == 0
    assert np.isnan(scores['coco/bbox_never seen_precision'])


def test_no_truth(library):
    content, results = truth_and_predictions(6)
    samples = [dict(sample, instances=[]) for sample in samples_of(content, results)]
    scores = score(None, samples, library)
    assert scores['coco/segm_mAP'] == scores['coco/bbox_AR@1000'] == -1


def test_an_id_of_0_and_ids_that_are_texts(tmp_path, library):
    content, results = truth_and_predictions(8)
    plain = score(write(tmp_path, content), samples_of(content, results), library)
    for number, annotation in enumerate(content['annotations']):
        annotation['id'] = number
    # in the order in which numbers are compared: which of two equal scores comes first matters
    names = {id_: f'{place:03d}' for place, id_ in enumerate(sorted(i['id'] for i in content['images']))}
    content['images'].sort(key=lambda image: image['id'])
    for record in (*content['images'], *content['annotations'], *results):
        key = 'image_id' if 'image_id' in record else 'id'
        record[key] = names[record[key]]
    np.testing.assert_equal(score(write(tmp_path, content), samples_of(content, results), library), plain)


def test_polygons_and_uncompressed_runs(tmp_path, library):
    content, results = truth_and_predictions(9)
    content['annotations'][0]['segmentation'] = [[10.5, 10, 40, 12, 30, 50.5]]
    content['annotations'][1]['segmentation'] = {'size': list(HW), 'counts': [100, 200, HW[0] * HW[1] - 300]}
    for one in content['annotations'][:2]:
        of_file = one['segmentation']
        packed = coco_mask.frPyObjects(of_file, *HW)
        one['bbox'] = coco_mask.toBbox(
            coco_mask.merge(packed) if isinstance(of_file, list) else packed
        ).tolist()
    scores = score(write(tmp_path, content), samples_of(content, results), library)
    assert_equal_to_stock(scores, content, results)


def test_truth_of_the_samples_is_that_of_mmdet(library):
    from mmdet.evaluation import CocoMetric

    content, results = truth_and_predictions(10)
    samples = samples_of(content, results)
    for sample in samples:
        sample['instances'] = [
            {
                'bbox': [x, y, x + width, y + height],
                'bbox_label': one['category_id'] - 1,
                'ignore_flag': one['iscrowd'],
                'mask': one['segmentation'],
            }
            for one in content['annotations']
            if one['image_id'] == sample['img_id']
            for x, y, width, height in [one['bbox']]
        ]
    ours = score(None, copy.deepcopy(samples), library, metric_items=None, classwise=False)
    theirs = CocoMetric(ann_file=None, metric=['bbox', 'segm'])
    theirs.dataset_meta = {'classes': CLASSES}
    theirs.process({}, copy.deepcopy(samples))
    expected = theirs.evaluate(len(samples))
    assert ours.keys() == expected.keys()
    for name, value in expected.items():
        assert round(ours[name], 3) == pytest.approx(value, abs=1.1e-3), name


def test_proposals(tmp_path, library):
    content, results = truth_and_predictions(11)
    scores = score(
        write(tmp_path, content), samples_of(content, results), library, metric='proposal', metric_items=None
    )
    assert set(scores) == {f'coco/{name}' for name in RECALLS}
    assert 0 < scores['coco/AR@100'] <= 1


class TestRefusals:
    """No damaged mask reaches a library."""

    @pytest.mark.parametrize('counts', ['~~~', '', 'o', '0' * 4000, 'P' * 9, b'\xff\xfe'])
    def test_predicted_mask(self, tmp_path, library, counts):
        content, results = truth_and_predictions(0)
        samples = samples_of(content, results)
        next(s for s in samples if s['pred_instances']['masks'])['pred_instances']['masks'][0]['counts'] = (
            counts
        )
        with pytest.raises(InputError, match='predicted mask'):
            score(write(tmp_path, content), samples, library)

    def test_predicted_mask_of_another_size(self, tmp_path, library):
        content, results = truth_and_predictions(0)
        results[0]['segmentation'] = rle_of(np.ones((10, 10)))
        with pytest.raises(InputError, match=r'size \[10, 10\]'):
            score(write(tmp_path, content), samples_of(content, results), library)

    @pytest.mark.parametrize(
        ('field', 'value', 'message'),
        [
            ('scores', float('nan'), 'not finite'),
            ('bboxes', float('inf'), 'not finite'),
            ('labels', 3, 'none of 3 classes'),
            ('labels', -1, 'none of 3 classes'),
        ],
    )
    def test_predictions(self, tmp_path, library, field, value, message):
        content, results = truth_and_predictions(0)
        samples = samples_of(content, results)
        chosen = next(s for s in samples if s['pred_instances']['masks'])
        chosen['pred_instances'][field][0] = value
        with pytest.raises(InputError, match=message):
            score(write(tmp_path, content), samples, library)

    def test_unknown_image(self, tmp_path, library):
        content, results = truth_and_predictions(0)
        samples = samples_of(content, results)
        samples[0]['img_id'] = 999
        with pytest.raises(InputError, match='image 999'):
            score(write(tmp_path, content), samples, library)

    def test_samples_of_one_image_id(self, tmp_path, library):
        content, results = truth_and_predictions(0)
        samples = samples_of(content, results)
        samples[1]['img_id'] = samples[0]['img_id']
        with pytest.raises(InputError, match='2 samples share the image id'):
            score(write(tmp_path, content), samples, library)

    def test_no_sample(self, tmp_path, library):
        content, _ = truth_and_predictions(0)
        metric = UltraSamCocoMetric(write(tmp_path, content), evaluator=library)
        with pytest.raises(InputError, match='no sample'):
            metric.compute_metrics([])

    def test_masks_that_were_not_predicted(self, tmp_path, library):
        content, results = truth_and_predictions(0)
        samples = samples_of(content, results)
        for sample in samples:
            del sample['pred_instances']['masks']
        with pytest.raises(InputError, match="metric=\\['bbox'\\]"):
            score(write(tmp_path, content), samples, library)

    def test_damaged_file(self, tmp_path, library):
        content, _ = truth_and_predictions(0)
        content['annotations'][0]['segmentation']['counts'] = '0' * 4000
        with pytest.raises(AnnotationError, match='1 faulty record, mend'):
            score(write(tmp_path, content), [], library)

    def test_damaged_truth_of_samples(self, library):
        content, results = truth_and_predictions(0)
        samples = samples_of(content, results)
        for sample in samples:
            sample['instances'] = [
                {'bbox': [1, 1, 9, 9], 'bbox_label': 0, 'mask': {'size': HW, 'counts': 'o'}}
            ]
        with pytest.raises(AnnotationError, match='damaged'):
            score(None, samples, library)

    def test_truth_without_masks(self, tmp_path, library):
        content, results = truth_and_predictions(0)
        content['annotations'][0].pop('segmentation')
        with pytest.raises(AnnotationError, match=r'1 of .* objects have no mask'):
            score(write(tmp_path, content), samples_of(content, results), library)

    def test_other_classes(self, tmp_path, library):
        content, results = truth_and_predictions(0)
        content['categories'][0]['name'] = 'lesion'
        with pytest.raises(ConfigError, match=r"\['lesion'.*ann_file=None"):
            score(write(tmp_path, content), samples_of(content, results), library)

    def test_samples_without_truth(self, library):
        content, results = truth_and_predictions(0)
        with pytest.raises(ConfigError, match='meta_keys'):
            score(None, samples_of(content, results), library)

    @pytest.mark.parametrize(
        ('options', 'message'),
        [
            (dict(metric='proposal_fast'), 'proposal_fast'),
            (dict(evaluator='fast'), "evaluator 'fast'"),
            (dict(use_mp_eval=True), 'use_mp_eval'),
            (dict(proposal_nums=(100,)), 'three numbers'),
        ],
    )
    def test_settings(self, options, message):
        with pytest.raises(ConfigError, match=message):
            UltraSamCocoMetric(None, **options)


def test_choice_without_the_faster_library(monkeypatch):
    monkeypatch.setattr('importlib.util.find_spec', lambda name: None)
    assert choose_evaluator('auto') == 'pycocotools'
    with pytest.raises(ConfigError, match=r'ultrasam\[evaluation\]'):
        choose_evaluator('faster-coco-eval')


def test_written_results(tmp_path):
    content, results = truth_and_predictions(0)
    prefix = str(tmp_path / 'run')
    scores = score(
        write(tmp_path, content),
        samples_of(content, results),
        'auto',
        format_only=True,
        outfile_prefix=prefix,
    )
    assert scores == {}
    written = json.loads((tmp_path / 'run.segm.json').read_text())
    assert len(written) == len(results)
