"""Every config parses, builds its data side, and scores against the file that it loads."""

from __future__ import annotations

from pathlib import Path

import pytest
from mmdet.registry import HOOKS, MODELS, TRANSFORMS, VISUALIZERS
from mmengine.config import Config
from mmengine.registry import init_default_scope

import ultrasam.registry  # noqa: F401

ROOT = Path(__file__).resolve().parents[2]
BASES = sorted((ROOT / 'configs/_base_').rglob('*.py'))
LEAVES = sorted(set((ROOT / 'configs').rglob('*.py')) - set(BASES))
FULL = [path for path in LEAVES if path.parent.name == 'UltraSAM_full']

init_default_scope('mmdet')


def name(path: Path) -> str:
    return path.relative_to(ROOT / 'configs').as_posix()


def test_how_many_configs_are_covered():
    assert (len(BASES), len(LEAVES), len(FULL)) == (11, 9, 8)


@pytest.mark.parametrize('path', BASES + LEAVES, ids=name)
def test_parses(path: Path):
    assert len(Config.fromfile(path, import_custom_modules=False)) > 0


@pytest.mark.parametrize('path', LEAVES, ids=name)
class TestLeaf:
    def test_every_type_is_registered(self, path: Path):
        config = Config.fromfile(path)
        for part in ('train', 'val', 'test'):
            for step in config[f'{part}_dataloader'].dataset.pipeline:
                assert TRANSFORMS.build(step) is not None
        for hook in config.default_hooks.values():
            assert HOOKS.get(hook.type) is not None, hook.type
        assert VISUALIZERS.get(config.visualizer.type) is not None
        assert MODELS.get(config.model.type) is not None

    def test_scores_against_the_file_it_loads(self, path: Path):
        config = Config.fromfile(path)
        for part in ('val', 'test'):
            data, evaluator = config[f'{part}_dataloader'].dataset, config[f'{part}_evaluator']
            loaded = None if data.get('class_agnostic') else f'{data.data_root}/{data.ann_file}'
            assert evaluator.ann_file == loaded
            if loaded is None:
                assert 'instances' in data.pipeline[-1].meta_keys

    def test_sizes_agree(self, path: Path):
        config = Config.fromfile(path)
        size = config.model.data_preprocessor.pad_size_divisor
        assert config.model.backbone.img_size == config.model.prompt_encoder.img_size == size
        for part in ('train', 'val', 'test'):
            (resize,) = [
                s for s in config[f'{part}_dataloader'].dataset.pipeline if s.type == 'FixScaleResize'
            ]
            assert resize.scale == (size, size)

    def test_survives_a_kill_and_resumes(self, path: Path):
        checkpoint = Config.fromfile(path).default_hooks.checkpoint
        assert checkpoint.max_keep_ckpts >= 2
        assert checkpoint.save_optimizer
        assert checkpoint.save_best == 'coco/segm_mAP'

    def test_options_of_the_published_command_reach_it(self, path: Path):
        config = Config.fromfile(path)
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


@pytest.mark.parametrize('path', FULL, ids=name)
def test_full_leaves_say_only_how_they_differ(path: Path):
    config = Config.fromfile(path)
    assert len(path.read_text().splitlines()) <= 15
    kind = 'point' if '_point_' in path.stem else 'box'
    assert config.test_dataloader.dataset.pipeline[3].prompt_probabilities == {kind: 1.0}
    assert config.val_dataloader.dataset.pipeline == config.test_dataloader.dataset.pipeline
    assert config.model.num_refinements == (0 if path.stem.endswith('no_refine') else 1)
    assert config.load_from == 'weights/mapped_sam_vit_b_01ec64.pth'
    assert config.train_dataloader.batch_size == 8
    assert config.train_dataloader.dataset.ann_file == 'train.agnostic.noSmall.coco.json'
    assert config.train_cfg == dict(type='IterBasedTrainLoop', max_iters=30000, val_interval=5000)
    assert config.optim_wrapper.optimizer == dict(type='AdamW', lr=1e-4, weight_decay=1e-4)
    assert config.optim_wrapper.clip_grad.max_norm == 0.1
    assert config.param_scheduler[1].milestones == [20000, 28888]
