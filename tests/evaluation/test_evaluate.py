"""Whole evaluations with the shipped checkpoint, their files, and what a user can get wrong."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.evaluation.shapes import chosen_results
from tests.golden import ROOT
from ultrasam import UltraSamInferencer
from ultrasam.errors import AnnotationError, CheckpointError, ConfigError, InputError, OutputError
from ultrasam.evaluation import prompted
from ultrasam.evaluation.comparison import compare
from ultrasam.evaluation.evaluate import DataPlaces, EvaluationOptions, evaluate_files
from ultrasam.evaluation.protocols import PUBLISHED, SINGLE_PROMPTS
from ultrasam.evaluation.report import write_report
from ultrasam.evaluation.results import read_results
from ultrasam.evaluation.summary import summarise
from ultrasam.openmmlab.evaluation import evaluate, evaluate_into
from ultrasam.openmmlab.launch import load_run_config
from ultrasam.openmmlab.runner import build_runner
from ultrasam.openmmlab.test_set import ConfiguredTestSet

CONFIG = ROOT / 'configs/UltraSAM/nano/ultrasam_nano_256.py'
WEIGHTS = ROOT / 'weights/ultrasam_nano_256.pth'
SAMPLE = ROOT / 'sample_dataset'
OVARIES = ROOT.parent / 'shared/samples/mmotu2d'
PLOTS = {'protocols', 'jitter', 'clicks', 'reliability', 'risk_coverage', 'by_category', 'by_size'}


def options(**more) -> EvaluationOptions:
    basis = dict(data=DataPlaces(data_root=SAMPLE, limit=2), device='cpu', samples=100, clicks=2)
    return EvaluationOptions(**{**basis, **more})


def test_every_protocol_on_some_sample_frames(tmp_path):
    pytest.importorskip('monai', reason='the extra evaluation is not installed')
    results = evaluate_into(tmp_path / 'new' / 'out', CONFIG, WEIGHTS, options(spacing_mm=[0.2, 0.1]))
    assert results.counts['images'] == 2
    assert set(SINGLE_PROMPTS) <= set(results.scores)
    assert 0.9 < results.published['coco/segm_mAP_50'] <= 1
    protocols = results.summary['protocols']
    assert protocols['box']['dice']['mean'] > protocols['centre']['dice']['mean'] > 0.6
    assert protocols['box']['dice']['mean'] > protocols['box-swapped']['dice']['mean']
    assert protocols['box']['hd95_mm']['mean'] < protocols['box']['hd95_px']['mean']
    content = json.loads((tmp_path / 'new/out/results.json').read_text())
    assert content['about']['settings']['seed'] == 0
    assert len(content['about']['checkpoint']['sha256']) == 64
    again = read_results(tmp_path / 'new/out')
    assert [one.annotation_id for one in again.objects] == [one.annotation_id for one in results.objects]
    assert compare(results, again, samples=50).differences['box']['dice'].mean == 0
    assert {path.stem for path in (tmp_path / 'new/out').glob('*.png')} >= PLOTS - {'by_category'}
    assert 'mask mAP@50' in (tmp_path / 'new/out/README.md').read_text()


@pytest.mark.slow
def test_the_published_figures_are_those_of_the_test_command(tmp_path):
    results = evaluate(CONFIG, WEIGHTS, options(protocols=(PUBLISHED,), data=DataPlaces(data_root=SAMPLE)))
    overrides = {
        'test_dataloader.dataset.data_root': str(SAMPLE),
        'test_dataloader.num_workers': 0,
        'test_dataloader.persistent_workers': False,
        'load_from': str(WEIGHTS),
    }
    cfg = load_run_config(str(CONFIG), work_dir=str(tmp_path), cfg_options=overrides)
    metrics = build_runner(cfg).test()
    for name in ('coco/segm_mAP', 'coco/segm_mAP_50', 'coco/bbox_mAP'):
        assert results.published[name] == metrics[name]


@pytest.mark.slow
def test_the_command_on_all_sample_frames(tmp_path):
    pytest.importorskip('monai', reason='the extra evaluation is not installed')
    command = [sys.executable, str(ROOT / 'tools/evaluate.py'), str(CONFIG), str(WEIGHTS), '--device', 'cpu']
    command += ['--data-root', str(SAMPLE), '--clicks', '5', '--samples', '200']
    out = [tmp_path / name for name in ('one', 'two')]
    subprocess.run([*command, '--out', out[0]], check=True)
    subprocess.run([*command, '--out', out[1], '--compare', out[0]], check=True)
    first, second = (json.loads((folder / 'results.json').read_text()) for folder in out)
    assert first['scores'] == second['scores']
    assert first['counts']['objects'] == 32
    assert second['comparison']['differences']['box']['dice']['mean'] == 0
    assert {path.stem for path in out[1].glob('*.png')} >= PLOTS | {'comparison'}
    failed = subprocess.run([*command, '--out', out[0]], capture_output=True, text=True)
    assert failed.returncode == 1
    assert 'OutputError' in failed.stderr
    assert 'Traceback' not in failed.stderr


@pytest.mark.slow
@pytest.mark.skipif(not OVARIES.is_dir(), reason='the ten frames of ovaries are not here')
def test_real_frames():
    pytest.importorskip('monai', reason='the extra evaluation is not installed')
    results = evaluate_files(
        OVARIES / 'annotations.json', OVARIES, WEIGHTS, options(protocols=('box', 'inner', 'ellipse'))
    )
    assert results.counts['objects'] == 10
    figures = {
        name: results.summary['protocols'][name]['dice']['mean'] for name in ('box', 'inner', 'ellipse')
    }
    assert figures == pytest.approx({'box': 0.881, 'inner': 0.677, 'ellipse': 0.920}, abs=0.01)


def test_without_config_scores_are_the_same():
    pytest.importorskip('monai', reason='the extra evaluation is not installed')
    chosen = options(protocols=('box',), data=DataPlaces(data_root=SAMPLE, limit=1))
    with_config = evaluate(CONFIG, WEIGHTS, chosen)
    content = json.loads((SAMPLE / 'annotations.json').read_text())
    inferencer = UltraSamInferencer(WEIGHTS, device='cpu')
    frame = next(iter(prompted.encoded_frames(inferencer, SAMPLE / 'annotations.json', SAMPLE / 'images')))
    scores = prompted.dice_of_rule(inferencer, [frame], prompted.RULES['box'])
    assert with_config.scores['box']['dice'] == pytest.approx(scores, abs=1e-6)
    assert len(scores) == sum(one['image_id'] == content['images'][0]['id'] for one in content['annotations'])
    with pytest.raises(ConfigError, match='published needs a config'):
        evaluate_files(
            SAMPLE / 'annotations.json', SAMPLE / 'images', WEIGHTS, options(protocols=(PUBLISHED,))
        )


def test_pages_and_plots_of_chosen_results(tmp_path):
    pytest.importorskip('matplotlib', reason='the extra evaluation is not installed')
    results, other = chosen_results(gain=0.02), chosen_results()
    results.summary = summarise(results, samples=100)
    other.objects = other.objects[:-2]
    other.scores = {
        name: {key: values[:-2] for key, values in of.items()} for name, of in other.scores.items()
    }
    other.clicks = {name: values[:-2] for name, values in other.clicks.items()}
    write_report(results, tmp_path / 'out', comparison=compare(results, other, samples=100))
    page = (tmp_path / 'out/README.md').read_text()
    assert '| centre point | 1 of 1 | 100.0% | 25.0% | 0.600 |' in page
    assert '46 objects that both have (2 only here, 0 only there)' in page
    assert '+0.020 [+0.020, +0.020] | yes |' in page
    compared = page.split('## Compared with another evaluation')[1].split('\n## ')[0]
    rows = sum(line.endswith(('| yes |', '| no |')) for line in compared.splitlines())
    assert rows > 1 and f'without a correction for {rows} comparisons' in compared
    assert 'annotations left out: 3 without mask' in page
    again = read_results(tmp_path / 'out' / 'results.json')
    assert np.isnan(again.array('box', 'dice')[0])
    assert again.frames[0].spacing_mm == [0.2, 0.2]
    with pytest.raises(OutputError, match='exists already'):
        write_report(results, tmp_path / 'out')


@pytest.mark.parametrize(
    'text', ['', '[]', '{"format": "other"}', '{"format": "ultrasam evaluation 1"}', None]
)
def test_files_that_hold_no_results(tmp_path, text):
    path = tmp_path / 'results.json'
    if text is not None:
        path.write_text(text)
    with pytest.raises(InputError, match=r'results\.json'):
        read_results(path)


def config_file(folder: Path, text: str) -> Path:
    path = folder / 'config.py'
    path.write_text(f"_base_ = '{CONFIG}'\n{text}\n")
    return path


def test_configs_that_cannot_be_tested(tmp_path):
    with pytest.raises(ConfigError, match='no such config'):
        evaluate(tmp_path / 'none.py', WEIGHTS, options())
    with pytest.raises(ConfigError, match='has no test set'):
        evaluate(
            config_file(tmp_path, 'test_dataloader = None\ntest_evaluator = None\ntest_cfg = None'), WEIGHTS
        )
    with pytest.raises(ConfigError, match='states no ann_file'):
        text = "test_dataloader = dict(dataset=dict(_delete_=True, type='ConcatDataset', datasets=[]))"
        evaluate(config_file(tmp_path, text), WEIGHTS)
    with pytest.raises(ConfigError, match='has no test_evaluator'):
        evaluate(config_file(tmp_path, 'test_evaluator = None'), WEIGHTS, options())


def test_data_that_cannot_be_tested(tmp_path):
    with pytest.raises(AnnotationError, match=r'none\.json does not exist'):
        evaluate(CONFIG, WEIGHTS, options(data=DataPlaces(ann_file=tmp_path / 'none.json')))
    with pytest.raises(AnnotationError, match='images are not in'):
        evaluate(
            CONFIG,
            WEIGHTS,
            options(data=DataPlaces(ann_file=SAMPLE / 'annotations.json', img_prefix=tmp_path)),
        )
    empty = tmp_path / 'empty.json'
    empty.write_text('{"images": [], "annotations": [], "categories": []}')
    with pytest.raises(AnnotationError, match=r'empty\.json'):
        evaluate(CONFIG, WEIGHTS, options(data=DataPlaces(ann_file=empty)))
    with pytest.raises(ConfigError, match='a limit of 0'):
        evaluate(CONFIG, WEIGHTS, options(data=DataPlaces(limit=0)))


def test_options_that_cannot_be():
    with pytest.raises(ConfigError, match='no protocol boxes'):
        evaluate(CONFIG, WEIGHTS, options(protocols=('boxes',)))
    with pytest.raises(ConfigError, match='spacing'):
        evaluate(CONFIG, WEIGHTS, options(spacing_mm=[0.0]))


def test_a_checkpoint_of_another_model(tmp_path, checkpoint):
    with pytest.raises(CheckpointError, match='tiny'):
        evaluate(CONFIG, checkpoint, options())


def test_the_places_of_a_test_set(monkeypatch):
    monkeypatch.chdir(ROOT)
    beside = ConfiguredTestSet(
        CONFIG,
        DataPlaces(
            ann_file=Path('sample_dataset/annotations.json'), img_prefix=Path('sample_dataset/images')
        ),
    )
    below = ConfiguredTestSet(
        CONFIG, DataPlaces(data_root=SAMPLE, ann_file=Path('annotations.json'), limit=3)
    )
    assert (len(beside), len(below)) == (10, 3)
    assert beside.ann_file == below.ann_file == SAMPLE / 'annotations.json'
