"""The runs that `benchmarks/downstream.py` compares: frames, configs at the size of the small encoder, one run."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.config import Config, ConfigDict
from mmengine.registry import MODELS, init_default_scope
from mmengine.runner import set_random_seed

import ultrasam
from ultrasam.evaluation.classification_probes import FeatureTable, linear_probe
from ultrasam.openmmlab.classification_features import features_of_config
from ultrasam.openmmlab.launch import load_run_config
from ultrasam.openmmlab.runner import build_runner
from ultrasam.simulation import LESION_SETS, write_coco_dataset

ROOT = Path(ultrasam.__file__).parents[1]
LEAVES = ROOT / 'configs/UltraSAM/UltraSAM_full/downstream'
CHECKPOINT = ROOT / 'weights/ultrasam_nano_256.pth'
SIDE_PX = 256
ENCODER = Config.fromfile(ROOT / 'configs/UltraSAM/nano/ultrasam_nano_256.py').model.backbone.arch
NUM_LAYERS, WIDTH = ENCODER['num_layers'], ENCODER['embed_dims']
PARTS = {'train': (640, 810), 'val': (200, 811), 'test': (400, 812)}
"""Number of frames and seed of each part, half as many to test on if a frame holds several lesions."""

TASKS: dict[str, dict[str, Any]] = {
    'probe': dict(leaf='classification/BUSBRA/UltraSam_cross_entropy.py', most_lesions=1),
    'classifier': dict(leaf='classification/BUSBRA/UltraSam_cross_entropy.py', most_lesions=1),
    'mask2former': dict(leaf='segmentation/BUSBRA/UltraSam.py', most_lesions=3),
    'pyramid': dict(leaf='segmentation/BUSBRA/UltraSam_pyramid.py', most_lesions=3),
    'prompted': dict(leaf='prompted_classification/BUSBRA.py', most_lesions=3),
}
"""By kind of model, the config that it is made from and the frames it learns from."""

FIGURES: dict[str, dict[str, str]] = {
    'classifier': {'macro F1': 'classification/f1', 'AUC': 'classification/auc'},
    'mask2former': {'segm mAP': 'coco/segm_mAP', 'segm mAP50': 'coco/segm_mAP_50'},
    'prompted': {
        'object macro F1': 'object/f1',
        'object AUC': 'object/auc',
        'segm mAP': 'coco/segm_mAP',
    },
}
FIGURES['pyramid'] = FIGURES['mask2former']
FIGURES['probe'] = {'macro F1': 'f1', 'AUC': 'auc'}


@dataclass(frozen=True, kw_only=True)
class Run:
    """One training and its test.

    Attributes:
        task: One of ``TASKS``.
        lesions: One of ``LESION_SETS``.
        start: Of the encoder, ``random`` or ``encoder``, that of the checkpoint; all else starts at random.
        frames: Number of training frames.
        iterations: Steps.
        lr: Learning rate.
        batch: Frames a step.
        seed: Of initialisation, order and augmentation; it also chooses the training frames.
        part: Frames that are tested on: ``test``, or ``val`` to compare learning rates.
    """

    task: str
    lesions: str
    start: str
    frames: int
    iterations: int
    lr: float
    batch: int
    seed: int
    part: str = 'test'

    @property
    def name(self) -> str:
        """A file name of its own."""
        return '-'.join(str(value) for value in asdict(self).values())

    @property
    def first(self) -> int:
        """Place of the first training frame: a seed takes frames of its own as long as there are enough."""
        return self.seed * self.frames % (PARTS['train'][0] - self.frames + 1)


def write_data(folder: Path, runs: list[Run], *, jobs: int) -> None:
    """Simulate the frames that runs need and that are not there yet."""
    for lesions, most in sorted({(run.lesions, TASKS[run.task]['most_lesions']) for run in runs}):
        for part, (count, seed) in PARTS.items():
            place = folder / f'{lesions}_{most}' / part
            count = count // 2 if part == 'test' and most > 1 else count
            if not place.exists():
                write_coco_dataset(
                    place, count, seed, size=SIDE_PX, lesions=lesions, most_lesions=most, jobs=jobs
                )


def training_subset(folder: Path, run: Run) -> str:
    """Write the list or COCO file of the training frames of a run: its name within the folder of the frames."""
    first, stem = run.first, f'train_{run.frames}_{run.first}'
    if run.task in ('classifier', 'probe'):
        lines = (folder / 'train/image_classes.txt').read_text().splitlines(keepends=True)
        (folder / f'{stem}.txt').write_text(''.join(lines[first : first + run.frames]))
        return f'{stem}.txt'
    coco = json.loads((folder / 'train/annotations.json').read_text())
    coco['images'] = coco['images'][first : first + run.frames]
    kept = {image['id'] for image in coco['images']}
    coco['annotations'] = [item for item in coco['annotations'] if item['image_id'] in kept]
    (folder / f'{stem}.json').write_text(json.dumps(coco))
    return f'{stem}.json'


def build_config(run: Run, data: Path, work_dir: Path) -> Config:
    """The config of a task as it ships, with the small encoder, simulated frames and a short schedule."""
    task = TASKS[run.task]
    cfg = load_run_config(str(LEAVES / task['leaf']), work_dir=str(work_dir))
    classes = tuple(one.name for one in LESION_SETS[run.lesions])
    folder = data / f'{run.lesions}_{task["most_lesions"]}'
    _set_data(cfg, run, folder, classes)
    _set_schedule(cfg, run)
    cfg.model.data_preprocessor.pad_size_divisor = SIDE_PX
    cfg.merge_from_dict({'model.backbone': dict(img_size=SIDE_PX, arch=dict(_delete_=True, **ENCODER))})
    shrink = {'classifier': _set_classifier, 'probe': _set_classifier, 'prompted': _set_prompted}.get(
        run.task, _set_mask2former
    )
    shrink(cfg.model, len(classes))
    _set_start(cfg, run)
    cfg.default_hooks.update(checkpoint=None)
    cfg.default_hooks.pop('visualization', None)
    cfg.update(randomness=dict(seed=run.seed), experiment_name=run.name)
    cfg.visualizer.name = run.name
    return cfg


def _set_data(cfg: Config, run: Run, folder: Path, classes: tuple[str, ...]) -> None:
    """Simulated frames of 256 px, read by the process that trains."""
    is_list = run.task in ('classifier', 'probe')
    of_part = {'train': 'train', 'val': 'val', 'test': run.part}
    for stage, part in of_part.items():
        loader = cfg[f'{stage}_dataloader']
        loader.update(
            batch_size=run.batch if stage == 'train' else 4, num_workers=0, persistent_workers=False
        )
        loader.pop('timeout', None)
        whole = f'{part}/{"image_classes.txt" if is_list else "annotations.json"}'
        loader.dataset.update(
            data_root=str(folder),
            metainfo=dict(classes=classes),
            ann_file=training_subset(folder, run) if stage == 'train' else whole,
            data_prefix=f'{part}/images' if is_list else dict(img=f'{part}/images'),
        )
        for step in loader.dataset.pipeline:
            step.update({key: (SIDE_PX, SIDE_PX) for key in ('scale', 'crop_size', 'size') if key in step})
            if step.type == 'RandomResize':
                step.ratio_range = (0.8, 1.25)
    for stage, part in (('val', 'val'), ('test', run.part)):
        found = cfg[f'{stage}_evaluator']
        for evaluator in found if isinstance(found, list) else [found]:
            if evaluator.get('ann_file'):
                evaluator.ann_file = str(folder / part / 'annotations.json')


def _set_schedule(cfg: Config, run: Run) -> None:
    """A tenth of the steps to warm up, a cosine to the end, bfloat16 products; every part learns at one rate."""
    warm_up = max(run.iterations // 10, 2)
    cfg.train_cfg.update(max_iters=run.iterations, val_interval=run.iterations + 1)
    cfg.param_scheduler = [
        ConfigDict(type='LinearLR', start_factor=0.01, by_epoch=False, begin=0, end=warm_up),
        ConfigDict(
            type='CosineAnnealingLR', eta_min_ratio=0.02, by_epoch=False, begin=warm_up, end=run.iterations
        ),
    ]
    cfg.optim_wrapper.update(type='BFloat16OptimWrapper', clip_grad=dict(max_norm=1.0, norm_type=2))
    cfg.optim_wrapper.optimizer.lr = run.lr
    keys = cfg.optim_wrapper.get('paramwise_cfg', {}).get('custom_keys', {})
    if 'backbone' in keys:
        keys.backbone.lr_mult = 1.0
    cfg.default_hooks.logger.interval = max(run.iterations // 6, 1)


def _set_start(cfg: Config, run: Run) -> None:
    backbone = cfg.model.backbone
    backbone.init_cfg = None
    cfg.load_from = None
    if run.start == 'encoder':
        # only a detector keeps the neck of the encoder
        backbone.init_cfg = dict(type='Pretrained', checkpoint=str(CHECKPOINT), prefix='backbone.')


def _set_classifier(model: Any, count: int) -> None:
    model.head.update(in_channels=WIDTH, num_classes=count)


def _set_prompted(model: Any, count: int) -> None:
    """The small model as it ships, which answers with one pass."""
    model.update(inference_refinements=0)
    model.prompt_encoder.update(img_size=SIDE_PX, box_mask='ellipse')
    model.decoder.dropout = 0.0
    model.bbox_head.update(num_classes=count, image_dims=WIDTH, mask_upsampling='logits')


def _set_mask2former(model: Any, count: int) -> None:
    """Narrow and shallow, as its encoder is."""
    dims, levels = 96, 3
    is_pyramid = 'neck' in model
    layers = (
        (NUM_LAYERS - 1,) if is_pyramid else tuple(range(NUM_LAYERS // 4 - 1, NUM_LAYERS, NUM_LAYERS // 4))
    )
    model.backbone.out_indices = layers
    if is_pyramid:
        model.neck.update(in_channels=WIDTH, out_channels=dims)
    head = model.panoptic_head
    head.update(
        feat_channels=dims,
        out_channels=dims,
        num_things_classes=count,
        num_queries=20,
        in_channels=[dims if is_pyramid else WIDTH] * 4,
        positional_encoding=dict(num_feats=dims // 2, normalize=True),
    )
    head.loss_cls.class_weight = [1.0] * count + [0.1]
    model.panoptic_fusion_head.num_things_classes = count
    decoder, transformer = head.pixel_decoder, head.transformer_decoder
    decoder.positional_encoding.num_feats = dims // 2
    decoder.encoder.num_layers = 2
    decoder.encoder.layer_cfg.self_attn_cfg.update(embed_dims=dims, num_heads=4, num_levels=levels)
    decoder.encoder.layer_cfg.ffn_cfg.update(embed_dims=dims, feedforward_channels=4 * dims)
    transformer.num_layers = 3
    for attention in (transformer.layer_cfg.self_attn_cfg, transformer.layer_cfg.cross_attn_cfg):
        attention.update(embed_dims=dims, num_heads=4)
    transformer.layer_cfg.ffn_cfg.update(embed_dims=dims, feedforward_channels=4 * dims)
    # as many points a pixel as at 1024 px
    model.train_cfg.num_points = 12544 // 16
    model.test_cfg.max_per_image = 20


def carry_out(run: Run, folder: Path) -> Mapping[str, float]:
    """Train and test.

    Args:
        run: What to do.
        folder: Where frames (``data``), logs (``logs``) and features of frozen encoders (``features``) are.

    Returns:
        The figures of ``FIGURES``.
    """
    cfg = build_config(run, folder / 'data', folder / 'logs' / run.name)
    if run.task == 'probe':
        found: Mapping[str, float] = _probe(run, cfg, folder / 'features')
    else:
        runner = build_runner(cfg)
        runner.train()
        found = runner.test()
    return {name: float(found[key]) for name, key in FIGURES[run.task].items()}


def _probe(run: Run, cfg: Config, folder: Path) -> Mapping[str, float]:
    """A linear layer on the mean tokens of a frozen encoder, each of which encodes the frames once."""
    encoder = run.start if run.start == 'encoder' else f'{run.start}-{run.seed}'
    tables = _features(run, cfg, folder / f'{run.lesions}-{encoder}')
    chosen, train = slice(run.first, run.first + run.frames), tables['train']
    few = FeatureTable(train.features[chosen], train.labels[chosen], train.names[chosen])
    return linear_probe({**tables, 'train': few}, len(LESION_SETS[run.lesions])).test.means()


def _features(run: Run, cfg: Config, stem: Path) -> dict[str, FeatureTable]:
    cache = stem.with_suffix('.npz')
    if not cache.is_file():
        stem.parent.mkdir(parents=True, exist_ok=True)
        cfg.train_dataloader.dataset.ann_file = 'train/image_classes.txt'
        cfg.dump(stem.with_suffix('.py'))
        weights = None if run.start == 'encoder' else _random_weights(cfg, run.seed, stem.with_suffix('.pth'))
        tables, _ = features_of_config(stem.with_suffix('.py'), checkpoint=weights)
        arrays = {
            f'{part}_{field}': getattr(table, field)
            for part, table in tables.items()
            for field in ('features', 'labels', 'names')
        }
        with cache.with_suffix('.tmp').open('wb') as file:
            np.savez(file, **arrays)
        cache.with_suffix('.tmp').replace(cache)
    with np.load(cache) as arrays:
        return {
            part: FeatureTable(
                arrays[f'{part}_features'], arrays[f'{part}_labels'], tuple(arrays[f'{part}_names'])
            )
            for part in ('train', 'val', 'test')
        }


def _random_weights(cfg: Config, seed: int, path: Path) -> Path:
    """Save a classifier as it is before training."""
    set_random_seed(seed)
    init_default_scope(cfg.default_scope)
    model = MODELS.build(cfg.model)
    model.init_weights()
    torch.save({'state_dict': model.state_dict()}, path)
    return path
