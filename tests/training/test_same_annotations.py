"""A run whose evaluator judges by another file than its data loader reads does not start."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from mmdet.evaluation import CocoMetric
from mmengine.config import Config
from mmengine.registry import HOOKS

from tests.corpus.tools.tiny import coco, write_dataset
from ultrasam.errors import AnnotationError, ConfigError
from ultrasam.openmmlab.datasets import UltraSamCocoDataset
from ultrasam.openmmlab.hooks.annotations import check_evaluator
from ultrasam.openmmlab.metrics.coco import UltraSamCocoMetric

PROJECT = Path(__file__).resolve().parents[2]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return write_dataset(tmp_path, 'A', coco({'a': [1, 1], 'b': [2]})) / 'annotations/A__coco.json'


def loaded(path: Path, **options: Any) -> UltraSamCocoDataset:
    settings: dict[str, Any] = {
        'metainfo': {'classes': ('kind1', 'kind2')},
        'test_mode': True,
        'pipeline': [],
    }
    images = {'img': str(path.parents[1] / 'images')}
    return UltraSamCocoDataset(ann_file=str(path), data_prefix=images, **{**settings, **options})


def check(dataset: Any, *files: Path | None, kind: type = CocoMetric) -> None:
    settings = [{'type': 'CocoMetric', 'ann_file': None if file is None else str(file)} for file in files]
    metrics = [kind(ann_file=one['ann_file']) for one in settings]
    check_evaluator('test', dataset, SimpleNamespace(metrics=metrics), settings)


def changed(path: Path, change: Any) -> Path:
    content = json.loads(path.read_text())
    change(content)
    target = path.with_name(f'{change.__name__}.json')
    target.write_text(json.dumps(content))
    return target


def test_same_file_or_none(path: Path, tmp_path: Path) -> None:
    copy, link = tmp_path / 'copy.json', tmp_path / 'link.json'
    copy.write_bytes(path.read_bytes())
    link.symlink_to(path)
    check(loaded(path), path, copy, link, None)


def test_wrapped_data_set(path: Path) -> None:
    wrapper = SimpleNamespace(dataset=loaded(path), metainfo={'classes': ('kind1',)})
    with pytest.raises(TypeError):
        len(wrapper)  # type: ignore[arg-type]

    class Wrapper:
        dataset = wrapper.dataset
        metainfo = wrapper.metainfo

        def __len__(self) -> int:
            return 3

    check(Wrapper(), path)


def test_another_file(path: Path) -> None:
    def fewer(content: dict) -> None:
        content['annotations'].pop()

    with pytest.raises(
        ConfigError, match=r'test_evaluator judges by .*fewer\.json, the data loader reads .*A__coco'
    ):
        check(loaded(path), path, changed(path, fewer))


@pytest.mark.parametrize('kind', [CocoMetric, UltraSamCocoMetric])
def test_some_samples_only(path: Path, kind: type) -> None:
    with pytest.raises(ConfigError, match=r'has 3 images, the data loader gives 2 samples'):
        check(loaded(path, indices=2), path, kind=kind)
    check(loaded(path, indices=2), None, kind=kind)
    check(loaded(path), path, kind=kind)


@pytest.mark.parametrize('kind', [CocoMetric, UltraSamCocoMetric])
def test_classes_that_the_file_lacks(path: Path, kind: type) -> None:
    agnostic = loaded(path, class_agnostic=True, metainfo={'classes': ('object',)})
    with pytest.raises(ConfigError, match=r"not \['object'\]: set test_evaluator.ann_file=None"):
        check(agnostic, path, kind=kind)


@pytest.mark.parametrize('id_', [0, 'a1'])
def test_ids_that_evaluators_misread(path: Path, id_: Any) -> None:
    def odd(content: dict) -> None:
        content['annotations'][0]['id'] = id_

    file = changed(path, odd)
    with pytest.raises(AnnotationError, match=rf'{file.name}: 1 annotations have ids such as {id_!r}'):
        check(loaded(file), file)
    check(loaded(file), file, kind=UltraSamCocoMetric)


def test_id_0_would_be_a_miss(path: Path) -> None:
    """Why ids from 0 are refused: pycocotools takes a match with the object 0 for none."""
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    scores = {}
    for first in (0, 1):
        truth = COCO()
        truth.dataset = json.loads(path.read_text())
        for number, one in enumerate(truth.dataset['annotations'], start=first):
            one['id'] = number
        truth.createIndex()
        found = truth.loadRes(
            [
                {
                    'image_id': one['image_id'],
                    'category_id': one['category_id'],
                    'bbox': one['bbox'],
                    'score': 0.9,
                }
                for one in truth.dataset['annotations']
            ]
        )
        evaluation = COCOeval(truth, found, 'bbox')
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
        scores[first] = evaluation.stats[0]
    assert scores[1] == 1.0
    assert scores[0] < 1.0


def test_shipped_configs_have_the_hook() -> None:
    import ultrasam.openmmlab.registry  # noqa: F401

    configs = sorted(path for path in (PROJECT / 'configs/UltraSAM').rglob('*.py'))
    assert configs
    for config in configs:
        hooks = Config.fromfile(str(config)).default_hooks
        assert any(
            HOOKS.get(hook['type']).__name__ == 'SameAnnotationsHook' for hook in hooks.values() if hook
        ), config
