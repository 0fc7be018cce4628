"""Everything that a config asks for, at a size that a test can afford: a corpus, weights, a model."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import torch
from mmengine.config import Config

from tests.corpus.tools.tiny import coco, write_dataset
from tests.golden import ROOT
from tests.models.test_properties import SIZE, TINY, tiny_model
from ultrasam.checkpoints.sources import to_source
from ultrasam.corpus.agnostic import write_agnostic
from ultrasam.corpus.build import build_corpus
from ultrasam.corpus.clean_pool import write_clean_pool
from ultrasam.corpus.held_out import write_every_held_out
from ultrasam.corpus.merge import merge_agnostic
from ultrasam.corpus.splits import split_corpus
from ultrasam.export.convert import convert_file
from ultrasam.simulation import write_coco_dataset

# prompted segmentation; what else is trained has sweeps of its own
_OURS = [
    path
    for path in (ROOT / 'configs').rglob('*.py')
    if not {'downstream', 'finetune'} & set(path.parts) and not path.stem.startswith('downstream')
]
BASES = sorted(path for path in _OURS if '_base_' in path.parts)
LEAVES = sorted(path for path in _OURS if '_base_' not in path.parts)
PUBLISHED_ROOT = 'UltraSAM_DATA/UltraSAM'


def name(path: Path) -> str:
    """A config as its id in a test."""
    return path.relative_to(ROOT / 'configs').as_posix()


@cache
def parsed(path: Path) -> Config:
    """A config as it is in its file; not to be changed."""
    return Config.fromfile(path, import_custom_modules=False)


def write_corpus(root: Path) -> None:
    """Data sets under their published names, and every merged file, made by the tools that users run."""
    patients = {f'p{number}': [1] for number in range(5)}
    for dataset in ('BUSBRA', 'CAMUS', 'GIST514-DB', 'MMOTU_2d'):
        write_dataset(root, dataset, coco(patients), coco({'t': [1, 1]}, first_image=90))
    write_dataset(root, 'AUL', coco(patients))
    build_corpus(root)
    write_every_held_out(root, overwrite=True)
    for part in ('train', 'val'):
        write_clean_pool(root, part)
    write_dataset(root, 'SA1B', coco(patients))
    split_corpus(root / 'SA1B')
    write_agnostic(root / 'SA1B', 'train')
    merge_agnostic(root, root / 'train_with_SA1B.agnostic.noSmall.coco.json', 'train')


def write_weights(folder: Path) -> None:
    """Weights in the layout of segment-anything, converted as the documents say."""
    folder.mkdir(parents=True)
    raw = folder / 'sam_vit_b_01ec64.pth'
    torch.save(to_source(tiny_model().state_dict(), 'segment-anything'), raw)
    convert_file(raw, folder / 'mapped_sam_vit_b_01ec64.pth', profile='sam', mlp_skip='doubled')
    convert_file(raw, folder / 'sam_vit_b.pth', profile='sam')
    convert_file(raw, folder / 'mapped_medsam_vit_b.pth', profile='medsam')


def write_all(folder: Path) -> Path:
    """Corpus, weights and simulated frames under the paths that configs name."""
    write_corpus(folder / PUBLISHED_ROOT)
    write_weights(folder / 'weights')
    for part, seed in (('train', 1), ('val', 2)):
        write_coco_dataset(folder / 'data/simulated' / part, 2, seed, size=SIZE)
    return folder


def small_config(path: Path, folder: Path, work_dir: Path) -> Config:
    """A config as it is, but for sizes, the folder of its files, and processes."""
    # a run writes its config eight times; to lay out that text takes longer than all the rest
    config = Config(parsed(path).to_dict(), filename=str(path), format_python_code=False)
    model = config.model
    model.data_preprocessor.pad_size_divisor = model.prompt_encoder.img_size = SIZE
    model.backbone.update(arch=TINY, img_size=SIZE)
    if 'base_checkpoint' in model.backbone:
        model.backbone.base_checkpoint = str(folder / model.backbone.base_checkpoint)
    if 'frozen_stages' in model.backbone:
        model.backbone.frozen_stages = 1
    for part in ('train', 'val', 'test'):
        loader, evaluator = config.get(f'{part}_dataloader'), config.get(f'{part}_evaluator')
        if loader is None:
            continue
        loader.update(batch_size=min(2, loader.batch_size), num_workers=0, persistent_workers=False)
        if 'timeout' in loader:
            loader.timeout = 0  # only workers can be late
        loader.dataset.data_root = str(folder / loader.dataset.data_root)
        for step in loader.dataset.pipeline:
            step.update({k: v for k, v in dict(scale=(SIZE, SIZE), size=SIZE).items() if k in step})
        if evaluator is not None and evaluator.ann_file is not None:
            evaluator.ann_file = str(folder / evaluator.ann_file)
    if config.train_cfg is not None:
        config.train_cfg.update(max_iters=1, val_interval=1)
    if config.load_from is not None:
        config.load_from = str(folder / config.load_from)
    config.update(work_dir=str(work_dir), launcher='none', experiment_name=str(work_dir))
    return config
