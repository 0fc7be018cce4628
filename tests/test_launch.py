from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from mmengine.config import Config

from ultrasam.errors import ConfigError
from ultrasam.openmmlab.launch import distribute_on_cpu, find_config, load_run_config, scale_learning_rate

ROOT = Path(__file__).resolve().parents[1]
TOY = """
from ultrasam_toy import ToyData, ToyModel
model = dict(type=ToyModel)
train_dataloader = dict(dataset=dict(type=ToyData), sampler=dict(type='DefaultSampler'), batch_size=2, num_workers=0)
train_cfg = dict(by_epoch=False, max_iters=2)
optim_wrapper = dict(optimizer=dict(type='SGD', lr=0.1))
"""
TOY_MODULE = """
import torch
from mmengine.dist import get_backend, get_world_size
from mmengine.model import BaseModel


class ToyData(torch.utils.data.Dataset):
    def __len__(self):
        return 8

    def __getitem__(self, index):
        return torch.full((3,), float(index))


class ToyModel(BaseModel):
    def __init__(self):
        super().__init__()
        self.layer = torch.nn.Linear(3, 1)

    def forward(self, *x, mode='tensor'):
        print(f'world={get_world_size()} backend={get_backend()}', flush=True)
        return dict(loss=self.layer(torch.stack(x)).square().mean())
"""


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / 'Toy_refine.py'
    path.write_text("model = dict(type='mmdet.ResNet', depth=2)\n", encoding='utf-8')
    return path


def test_config_is_found_with_and_without_its_suffix(config: Path):
    assert find_config(str(config)) == config
    assert find_config(str(config.with_suffix(''))) == config


def test_alias_file_of_a_config_leads_to_the_config(config: Path):
    config.with_suffix('').write_text('# not a config\n', encoding='utf-8')
    assert find_config(str(config.with_suffix(''))) == config


def test_missing_config_is_named(tmp_path: Path):
    with pytest.raises(ConfigError, match=r'nothing: no such config'):
        find_config(str(tmp_path / 'nothing'))


def test_folder_of_the_run_is_that_of_the_command_then_of_the_config_then_of_the_name(config: Path):
    name = str(config)
    assert load_run_config(name).work_dir == str(Path('work_dirs') / 'Toy_refine')
    assert load_run_config(name, cfg_options={'work_dir': 'mine'}).work_dir == 'mine'
    assert load_run_config(name, cfg_options={'work_dir': 'mine'}, work_dir='theirs').work_dir == 'theirs'


def test_options_of_the_command_line_reach_the_config(config: Path):
    assert load_run_config(str(config), cfg_options={'model.depth': 3}).model == dict(
        type='mmdet.ResNet', depth=3
    )


@pytest.mark.parametrize('part', ['train', 'val', 'test'])
def test_every_loader_goes_without_workers(tmp_path: Path, part: str):
    path = tmp_path / 'loaders.py'
    settings = dict(num_workers=2, persistent_workers=True, timeout=60, batch_size=2)
    model = "model = dict(type='mmdet.ResNet', depth=2)\n"
    path.write_text(f'{model}{part}_dataloader = {settings}\n', encoding='utf-8')
    loader = load_run_config(str(path), cfg_options={f'{part}_dataloader.num_workers': 0})[
        f'{part}_dataloader'
    ]
    assert len(torch.utils.data.DataLoader(range(4), **loader)) == 2
    untouched = load_run_config(str(path))[f'{part}_dataloader']
    assert untouched == settings


def test_learning_rate_is_scaled_only_from_a_known_batch_size():
    cfg = Config(dict(auto_scale_lr=dict(base_batch_size=8, enable=False)))
    scale_learning_rate(cfg)
    assert cfg.auto_scale_lr.enable is True
    with pytest.raises(ConfigError, match='base_batch_size'):
        scale_learning_rate(Config({}))


def test_distributed_run_outside_torchrun_is_refused(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv('RANK', raising=False)
    with pytest.raises(ConfigError, match='torchrun'):
        distribute_on_cpu(Config({}))


@pytest.mark.slow
@pytest.mark.skipif(torch.cuda.is_available(), reason='with a GPU, MMEngine sets the processes up itself')
def test_two_processes_train_without_a_gpu(tmp_path: Path):
    (tmp_path / 'ultrasam_toy.py').write_text(TOY_MODULE, encoding='utf-8')
    (tmp_path / 'toy.py').write_text(TOY, encoding='utf-8')
    paths = os.pathsep.join([str(tmp_path), str(ROOT)])
    environment = dict(os.environ, PYTHONPATH=paths, PYTHON=sys.executable, PORT='29641', OMP_NUM_THREADS='1')
    command = [str(ROOT / 'tools' / 'dist_train.sh'), 'toy', '2', '--work-dir', 'out']
    result = subprocess.run(
        command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stderr[-3000:]
    assert result.stdout.count('world=2 backend=gloo') == 4
    assert (tmp_path / 'out' / 'last_checkpoint').is_file()
