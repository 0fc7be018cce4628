"""Every config of a downstream task: it parses, starts from its encoder, trains two steps, validates and tests."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from mmdet.registry import HOOKS, MODELS
from mmengine.config import Config
from mmengine.registry import MODELS as ROOT_MODELS
from mmengine.registry import DefaultScope, init_default_scope
from mmengine.runner import Runner
from mmengine.utils import import_modules_from_strings

from tests.commands.runs import logged, run
from tests.configs.small import PUBLISHED_ROOT
from tests.configs.small_downstream import (
    BASES,
    CATEGORIES,
    CLASSES,
    CLASSIFICATION,
    CORPUS,
    LEAVES,
    REGRESSION,
    SEGMENTATION,
    name,
    parsed,
    small_config,
    write_all,
)
from tests.golden import ROOT, needs_golden, read_json
from ultrasam.checkpoints import load_checkpoint_file
from ultrasam.corpus.loading import load_spec
from ultrasam.errors import AnnotationError, CheckpointError, ConfigError
from ultrasam.openmmlab.runner import build_runner

pytestmark = pytest.mark.filterwarnings('ignore::UserWarning')

DOWNSTREAM = 'UltraSAM/UltraSAM_full/downstream'
FOLDERS = {
    'BUSBRA': 'BUSBRA',
    'GIST514-DB': 'GIST514-DB',
    'MMotu2d': 'MMOTU_2d',
    'classification': 'MMOTU_2d',
    'POCUS_by_patient': 'POCUS',
}
# the sets that are only classified, each with every encoder
ONLY_CLASSIFIED = ('AUL', 'BUSI', 'Butterfly', 'FattyLiver', 'POCUS', 'POCUS_by_patient', 'TN5000')
ENCODERS = (
    'MedSAM',
    'SAM',
    'UltraSam',
    'UltraSam_cross_entropy',
    'ViT',
    'lora',
    'lora_ultrasam',
    'med_sa',
    'resnet50',
)
PUBLISHED = {
    'segmentation': ('MedSAM', 'SAM', 'UltraSam', 'resnet'),
    'classification': ('MedSAM', 'SAM', 'UltraSam', 'ViT', 'lora', 'med_sa', 'resnet50'),
}
# one of each kind; the others differ from one of them by data or by the file of weights
QUICK = {
    f'{DOWNSTREAM}/segmentation/BUSBRA/UltraSam.py',
    f'{DOWNSTREAM}/segmentation/MMotu2d/UltraSam_pyramid.py',
    f'{DOWNSTREAM}/segmentation/GIST514-DB/resnet.py',
    f'{DOWNSTREAM}/classification/UltraSam_MMotu2d.py',
    f'{DOWNSTREAM}/classification/BUSBRA/ViT.py',
    f'{DOWNSTREAM}/classification/BUSBRA/lora_ultrasam.py',
    f'{DOWNSTREAM}/classification/GIST514-DB/med_sa.py',
    f'{DOWNSTREAM}/classification/BUSBRA/resnet50.py',
    f'{DOWNSTREAM}/classification/GIST514-DB/UltraSam_cross_entropy.py',
    f'{DOWNSTREAM}/classification/AUL/UltraSam.py',
    f'{DOWNSTREAM}/classification/simulated/nano.py',
    f'{DOWNSTREAM}/regression/simulated/nano.py',
}
FIGURES = {
    'segmentation': {'coco/segm_mAP', 'coco/bbox_mAP'},
    'classification': {
        f'classification/{key}'
        for key in ('precision', 'recall', 'f1', 'auc', 'average_precision', 'balanced_accuracy', 'ece')
    },
    'regression': {
        f'regression/{key}' for key in ('mae', 'rmse', 'r2', 'bias', 'lower_limit', 'upper_limit')
    },
}
PICTURES = {'classification': 'classification_confusion', 'regression': 'regression_agreement'}
CASES = [
    pytest.param(path, id=name(path), marks=() if name(path) in QUICK else pytest.mark.slow)
    for path in LEAVES
]


@pytest.fixture(scope='module')
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_all(tmp_path_factory.mktemp('small'))


@pytest.fixture(autouse=True)
def scope_given_back() -> Iterator[None]:
    """Classifiers run in the scope of mmpretrain; other tests expect that of mmdet."""
    yield
    init_default_scope('mmdet')


def checkpoint_of(config: Config) -> str:
    backbone = config.model.backbone
    return backbone.get('base_checkpoint') or backbone.init_cfg.checkpoint


def test_every_config_is_in_the_sweep():
    assert (len(BASES), len(SEGMENTATION), len(CLASSIFICATION), len(REGRESSION)) == (34, 19, 92, 3)
    assert len(LEAVES) == len(CASES) == 114
    assert {name(path) for path in LEAVES} >= QUICK
    sets = ('BUSBRA', 'GIST514-DB', 'MMotu2d')
    segmentation, classification = (PUBLISHED[task] for task in ('segmentation', 'classification'))
    published = {
        *(f'segmentation/{data}/{leaf}.py' for data in sets for leaf in segmentation),
        *(f'classification/{data}/{leaf}.py' for data in sets[:2] for leaf in classification),
        *(f'classification/{leaf}_MMotu2d.py' for leaf in classification),
        'segmentation/GIST514-DB/UltraSam_SA-1B.py',
        'classification/GIST514-DB/UltraSam_SA-1B.py',
        'classification/GIST514-DB/lora_ultrasam.py',
    }
    assert len(published) == 36
    more = {f'classification/{data}/{leaf}.py' for data in ONLY_CLASSIFIED for leaf in ENCODERS}
    assert len(more) == 63
    assert {f'{DOWNSTREAM}/{path}' for path in published | more} <= {name(path) for path in LEAVES}


@pytest.mark.parametrize('path', LEAVES, ids=name)
def test_leaf(path: Path):
    config = parsed(path)
    assert len(path.read_text().splitlines()) <= 15
    files = {config[f'{part}_dataloader'].dataset.ann_file for part in ('train', 'val', 'test')}
    assert len(files) == 3, 'a checkpoint is chosen by the test part'
    assert config.train_dataloader.batch_size == 8
    segments = 'segmentation' in path.parts
    assert config.train_cfg.max_iters == (8000 if segments else 2000)
    if segments:
        assert config.param_scheduler[1].milestones == [6000]
    assert config.optim_wrapper.type == 'FiniteOptimWrapper'
    assert config.default_hooks.checkpoint.type == 'VerifiedCheckpointHook'
    size = config.model.data_preprocessor.pad_size_divisor
    assert size == (256 if path.stem == 'nano' else 1024)
    assert config.model.backbone.get('img_size', size) == size
    for part in ('train', 'val', 'test'):
        steps = config[f'{part}_dataloader'].dataset.pipeline
        sizes = {step[key] for step in steps for key in ('scale', 'size', 'crop_size') if key in step}
        assert sizes == {(size, size)}


@pytest.mark.parametrize('path', [*SEGMENTATION, *CLASSIFICATION], ids=name)
def test_data_and_classes_of_a_leaf(path: Path):
    config = parsed(path)
    dataset = FOLDERS.get(path.parent.name, path.parent.name)
    classes = CATEGORIES if dataset == 'simulated' else CLASSES[dataset]
    root = {'simulated': 'data/simulated'}.get(dataset, PUBLISHED_ROOT if dataset in CORPUS else 'data')
    for part in ('train', 'val', 'test'):
        data = config[f'{part}_dataloader'].dataset
        assert data.metainfo.classes == classes
        assert data.data_root == root
        inner = f'{part}/' if dataset == 'simulated' else f'{dataset}/annotations/{part}'
        assert data.ann_file.startswith(inner)
        assert ('_by_patient' in data.ann_file) == (path.parent.name == 'POCUS_by_patient')
        evaluator = config.get(f'{part}_evaluator') or {}
        assert evaluator.get('ann_file') in (None, f'{data.data_root}/{data.ann_file}')
        assert part == 'train' or bool(evaluator.get('multi_label')) == bool(data.get('multi_label'))
    count = len(classes)
    if 'segmentation' in path.parts:
        head = config.model.panoptic_head
        assert head.num_things_classes == config.model.panoptic_fusion_head.num_things_classes == count
        assert head.loss_cls.class_weight == [1.0] * count + [0.1]
    else:
        assert config.model.head.num_classes == count


@pytest.mark.parametrize('dataset', CLASSES)
def test_classes_are_in_the_order_of_the_labels_that_a_converter_writes(dataset: str):
    files = [*(ROOT / 'datasets/us43d').glob('*.py'), *(ROOT / 'datasets/classification').glob('*.py')]
    (spec,) = (spec for spec in map(load_spec, files) if spec.name == dataset)
    assert spec.classes == CLASSES[dataset]


@pytest.mark.parametrize('path', CASES)
def test_runs(path: Path, folder: Path, tmp_path: Path):
    config = small_config(path, folder, tmp_path / 'work')
    runner = build_runner(config)
    weights: dict[str, torch.Tensor] = {}
    parameters: dict[str, torch.Tensor] = {}
    runner.call_hook = spy(runner, weights, parameters)
    runner.train()
    (log,) = (tmp_path / 'work').rglob('*.log')
    check_account(config, log.read_text(), weights)
    assert runner.iter == 2
    after = dict(runner.model.named_parameters())
    changed = {key for key, value in parameters.items() if not torch.equal(value, after[key])}
    assert any(key.startswith('backbone.') for key in changed)
    assert any('head.' in key for key in changed)
    assert all(after[key].requires_grad for key in changed)
    assert (tmp_path / 'work' / 'iter_2.pth').is_file()
    scores = runner.test()
    (task,) = FIGURES.keys() & set(path.parts)
    assert FIGURES[task] <= set(scores)
    assert all(np.isfinite(value) for value in scores.values())
    if task in PICTURES:
        assert list((tmp_path / 'work').rglob(f'{PICTURES[task]}_*.png'))


def spy(runner: Runner, weights: dict[str, torch.Tensor], parameters: dict[str, torch.Tensor]):
    """Copies both as they are when training begins."""
    plain = runner.call_hook

    def call(stage: str, **kwargs: object) -> None:
        if stage == 'before_train':
            model = runner.model
            weights.update({key: value.detach().clone() for key, value in model.state_dict().items()})
            parameters.update({key: value.detach().clone() for key, value in model.named_parameters()})
        plain(stage, **kwargs)

    return call


def check_account(config: Config, log: str, before: dict[str, torch.Tensor]) -> None:
    """The encoder holds what its file holds, all of it, and the log says so."""
    file = checkpoint_of(config)
    weights = load_checkpoint_file(file)
    weights = weights.get('state_dict', weights)
    inside = {key.removeprefix('backbone.'): value for key, value in weights.items()}
    if any(key.startswith('backbone.') for key in weights):
        inside = {
            key.removeprefix('backbone.'): value
            for key, value in weights.items()
            if key.startswith('backbone.')
        }
    ours = {
        key.removeprefix('backbone.'): value for key, value in before.items() if key.startswith('backbone.')
    }
    ours = {
        key.removeprefix('module.').replace('.original_layer.', '.'): value for key, value in ours.items()
    }
    new = {key for key in ours if re.search(r'lora_|_adapter|^ln2\.', key)}
    left = {key for key in inside if re.match(r'channel_reduction|fc\.|cls_token', key)}
    resized = {'pos_embed'} if 'MeanToken' in config.model.backbone.type else set()
    assert set(inside) - left == set(ours) - new
    for key in set(inside) - left - resized:
        assert torch.equal(inside[key], ours[key]), key
    matched = len(set(inside) - left)
    (line,) = (
        line for line in log.splitlines() if re.search(r'initialised from|adapts', line) and file in line
    )
    assert f'{matched} tensors match' in line
    if left and 'Lora' not in config.model.backbone.type:
        assert f'{len(left)} unexpected as allowed' in line


GOLDEN = {
    'segmentation/BUSBRA/UltraSam.py': 'seg_BUSBRA_UltraSam(Mask2Former+ViTSAM)',
    'segmentation/BUSBRA/resnet.py': 'seg_BUSBRA_resnet(Mask2Former+R50)',
    'classification/BUSBRA/UltraSam.py': 'cls_BUSBRA_UltraSam',
    'classification/BUSBRA/lora.py': 'cls_BUSBRA_lora',
    'classification/BUSBRA/med_sa.py': 'cls_BUSBRA_med_sa',
    'classification/BUSBRA/ViT.py': 'cls_BUSBRA_ViT',
    'classification/BUSBRA/resnet50.py': 'cls_BUSBRA_resnet50',
}

# parameters that are trained, as published
TRAINED = {
    'segmentation/BUSBRA/UltraSam.py': 109_182_147,
    'segmentation/BUSBRA/resnet.py': 43_950_211,
    'classification/BUSBRA/UltraSam.py': 88_884_994,
    'classification/BUSBRA/lora.py': 591_362,
    'classification/BUSBRA/med_sa.py': 14_206_594,
    'classification/BUSBRA/ViT.py': 88_795_394,
    'classification/BUSBRA/resnet50.py': 23_512_130,
}


@needs_golden
@pytest.mark.parametrize('path', GOLDEN)
def test_names_and_shapes_are_the_published_ones(path: str):
    config = parsed(ROOT / 'configs' / DOWNSTREAM / path)
    import_modules_from_strings(**config.custom_imports)
    published = read_json('checkpoint_names.json')[GOLDEN[path]]
    settings = Config(config.model.to_dict())
    settings.backbone.pop('init_cfg', None)
    settings.backbone.pop('base_checkpoint', None)
    init_default_scope(config.default_scope)
    # shapes alone: no memory, and no time to draw random numbers
    with torch.device('meta'):
        model = ROOT_MODELS.build(settings)
    ours = {key: list(value.shape) for key, value in model.state_dict().items()}
    if path in TRAINED:
        assert sum(one.numel() for one in model.parameters() if one.requires_grad) == TRAINED[path]
    if 'lora' in path:
        # a checkpoint leaves out the base
        ours = {
            key: shape for key, shape in ours.items() if 'lora_' in key or not key.startswith('backbone.')
        }
    assert ours == {key: entry['shape'] for key, entry in published.items()}


def test_encoder_of_another_width_is_refused(folder: Path, tmp_path: Path):
    path = ROOT / 'configs' / DOWNSTREAM / 'segmentation/BUSBRA/UltraSam.py'
    config = small_config(path, folder, tmp_path / 'work')
    config.model.backbone.arch.update(embed_dims=64)
    config.model.panoptic_head.in_channels = [64, 64]
    with pytest.raises(CheckpointError, match=r'UltraSam\.pth: does not fit SamFeatureEncoder'):
        build_runner(config).train()


def test_weights_without_encoder_are_refused(folder: Path, tmp_path: Path):
    path = ROOT / 'configs' / DOWNSTREAM / 'classification/BUSBRA/UltraSam.py'
    config = small_config(path, folder, tmp_path / 'work')
    config.model.backbone.init_cfg.checkpoint = str(folder / 'weights/resnet50-0676ba61.pth')
    with pytest.raises(CheckpointError, match=r"no weights under the prefix 'backbone\.'"):
        build_runner(config).train()


@pytest.mark.parametrize('path', ['segmentation/BUSBRA/UltraSam.py', 'classification/BUSBRA/UltraSam.py'])
def test_another_number_of_classes_is_refused(path: str, folder: Path, tmp_path: Path):
    config = small_config(ROOT / 'configs' / DOWNSTREAM / path, folder, tmp_path / 'work')
    if 'head' in config.model:
        config.model.head.num_classes = 3
    else:
        config.model.panoptic_head.num_things_classes = 3
        config.model.panoptic_head.loss_cls.class_weight = [1.0] * 3 + [0.1]
    with pytest.raises(ConfigError, match='is 3, but the train data have 2 classes'):
        build_runner(config).train()


@pytest.mark.parametrize(
    ('text', 'message'),
    [
        (
            '{0} 3\n{1} 0\n',
            r"train\.txt, line 1: '3' is no class of the config \(0 Normal, 1 Benign, 2 Malignant\)",
        ),
        ('{0} 1\n{1} 1\n', r'train\.txt: all 2 images are of one class'),
        ('{0} 0\nimages/gone.png 1\n', r'train\.txt: 1 of 2 images are not on disk \(.*gone\.png\)'),
        ('', r'train\.txt: the list is empty'),
        (None, r'train\.txt: the list of images and classes cannot be read'),
    ],
)
def test_a_list_that_cannot_be_used_stops_the_run(
    text: str | None, message: str, folder: Path, tmp_path: Path
):
    path = ROOT / 'configs' / DOWNSTREAM / 'classification/AUL/UltraSam.py'
    config = small_config(path, folder, tmp_path / 'work')
    data = config.train_dataloader.dataset
    names = [line.split()[0] for line in (Path(data.data_root) / data.ann_file).read_text().splitlines()]
    data.ann_file = str(tmp_path / 'train.txt')
    if text is not None:
        Path(data.ann_file).write_text(text.format(*names))
    with pytest.raises(AnnotationError, match=message):
        build_runner(config).train()


def test_another_number_of_values_is_refused(folder: Path, tmp_path: Path):
    path = ROOT / 'configs' / DOWNSTREAM / 'regression/simulated/nano.py'
    config = small_config(path, folder, tmp_path / 'work')
    config.model.head.update(mean=[1.0, 2.0], std=[1.0, 1.0])
    with pytest.raises(ConfigError, match=r'the data have 1 values an image, model\.head 2'):
        build_runner(config).train()


def test_several_classes_an_image(folder: Path, tmp_path: Path):
    config = small_config(
        ROOT / 'configs' / DOWNSTREAM / 'classification/BUSBRA/UltraSam.py', folder, tmp_path / 'work'
    )
    for part in ('train', 'val', 'test'):
        data = config[f'{part}_dataloader'].dataset
        source = Path(data.data_root) / data.ann_file
        images = [line.split()[0] for line in source.read_text().splitlines()]
        labels = ('0', '0,1', '-', '1')
        target = tmp_path / f'{part}.txt'
        target.write_text(''.join(f'{image} {labels[index % 4]}\n' for index, image in enumerate(images)))
        data.update(ann_file=str(target), multi_label=True)
    for part in ('val', 'test'):
        config[f'{part}_evaluator'].multi_label = True
    runner = build_runner(config)
    runner.train()
    scores = runner.test()
    assert 0 <= scores['classification/f1'] <= 1


def test_a_crop_without_object_is_a_sample_to_learn_from(folder: Path, tmp_path: Path):
    path = ROOT / 'configs' / DOWNSTREAM / 'segmentation/BUSBRA/UltraSam.py'
    runner = build_runner(small_config(path, folder, tmp_path / 'work'))
    loader = runner.build_dataloader(runner.cfg.train_dataloader, seed=0)
    batch = next(iter(loader))
    (first, *_) = batch['data_samples']
    first.gt_instances = first.gt_instances[torch.zeros(len(first.gt_instances), dtype=torch.bool)]
    data = runner.model.data_preprocessor(batch, True)
    losses, _ = runner.model.parse_losses(runner.model(**data, mode='loss'))
    losses.backward()
    assert torch.isfinite(losses)
    assert runner.model.backbone.pos_embed.grad.abs().sum() > 0


def test_trained_adapters_come_back_and_need_their_base(folder: Path, tmp_path: Path):
    path = ROOT / 'configs' / DOWNSTREAM / 'classification/BUSBRA/lora_ultrasam.py'
    runner = build_runner(small_config(path, folder, tmp_path / 'first'))
    runner.train()
    saved = load_checkpoint_file(tmp_path / 'first/iter_2.pth')['state_dict']
    assert {key.split('.')[0] for key in saved} == {'backbone', 'head'}
    assert all('lora_' in key for key in saved if key.startswith('backbone.'))
    config = small_config(path, folder, tmp_path / 'second')
    config.load_from = str(tmp_path / 'first/iter_2.pth')
    again = build_runner(config)
    again.load_or_resume()
    theirs, ours = runner.model.state_dict(), again.model.state_dict()
    assert all(torch.equal(theirs[key], ours[key]) for key in theirs)
    config = small_config(path, folder, tmp_path / 'third')
    config.load_from = str(tmp_path / 'first/iter_2.pth')
    config.model.backbone.base_checkpoint = str(folder / 'weights/mapped_medsam_vit_b.pth')
    with pytest.raises(CheckpointError, match='another base'):
        build_runner(config).load_or_resume()


def test_the_scope_of_mmdet_knows_the_parts_too():
    assert MODELS.get('SamFeatureEncoder') is not None
    assert MODELS.get('SimpleFeaturePyramid') is not None
    assert HOOKS.get('SameClassesHook') is not None
    assert DefaultScope.get_current_instance() is not None


@pytest.mark.slow
@pytest.mark.parametrize(
    ('package', 'path', 'figure'),
    [
        ('mmpretrain', 'classification/BUSBRA/UltraSam.py', 'classification/f1'),
        ('mmdet', 'segmentation/BUSBRA/UltraSam.py', 'coco/segm_mAP'),
    ],
)
def test_as_typed(package: str, path: str, figure: str, folder: Path, tmp_path: Path):
    config = small_config(ROOT / 'configs' / DOWNSTREAM / path, folder, tmp_path)
    for part in ('train', 'val', 'test'):
        config[f'{part}_dataloader'].update(num_workers=1, persistent_workers=True)
    config.train_dataloader.timeout = 300
    for key in ('work_dir', 'launcher', 'experiment_name'):
        config.pop(key)
    typed = f'configs/{DOWNSTREAM}/{path}'
    (folder / typed).parent.mkdir(parents=True, exist_ok=True)
    config.dump(str(folder / typed))
    trained = run(
        ['mim', 'train', package, typed, '--work-dir', tmp_path / 'work', '--gpus', '0'], cwd=folder
    )
    assert trained.returncode == 0, trained.stdout[-3000:]
    assert '31 tensors match' in trained.stdout
    assert len(logged(trained.stdout, figure)) == 1
    tested = run(
        [
            'mim', 'test', package, typed, '--checkpoint', tmp_path / 'work/iter_2.pth', '--gpus', '0',
            '--work-dir', tmp_path / 'tested',
        ],
        cwd=folder,
    )  # fmt: skip
    assert tested.returncode == 0, tested.stdout[-3000:]
    assert len(logged(tested.stdout, figure)) == 1
    ours = run([sys.executable, ROOT / 'tools/train.py', typed, '--work-dir', tmp_path / 'ours'], cwd=folder)
    assert ours.returncode == 0, ours.stdout[-3000:]
