"""The published minimal example, as typed."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from pycocotools import mask as coco_mask

from tests.commands.runs import FULL, run
from tests.golden import FRAMES, ROOT, needs_frames, needs_golden, read_json, seeded_state_dict

pytestmark = [pytest.mark.slow, needs_golden]


@pytest.fixture(scope='module')
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file laid out like the published checkpoint, with seeded weights."""
    path = tmp_path_factory.mktemp('weights') / 'UltraSam.pth'
    meta = dict(epoch=0, iter=30000, seed=0, experiment_name='UltraSAM_point_refine', dataset_meta={})
    torch.save(dict(meta=meta, state_dict=seeded_state_dict('vit_b_refine'), message_hub={}), path)
    return path


def mim_test(
    checkpoint: Path, root: Path, annotations: str, images: str, out: Path, leaf: str = 'box_refine'
):
    return run(
        ['mim', 'test', 'mmdet', f'{FULL}/UltraSAM_{leaf}.py', '--checkpoint', checkpoint, '--cfg-options',
         f'test_dataloader.dataset.data_root={root}', f'test_dataloader.dataset.ann_file={annotations}',
         f'test_dataloader.dataset.data_prefix.img={images}', f'test_evaluator.ann_file={root}/{annotations}',
         f'test_evaluator.outfile_prefix={out}/results', '--work-dir', out / 'work', '--show-dir', 'pictures']
    )  # fmt: skip


@needs_frames
@pytest.mark.parametrize('leaf', ['box_refine', 'point_refine'])
def test_real_frames(checkpoint: Path, tmp_path: Path, leaf: str):
    done = mim_test(checkpoint, FRAMES, 'annotations.json', '', tmp_path, leaf)
    assert done.returncode == 0, done.stdout[-3000:]
    assert 'loaded 293 tensors' in done.stdout
    assert 'segm_mAP' in done.stdout
    assert len(list((tmp_path / 'work').rglob('pictures/*.png'))) == 10
    (record,) = read_json('vit_b_predictions.json')[f'vit_b_{leaf.split("_")[0]}']
    ids = {i['file_name']: i['id'] for i in json.loads((FRAMES / 'annotations.json').read_text())['images']}
    results = json.loads((tmp_path / 'results.segm.json').read_text())
    (ours,) = [r for r in results if r['image_id'] == ids[record['file_name']]]
    mask, reference = (coco_mask.decode(r).astype(bool) for r in (ours['segmentation'], record['masks'][0]))
    assert (mask & reference).sum() / max((mask | reference).sum(), 1) >= 0.999
    assert ours['score'] == pytest.approx(record['scores'][0], abs=1e-4)
    assert np.array_equal(mask.shape, reference.shape)


def test_sample_dataset(checkpoint: Path, tmp_path: Path):
    done = mim_test(checkpoint, ROOT / 'sample_dataset', 'annotations.agnostic.json', 'images', tmp_path)
    assert done.returncode == 0, done.stdout[-3000:]
    assert 'segm_mAP' in done.stdout
    assert len(list((tmp_path / 'work').rglob('pictures/*.png'))) == 10
