"""Every config parses, builds its data side, and scores against the file that it loads."""

from __future__ import annotations

from pathlib import Path

import pytest
from mmdet.registry import HOOKS, MODELS, TRANSFORMS, VISUALIZERS
from mmengine.config import Config
from mmengine.registry import init_default_scope

from tests.configs.small import BASES, LEAVES, name, parsed

FULL = [path for path in LEAVES if path.parent.name == 'UltraSAM_full']
HELD_OUT = [path for path in LEAVES if path.parent.name == 'UltraSAM_zero_shot']
BASELINES = [path for path in LEAVES if path.parts[-3].startswith('zero_shot_')]
TRAINED = [path for path in LEAVES if path not in BASELINES]
PARTS = ('train', 'val', 'test')

init_default_scope('mmdet')


def test_how_many_configs_are_covered():
    assert (len(FULL), len(HELD_OUT), len(BASELINES)) == (11, 9, 9)
    assert (len(BASES), len(LEAVES)) == (17, 30)


def parts_of(config: Config) -> list[str]:
    """Parts that a config loads: a baseline is tested only."""
    return [part for part in PARTS if config[f'{part}_dataloader'] is not None]


@pytest.mark.parametrize('path', BASES + LEAVES, ids=name)
def test_parses(path: Path):
    assert len(parsed(path)) > 0


@pytest.mark.parametrize('path', LEAVES, ids=name)
class TestLeaf:
    def test_every_type_is_registered(self, path: Path):
        config = parsed(path)
        for part in parts_of(config):
            for step in config[f'{part}_dataloader'].dataset.pipeline:
                assert TRANSFORMS.build(step) is not None
        for hook in config.default_hooks.values():
            assert HOOKS.get(hook.type) is not None, hook.type
        assert VISUALIZERS.get(config.visualizer.type) is not None
        assert MODELS.get(config.model.type) is not None

    def test_loads_without_workers_too(self, path: Path):
        config = parsed(path)
        for part in parts_of(config):
            # the training loop drops what torch refuses without workers; nothing does so for the other loaders
            assert part == 'train' or not config[f'{part}_dataloader'].get('persistent_workers'), part

    def test_scores_against_the_file_it_loads(self, path: Path):
        config = parsed(path)
        for part in parts_of(config):
            if part == 'train':
                continue
            data, evaluator = config[f'{part}_dataloader'].dataset, config[f'{part}_evaluator']
            loaded = None if data.get('class_agnostic') else f'{data.data_root}/{data.ann_file}'
            assert evaluator.ann_file == loaded
            if loaded is None:
                assert 'instances' in data.pipeline[-1].meta_keys

    def test_sizes_agree(self, path: Path):
        config = parsed(path)
        size = config.model.data_preprocessor.pad_size_divisor
        assert config.model.backbone.img_size == config.model.prompt_encoder.img_size == size
        for part in parts_of(config):
            (resize,) = [s for s in config[f'{part}_dataloader'].dataset.pipeline if 'Resize' in s.type]
            assert resize.get('scale') == (size, size) or resize.get('size') == size

    def test_survives_a_kill_and_resumes(self, path: Path):
        checkpoint = parsed(path).default_hooks.checkpoint
        assert checkpoint.max_keep_ckpts >= 2
        assert checkpoint.save_optimizer
        assert checkpoint.save_best == 'coco/segm_mAP'

    def test_options_of_the_published_command_reach_it(self, path: Path):
        config = Config(parsed(path).to_dict())
        config.merge_from_dict(
            {
                'test_dataloader.dataset.data_root': 'sample_dataset',
                'test_dataloader.dataset.ann_file': 'annotations.json',
                'test_dataloader.dataset.data_prefix.img': 'images',
                'test_evaluator.ann_file': 'sample_dataset/annotations.json',
            }
        )
        assert config.test_dataloader.dataset.data_prefix == dict(img='images')
        assert config.test_evaluator.ann_file == 'sample_dataset/annotations.json'


