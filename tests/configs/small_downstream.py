"""What the configs of downstream tasks ask for, at a size that a test can afford: data sets, lists, weights."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import mmpretrain.models  # noqa: F401 - registers its classes
import torch
from mmdet.registry import MODELS
from mmengine.config import Config
from mmengine.utils import import_modules_from_strings

from tests.configs.small import PUBLISHED_ROOT, name, parsed
from tests.corpus.tools.tiny import coco, write_dataset
from tests.golden import ROOT
from tests.models.test_properties import SIZE, TINY, tiny_model
from ultrasam.corpus.classification.structure_lists import write_circumference_list, write_structure_list
from ultrasam.corpus.splits import split_corpus
from ultrasam.simulation import CATEGORIES, FrameOrder, SimulationSettings, write_frames

# those of prompted classification have a sweep of their own, tests/models/test_prompted_classifier.py
BASES = sorted(
    path
    for path in (ROOT / 'configs/_base_').rglob('downstream*.py')
    if not path.stem.startswith('downstream_prompted')
)
LEAVES = sorted(
    path
    for path in (ROOT / 'configs/UltraSAM/UltraSAM_full/downstream').rglob('*.py')
    if 'prompted_classification' not in path.parts
)
SEGMENTATION = [path for path in LEAVES if 'segmentation' in path.parts]
CLASSIFICATION = [path for path in LEAVES if 'classification' in path.parts]
REGRESSION = [path for path in LEAVES if 'regression' in path.parts]
WIDTH = TINY['embed_dims']
VIT = dict(embed_dims=WIDTH, num_layers=2, num_heads=2, feedforward_channels=64)
DETECTORS = (
    'mapped_sam_vit_b_01ec64.pth',
    'mapped_medsam_vit_b.pth',
    'UltraSam.pth',
    '../work_dirs/UltraSam_SA1B/iter_30000.pth',
    'ultrasam_nano_256.pth',
)
SEGMENTED = ('BUSBRA', 'GIST514-DB', 'MMOTU_2d')
# of the corpus, and of data/, where sets lie that are only classified
CORPUS = (*SEGMENTED, 'AUL', 'BUSI')
CLASSES = {
    'BUSBRA': ('breast_nodule_benign', 'breast_nodule_malignant'),
    'GIST514-DB': ('lmym', 'gist'),
    'MMOTU_2d': (
        'chocolate_cyst', 'serous_cystadenoma', 'teratoma', 'thera_cell_tumor', 'simple_cyst', 'normal_ovary',
        'mucinous_cystadenoma', 'high_grade_serous',
    ),
    'AUL': ('Normal', 'Benign', 'Malignant'),
    'BUSI': ('benign', 'malignant'),
    'Butterfly': ('carotid', '2ch', 'lungs', 'ivc', '4ch', 'bladder', 'thyroid', 'plax', 'morisons_pouch'),
    'FattyLiver': ('Normal', 'NFLD'),
    'POCUS': ('regular', 'pneumonia', 'covid'),
    'TN5000': ('benign', 'malignant'),
}  # fmt: skip

__all__ = [
    'BASES',
    'CATEGORIES',
    'CLASSIFICATION',
    'LEAVES',
    'REGRESSION',
    'SEGMENTATION',
    'name',
    'parsed',
    'small_config',
    'write_all',
]


def write_data(folder: Path) -> None:
    """Each data set as COCO files, split by the tool that users run, and as lists of classes."""
    for dataset, classes in CLASSES.items():
        root = folder / (PUBLISHED_ROOT if dataset in CORPUS else 'data')
        count = len(classes)
        content = coco({f'p{number}': [1 + number % count] for number in range(3 * count)})
        test = coco({f't{number}': [1 + number % count] for number in range(count)}, first_image=90)
        for file in (content, test):
            file['categories'] = [{'id': 1 + index, 'name': text} for index, text in enumerate(classes)]
        made = write_dataset(root, dataset, content, test)
        if dataset in SEGMENTED:
            split_corpus(made)
        lists = {'train': content['images'][count:], 'val_classification': content['images'][:count]}
        for file, images in {**lists, 'test_classification': test['images']}.items():
            lines = [f'images/{image["file_name"]} {index % count}\n' for index, image in enumerate(images)]
            for suffix in ('', '_by_patient') if dataset == 'POCUS' else ('',):
                (made / f'annotations/{file}{suffix}.txt').write_text(''.join(lines))


def write_simulated(root: Path) -> None:
    """Frames of heads and of breasts, with the lists that users make of them."""
    scenes = ('fetus', 'fetus', 'fetus', 'fetus', 'breast', 'breast')
    settings = [SimulationSettings(size=SIZE, scene=scene) for scene in scenes]
    for number, part in enumerate(('train', 'val', 'test')):
        orders = [FrameOrder(10 * number + index, one) for index, one in enumerate(settings)]
        source = write_frames(root / part, orders)
        write_structure_list(source, root / part / 'structures.txt')
        write_circumference_list(source, root / part / 'circumference.txt', 'head')


def write_weights(folder: Path) -> None:
    """Weights under the names and in the layouts of the published files: detectors, a ResNet, a ViT."""
    folder.mkdir(parents=True)
    detector = tiny_model().state_dict()
    for seed, path in enumerate(DETECTORS):
        generator = torch.Generator().manual_seed(seed)
        weights = {
            key: value + 0.01 * torch.randn(value.shape, generator=generator)
            for key, value in detector.items()
        }
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        torch.save({'state_dict': weights, 'meta': {}}, folder / path)
    resnet = MODELS.build(small_resnet(parsed(LEAVES[0]), 'mmdet.ResNet'))
    fc = {'fc.weight': torch.zeros(1000, 32), 'fc.bias': torch.zeros(1000)}
    torch.save({**_seeded(resnet.state_dict()), **fc}, folder / 'resnet50-0676ba61.pth')
    torch.save(
        {'state_dict': vit_weights()}, folder / 'vit-base-p16_pt-32xb128-mae_in1k_20220623-4c544545.pth'
    )


def small_resnet(config: Any, kind: str) -> dict:
    """A bottleneck ResNet of few channels."""
    return dict(type=kind, depth=50, base_channels=4, stem_channels=4, num_stages=4)


def vit_weights() -> dict[str, torch.Tensor]:
    """A ViT with class token and classifier at half the image size, as the published file has it."""
    from mmpretrain.models import VisionTransformer

    own = _seeded(VisionTransformer(arch=dict(VIT), img_size=SIZE // 2, patch_size=16).state_dict())
    return {
        **{f'backbone.{key}': value for key, value in own.items()},
        'head.layers.head.weight': torch.zeros(1000, WIDTH),
        'head.layers.head.bias': torch.zeros(1000),
    }


def _seeded(weights: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(7)
    return {
        key: value + 0.01 * torch.rand(value.shape, generator=generator)
        if value.is_floating_point()
        else value
        for key, value in weights.items()
    }


def write_all(folder: Path) -> Path:
    """Data and weights under the paths that configs name."""
    write_data(folder)
    write_simulated(folder / 'data/simulated')
    write_weights(folder / 'weights')
    return folder


def small_config(path: Path, folder: Path, work_dir: Path) -> Config:
    """A config as it is, but for sizes, the folder of its files, processes, and two steps of training."""
    config = Config(parsed(path).to_dict(), filename=str(path), format_python_code=False)
    import_modules_from_strings(**config.custom_imports)
    _shrink_encoder(config.model, folder)
    if 'panoptic_head' in config.model:
        _shrink_mask2former(config.model)
    for part in ('train', 'val', 'test'):
        loader, evaluator = config[f'{part}_dataloader'], config.get(f'{part}_evaluator')
        loader.update(batch_size=min(2, loader.batch_size), num_workers=0, persistent_workers=False)
        loader.pop('timeout', None)
        loader.dataset.data_root = str(folder / loader.dataset.data_root)
        for step in loader.dataset.pipeline:
            step.update({key: (SIZE, SIZE) for key in ('scale', 'crop_size', 'size') if key in step})
        if evaluator is not None and evaluator.get('ann_file'):
            evaluator.ann_file = str(folder / evaluator.ann_file)
    config.train_cfg.update(max_iters=2, val_interval=2)
    config.default_hooks.logger.interval = 1
    config.update(work_dir=str(work_dir), launcher='none', experiment_name=str(work_dir))
    # a visualizer of the same name would be that of the run before, and draw into its folder
    config.visualizer.name = str(work_dir)
    return config


def _shrink_encoder(model: Any, folder: Path) -> None:
    model.data_preprocessor.pad_size_divisor = SIZE
    backbone = model.backbone
    for owner, key in ((backbone, 'base_checkpoint'), (backbone.get('init_cfg') or {}, 'checkpoint')):
        if key in owner:
            owner[key] = str(folder / owner[key])
    if backbone.type.endswith('ResNet'):
        backbone.update(base_channels=4, stem_channels=4)
        if 'head' in model:
            model.head.in_channels = 128
        return
    backbone.update(arch=VIT if 'MeanToken' in backbone.type else TINY, img_size=SIZE)
    if len(backbone.get('out_indices', ())) == 4:
        backbone.out_indices = (0, 1)
    elif 'out_indices' in backbone:
        backbone.out_indices = (1,)
    if 'frozen_stages' in backbone:
        backbone.frozen_stages = 1
    if 'head' in model:
        model.head.in_channels = WIDTH


def _shrink_mask2former(model: Any) -> None:
    head = model.panoptic_head
    decoder = head.pixel_decoder
    is_plain = 'neck' not in model and model.backbone.type == 'SamFeatureEncoder'
    if is_plain:
        # the tiny encoder has two layers, and the pixel decoder wants four maps
        model.backbone.out_indices = (0, 1)
        levels = 1
    else:
        levels = 3
    head.update(
        feat_channels=16, out_channels=16, num_queries=8, num_transformer_feat_level=levels,
        in_channels=[WIDTH] * 2 if is_plain else [16] * 4, strides=[16, 16] if is_plain else [4, 8, 16, 32],
    )  # fmt: skip
    if model.backbone.type == 'ResNet':
        head.in_channels = [16, 32, 64, 128]
    if 'neck' in model:
        model.neck.update(in_channels=WIDTH, out_channels=16)
    decoder.update(num_outs=levels, norm_cfg=dict(type='GN', num_groups=4))
    decoder.positional_encoding.num_feats = 8
    head.positional_encoding.num_feats = 8
    decoder.encoder.num_layers = 1
    decoder.encoder.layer_cfg.self_attn_cfg.update(embed_dims=16, num_heads=2, num_levels=levels)
    decoder.encoder.layer_cfg.ffn_cfg.update(embed_dims=16, feedforward_channels=32)
    head.transformer_decoder.num_layers = 2 if is_plain else 3
    layer = head.transformer_decoder.layer_cfg
    for attention in (layer.self_attn_cfg, layer.cross_attn_cfg):
        attention.update(embed_dims=16, num_heads=2)
    layer.ffn_cfg.update(embed_dims=16, feedforward_channels=32)
    model.train_cfg.num_points = 64
    model.test_cfg.max_per_image = 8
