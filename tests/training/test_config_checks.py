"""A misspelt option, or the config of another project, is refused before anything is built."""

from __future__ import annotations

from pathlib import Path

import pytest

import ultrasam.openmmlab.registry  # noqa: F401
from tests.golden import ROOT
from ultrasam.errors import ConfigError
from ultrasam.openmmlab.launch import load_run_config

NANO = ROOT / 'configs/UltraSAM/nano/ultrasam_nano_256.py'


@pytest.mark.parametrize(
    ('option', 'said'),
    [
        ('optim_wrapper.optimizer.lrr', r'Did you mean optim_wrapper\.optimizer\.lr\?'),
        ('optim_wraper.optimizer.lr', r'Did you mean optim_wrapper\?'),
        ('train_dataloader.batchsize', r'train_dataloader\.batch_size'),
        ('default_hooks.checkpiont.interval', r'default_hooks\.checkpoint'),
        ('default_hooks.checkpoint.intervall', r'default_hooks\.checkpoint\.interval'),
        ('model.backbone.arch.embed_dim', r'model\.backbone\.arch\.embed_dims'),
        ('randomness.sed', r'randomness\.seed'),
        ('param_scheduler.7.end', 'param_scheduler is a list of 2'),
        ('train_cfg.max_iters.x', 'train_cfg.max_iters is 6000'),
        ('max_iters', r'Override what was made of it: .*train_cfg\.max_iters'),
    ],
)
def test_an_override_without_effect_is_refused(option: str, said: str) -> None:
    with pytest.raises(ConfigError, match=said) as raised:
        load_run_config(str(NANO), cfg_options={option: 1})
    assert f'--cfg-options {option}: ' in str(raised.value)


@pytest.mark.parametrize(
    'option',
    [
        'train_dataloader.batch_size',
        'train_dataloader.pin_memory',
        'train_dataloader.dataset.indices',
        'param_scheduler.0.end',
        'optim_wrapper.most_in_a_row',
        'optim_wrapper.optimizer.eps',
        'optim_wrapper.paramwise_cfg.custom_keys',
        'default_hooks.checkpoint.same_layout',
        'env_cfg.dist_cfg.timeout',
        'auto_scale_lr.enable',
        'load_from',
        'work_dir',
    ],
)
def test_an_override_that_is_read_is_taken(option: str) -> None:
    load_run_config(str(NANO), cfg_options={option: 'x'})


@pytest.mark.parametrize(
    ('text', 'said'),
    [
        ('model = dict(type="EncoderDecoder")', r"model\.type='EncoderDecoder' is known to no registry"),
        ('backbone = dict(type="ResNet")', 'has no model'),
        (
            'default_scope = "mmdet"\nmodel = dict(type="UltraSam")\n'
            'train_dataloader = dict(dataset=dict(type="ADE20KDataset2"))',
            r"train_dataloader\.dataset\.type='ADE20KDataset2'",
        ),
    ],
)
def test_a_config_of_another_project_is_refused(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / 'alien.py'
    path.write_text(text, encoding='utf-8')
    with pytest.raises(ConfigError, match=rf'alien\.py: .*{said}'):
        load_run_config(str(path))