@pytest.mark.parametrize('path', [*FULL, *HELD_OUT], ids=name)
def test_published_training(path: Path):
    config = parsed(path)
    kind = 'point' if '_point_' in path.stem else 'box'
    assert config.test_dataloader.dataset.pipeline[3].prompt_probabilities == {kind: 1.0}
    assert config.val_dataloader.dataset.pipeline == config.test_dataloader.dataset.pipeline
    assert config.model.num_refinements == (0 if 'no_refine' in path.stem else 1)
    assert config.load_from == 'weights/mapped_sam_vit_b_01ec64.pth'
    assert config.train_dataloader.batch_size == 8
    assert (config.train_cfg.max_iters, config.train_cfg.val_interval) == (30000, 5000)
    assert config.optim_wrapper.optimizer == dict(type='AdamW', lr=1e-4, weight_decay=1e-4)
    assert config.optim_wrapper.clip_grad.max_norm == 0.1
    assert config.param_scheduler[1].milestones == [20000, 28888]


@pytest.mark.parametrize('path', [*FULL, *HELD_OUT, *BASELINES], ids=name)
def test_leaves_say_only_how_they_differ(path: Path):
    assert len(path.read_text().splitlines()) <= 15


@pytest.mark.parametrize('path', TRAINED, ids=name)
def test_no_checkpoint_is_chosen_by_the_test_part(path: Path):
    config = parsed(path)
    files = [config[f'{part}_dataloader'].dataset for part in PARTS]
    roots = {(data.data_root, data.ann_file, data.data_prefix.img) for data in files}
    simulated = path.stem == 'ultrasam_nano_256'  # has no test part: what it is worth is measured elsewhere
    assert len(roots) == (2 if simulated else 3)
    assert simulated or 'test' not in files[0].ann_file + files[1].ann_file


# which part of the corpus each trains on; its validation file is the same of the other part
TRAINING_FILES = {
    'SA1B': 'train_with_SA1B.agnostic.noSmall.coco.json',
    'clean': 'train.clean.agnostic.noSmall.coco.json',
    'BUSBRA': 'train.noStructure.BUSBRA.json',
    'MMOTU': 'train.noStructure.MMOTU_2d.json',
    'GIST514': 'train.noStructure.GIST514-DB.json',
}


@pytest.mark.parametrize('path', [*FULL, *HELD_OUT], ids=name)
def test_training_and_validation_files(path: Path):
    config = parsed(path)
    train, val = (config[f'{part}_dataloader'].dataset.ann_file for part in ('train', 'val'))
    wanted = TRAINING_FILES.get(path.stem.rsplit('_', 1)[1], 'train.agnostic.noSmall.coco.json')
    assert train == wanted
    assert val == wanted.replace('train', 'val').replace('_with_SA1B', '')


@pytest.mark.parametrize('path', BASELINES, ids=name)
def test_baselines_are_tested_only_and_as_themselves(path: Path):
    config = parsed(path)
    assert [config[key] for key in ('train_cfg', 'optim_wrapper', 'val_cfg', 'train_dataloader')] == [
        None
    ] * 4
    assert config.model.decoder.mlp_skip == 'single'
    assert config.model.bbox_head.mask_upsampling == 'logits'
    assert config.model.inference_refinements == 0
    steps = config.test_dataloader.dataset.pipeline
    assert steps[3].prompt_probabilities == {path.parent.name: 1.0}
    if path.parts[-3] == 'zero_shot_medsam':
        assert (config.model.type, config.load_from) == ('MedSam', 'weights/mapped_medsam_vit_b.pth')
        assert config.model.data_preprocessor.type == 'MinMaxPreprocessor'
        assert steps[1].type == 'SquareSplineResize'
    else:
        assert (config.model.type, config.load_from) == ('SegmentAnything', 'weights/sam_vit_b.pth')
        assert steps[1] == dict(type='Resize', scale=(1024, 1024), keep_ratio=True, backend='pillow')


@pytest.mark.parametrize('dataset', ['BUSBRA', 'MMOTU_2d', 'GIST514-DB'])
def test_every_baseline_is_there_for_every_data_set(dataset: str):
    found = [
        (path.parts[-3], path.parts[-2])
        for path in BASELINES
        if parsed(path).test_dataloader.dataset.ann_file
        == f'{dataset}/annotations/test.agnostic.{dataset}__coco.json'
    ]
    assert found == [
        ('zero_shot_medsam', 'box'),
        ('zero_shot_vanilla_sam', 'box'),
        ('zero_shot_vanilla_sam', 'point'),
    ]
