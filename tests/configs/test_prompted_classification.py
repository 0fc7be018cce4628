"""Configs of prompted classification: what they say, and a run of each from start to test."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from mmdet.registry import MODELS
from mmengine.config import Config
from mmengine.utils import import_modules_from_strings

from tests.corpus.tools.tiny import coco, write_dataset
from tests.golden import ROOT, needs_golden, read_json
from tests.models.test_properties import SIZE, TINY, tiny_model
from ultrasam.corpus.splits import split_corpus
from ultrasam.errors import ConfigError
from ultrasam.openmmlab.runner import build_runner

CONFIGS = sorted((ROOT / 'configs/UltraSAM/UltraSAM_full/downstream/prompted_classification').glob('*.py'))
DATA = {'BUSBRA': ('BUSBRA', 2), 'GIST514-DB': ('GIST514-DB', 2), 'MMotu2d': ('MMOTU_2d', 8)}


@needs_golden
def test_names_and_shapes_are_those_of_the_published_head():
    variants = read_json('checkpoint_names.json')
    (published,) = (tensors for name, tensors in variants.items() if 'SamClassificationHead' in name)
    config = Config.fromfile(CONFIGS[0], import_custom_modules=False).model
    with torch.device('meta'):
        own = MODELS.build(config).state_dict()
    assert {name: list(tensor.shape) for name, tensor in own.items()} == {
        name: entry['shape'] for name, entry in published.items()
    }
    assert len(own) == 297


def write_classes(root: Path, name: str, count: int) -> None:
    """A data set whose images have objects of each class, split by the tool that users run."""
    classes = parsed(name).metainfo.classes
    content = coco({f'p{number}': [1 + number % count] for number in range(3 * count)})
    test = coco({f't{number}': [1 + number % count] for number in range(count)}, first_image=90)
    for file in (content, test):
        file['categories'] = [{'id': 1 + index, 'name': text} for index, text in enumerate(classes)]
    split_corpus(write_dataset(root, DATA[name][0], content, test))


def parsed(name: str) -> Config:
    path = next(path for path in CONFIGS if path.stem == name)
    return Config.fromfile(path, import_custom_modules=False)


def small_config(name: str, folder: Path) -> Config:
    """A config as it is, but for sizes, the folder of its files, processes and one step of training."""
    config = Config(parsed(name).to_dict(), format_python_code=False)
    import_modules_from_strings(**config.custom_imports)
    model = config.model
    model.data_preprocessor.pad_size_divisor = model.prompt_encoder.img_size = SIZE
    model.backbone.update(arch=TINY, img_size=SIZE)
    model.bbox_head.image_dims = TINY['embed_dims']
    for part in ('train', 'val', 'test'):
        loader = config[f'{part}_dataloader']
        loader.update(batch_size=min(2, loader.batch_size), num_workers=0, persistent_workers=False)
        loader.pop('timeout', None)
        loader.dataset.data_root = str(folder)
        for step in loader.dataset.pipeline:
            step.update({key: (SIZE, SIZE) for key in ('scale',) if key in step})
    for evaluator in (config.val_evaluator, config.test_evaluator):
        evaluator[0].ann_file = str(folder / '/'.join(Path(evaluator[0].ann_file).parts[-3:]))
    config.train_cfg.update(max_iters=1, val_interval=1)
    config.default_hooks.logger.interval = 1
    config.load_from = str(folder / 'UltraSam.pth')
    config.update(work_dir=str(folder / 'run'), launcher='none', experiment_name=str(folder))
    config.visualizer.name = str(folder)
    torch.save({'state_dict': tiny_model().state_dict(), 'meta': {}}, config.load_from)
    return config


def test_every_config_is_in_the_sweep():
    assert [path.stem for path in CONFIGS] == sorted(DATA)
    for path in CONFIGS:
        config = parsed(path.stem)
        folder, count = DATA[path.stem]
        assert len(path.read_text().splitlines()) <= 15
        assert config.model.bbox_head.num_classes == len(config.metainfo.classes) == count
        assert config.load_from == 'weights/UltraSam.pth'
        for part in ('train', 'val', 'test'):
            data = config[f'{part}_dataloader'].dataset
            assert data.ann_file == f'{folder}/annotations/{part}.{folder}__coco.json'
            assert data.metainfo.classes == config.metainfo.classes
            if part != 'train':
                masks, classes = config[f'{part}_evaluator']
                assert masks.ann_file == f'{config.data_root}/{data.ann_file}'
                assert classes.type == 'ObjectLabelMetric'


@pytest.mark.filterwarnings('ignore::UserWarning')
@pytest.mark.parametrize(
    'name',
    [
        'BUSBRA',
        pytest.param('GIST514-DB', marks=pytest.mark.slow),
        pytest.param('MMotu2d', marks=pytest.mark.slow),
    ],
)
def test_a_config_starts_from_ultrasam_trains_a_step_validates_and_tests(name: str, tmp_path: Path):
    write_classes(tmp_path, name, DATA[name][1])
    config = small_config(name, tmp_path)
    weights = torch.load(config.load_from)['state_dict']
    runner = build_runner(config)
    runner.train()
    log = next((tmp_path / 'run').rglob('*.log')).read_text()
    assert f'loaded {len(weights)} tensors from {config.load_from}' in log
    assert '4 missing as allowed (bbox_head.cls_prediction_head.layers.0.weight' in log
    metrics = runner.test()
    assert {'object/f1', 'object/precision', 'object/recall', 'coco/segm_mAP'} <= set(metrics)
    assert 0 <= metrics['object/f1'] <= 1
    scalars = next((tmp_path / 'run').rglob('vis_data/scalars.json')).read_text().splitlines()
    step = json.loads(scalars[0])
    assert step['loss_cls'] > 0
    assert step['loss_cls.0'] > 0


@pytest.mark.filterwarnings('ignore::UserWarning')
def test_another_number_of_classes_than_the_data_stops_the_run(tmp_path: Path):
    write_classes(tmp_path, 'BUSBRA', 2)
    config = small_config('BUSBRA', tmp_path)
    config.model.bbox_head.num_classes = 3
    with pytest.raises(ConfigError, match=r'model.bbox_head.num_classes is 3, but the train data have 2'):
        build_runner(config).train()
