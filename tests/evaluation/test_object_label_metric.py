"""Classes judged object by object."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from ultrasam.errors import AnnotationError, ConfigError
from ultrasam.evaluation.classification import single_label_figures
from ultrasam.openmmlab.metrics.object_labels import ObjectLabelMetric

CLASSES = ('benign', 'malignant', 'cyst')


def sample(scores: list, labels: list[int], name: str = 'a.png') -> dict:
    return dict(
        img_path=name,
        pred_instances=dict(cls_scores=torch.tensor(scores).reshape(-1, len(CLASSES))),
        gt_instances=dict(labels=torch.tensor(labels, dtype=torch.long)),
    )


def metric(classes: tuple[str, ...] = CLASSES, **options) -> ObjectLabelMetric:
    made = ObjectLabelMetric(draw=False, **options)
    made.dataset_meta = dict(classes=classes)
    return made


def evaluate(judge: ObjectLabelMetric, samples: list[dict]) -> dict[str, float]:
    for one in samples:
        judge.process({}, [one])
    return judge.evaluate(len(samples))


def test_every_object_counts_once_however_many_an_image_has():
    rng = np.random.default_rng(0)
    counts = (5, 0, 1, 14)
    scores = [rng.random((count, 3)).astype(np.float32) for count in counts]
    labels = [rng.integers(0, 3, count) for count in counts]
    found = evaluate(metric(), [sample(s.tolist(), n.tolist()) for s, n in zip(scores, labels, strict=True)])
    expected = single_label_figures(np.concatenate(scores), np.concatenate(labels))
    for name in ('precision', 'recall', 'f1', 'auc', 'balanced_accuracy', 'ece'):
        assert found[f'object/{name}'] == pytest.approx(getattr(expected, name), abs=1e-6), name
    for i, name in enumerate(CLASSES):
        assert found[f'object/f1_{name}'] == pytest.approx(expected.per_class.f1[i], abs=1e-6)
        assert found[f'object/recall_{name}'] == pytest.approx(expected.per_class.recall[i], abs=1e-6)
        assert found[f'object/auc_{name}'] == pytest.approx(expected.per_class.auc[i], abs=1e-6)


def test_figures_by_hand():
    found = evaluate(
        metric(('benign', 'malignant', 'cyst')),
        [
            sample([[0.9, 0.1, 0.0], [0.2, 0.7, 0.1]], [0, 1]),
            sample([[0.6, 0.3, 0.1], [0.1, 0.2, 0.7]], [1, 2]),
        ],
    )
    assert found['object/accuracy'] == 0.75
    assert found['object/f1_benign'] == pytest.approx(2 / 3, abs=1e-6)
    assert found['object/f1_malignant'] == pytest.approx(2 / 3, abs=1e-6)
    assert found['object/f1'] == pytest.approx((2 / 3 + 2 / 3 + 1) / 3, abs=1e-6)
    assert found['object/recall'] == pytest.approx((1 + 0.5 + 1) / 3, abs=1e-6)


def test_several_classes_an_object_by_threshold():
    scores = [[0.9, 0.6, 0.0], [0.2, 0.4, 0.1], [0.1, 0.2, 0.8]]
    found = evaluate(metric(multi_label=True, threshold=0.5), [sample(scores, [0, 1, 2])])
    # the first is of a class too many, the second of none
    assert found['object/accuracy'] == pytest.approx(1 / 3, abs=1e-6)
    assert found['object/f1_malignant'] == 0
    lower = evaluate(metric(multi_label=True, threshold=0.3), [sample(scores, [0, 1, 2])])
    assert lower['object/recall_malignant'] == 1


@pytest.mark.parametrize(
    ('samples', 'error', 'message'),
    [
        ([sample([], []), sample([], [])], AnnotationError, '2 images without any object'),
        ([sample([[0.1, 0.2, 0.3]], [0, 1])], ConfigError, 'a.png: 1 predictions for 2 objects'),
        (
            [dict(pred_instances={}, gt_instances=dict(labels=torch.tensor([0])))],
            ConfigError,
            'without cls_scores',
        ),
    ],
)
def test_what_cannot_be_judged_is_named(samples: list[dict], error: type[Exception], message: str):
    with pytest.raises(error, match=message):
        evaluate(metric(), samples)


def test_another_number_of_classes_than_the_data_is_named():
    with pytest.raises(ConfigError, match='scores 3 classes, the data have 2'):
        evaluate(metric(('benign', 'malignant')), [sample([[0.1, 0.2, 0.7]], [0])])
