"""Every config of prompted segmentation, run: strict weights, one step of training, validation, test."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.configs.small import LEAVES, PUBLISHED_ROOT, name, parsed, small_config, write_all
from tests.golden import ROOT
from ultrasam.checkpoints import load_checkpoint_file
from ultrasam.errors import CheckpointError
from ultrasam.openmmlab.runner import build_runner

pytestmark = pytest.mark.filterwarnings('ignore::UserWarning')

# one of each kind; the others differ from one of them by data or by a prompt
QUICK = {
    'UltraSAM/UltraSAM_full/UltraSAM_box_refine.py',
    'UltraSAM/UltraSAM_full/UltraSAM_point_refine_clean.py',
    'UltraSAM/UltraSAM_full/UltraSAM_box_refine_lora.py',
    'UltraSAM/UltraSAM_full/UltraSAM_point_refine_med_sa.py',
    'UltraSAM/UltraSAM_full/zero_shot_vanilla_sam/point/BUSBRA.py',
    'UltraSAM/UltraSAM_full/zero_shot_medsam/box/MMotu2d.py',
    'UltraSAM/UltraSAM_zero_shot/UltraSAM_point_no_refine_GIST514.py',
    'UltraSAM/nano/ultrasam_nano_256.py',
}
CASES = [
    pytest.param(path, id=name(path), marks=() if name(path) in QUICK else pytest.mark.slow)
    for path in LEAVES
]


@pytest.fixture(scope='module')
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_all(tmp_path_factory.mktemp('small'))


def test_every_config_is_in_the_sweep():
    assert len(LEAVES) == len(CASES) == 30
    assert {name(path) for path in LEAVES} >= QUICK
    tested_only = [path for path in LEAVES if parsed(path).train_cfg is None]
    assert len(tested_only) == 9


@pytest.mark.parametrize('path', LEAVES, ids=name)
def test_every_file_that_it_names_is_made_by_the_tools(path: Path, folder: Path, tmp_path: Path):
    config = small_config(path, folder, tmp_path)
    assert config.load_from is None or Path(config.load_from).is_file()
    for part in ('train', 'val', 'test'):
        if config[f'{part}_dataloader'] is None:
            continue
        data = config[f'{part}_dataloader'].dataset
        content = json.loads((Path(data.data_root) / data.ann_file).read_text())
        assert content['annotations']
        images = Path(data.data_root) / data.data_prefix.img
        assert all((images / image['file_name']).is_file() for image in content['images'])
        truth = config[f'{part}_evaluator'].ann_file if part != 'train' else None
        assert truth is None or Path(truth) == Path(data.data_root) / data.ann_file


@pytest.mark.parametrize('path', CASES)
def test_runs(path: Path, folder: Path, tmp_path: Path):
    config = small_config(path, folder, tmp_path / 'work')
    runner = build_runner(config)
    if config.load_from is not None:
        runner.load_or_resume()
        weights = load_checkpoint_file(config.load_from)['state_dict']
        ours = runner.model.state_dict()
        left = {key for key in weights if key not in ours}
        refines = config.model.num_refinements > 0
        assert all(key.startswith('prompt_encoder.mask_downscaling.') for key in left)
        assert bool(left) != refines
        adapted = {key for key in ours if '_adapter' in key or 'lora_' in key}
        loaded = {key for key in ours if key in weights and torch.equal(ours[key], weights[key])}
        assert loaded == set(weights) - left == set(ours) - adapted
    if config.train_cfg is not None:
        before = {key: p.detach().clone() for key, p in runner.model.named_parameters() if p.requires_grad}
        runner.train()
        after = dict(runner.model.named_parameters())
        assert runner.iter == 1
        assert any(not torch.equal(after[key], value) for key, value in before.items())
        assert (tmp_path / 'work' / 'iter_1.pth').is_file()
        assert list((tmp_path / 'work').glob('best_coco_segm_mAP_*.pth'))
    scores = runner.test()
    assert {'coco/segm_mAP', 'coco/bbox_mAP', 'coco/segm_mAP_50'} <= set(scores)
    assert all(np.isfinite(value) for value in scores.values())


@pytest.mark.parametrize(
    'path', [path for path in LEAVES if path.parent.name == 'UltraSAM_zero_shot'], ids=name
)
def test_held_out_files_do_not_show_the_organ(path: Path, folder: Path):
    config = parsed(path)
    (dataset,) = {config[f'{part}_dataloader'].dataset.ann_file.split('.')[2] for part in ('train', 'val')}
    assert (
        config.test_dataloader.dataset.ann_file == f'{dataset}/annotations/test.agnostic.{dataset}__coco.json'
    )
    for part in ('train', 'val'):
        content = json.loads(
            (folder / PUBLISHED_ROOT / config[f'{part}_dataloader'].dataset.ann_file).read_text()
        )
        shown = {image['dataset'] for image in content['images']}
        assert shown == {'AUL', 'BUSBRA', 'CAMUS', 'GIST514-DB', 'MMOTU_2d'} - {dataset}


def test_weights_of_the_other_decoder_are_refused(folder: Path, tmp_path: Path):
    path = ROOT / 'configs/UltraSAM/UltraSAM_full/zero_shot_vanilla_sam/box/BUSBRA.py'
    config = small_config(path, folder, tmp_path / 'work')
    config.load_from = str(folder / 'weights/mapped_sam_vit_b_01ec64.pth')
    with pytest.raises(CheckpointError, match='mlp_skip'):
        build_runner(config).load_or_resume()
