from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.registry import init_default_scope

from tests.configs.small_downstream import small_config, write_all
from tests.golden import ROOT
from tests.packaging.test_project_files import load_by_path
from ultrasam.errors import ConfigError, OutputError
from ultrasam.evaluation.classification_probes import FeatureTable, as_json, knn_probe, linear_probe
from ultrasam.openmmlab.classification_features import features_of_config

CONFIGS = ROOT / 'configs/UltraSAM/UltraSAM_full/downstream/classification'


def table(count: int, seed: int, *, shift: float = 3.0, width: int = 12) -> FeatureTable:
    """Three clouds of which one feature tells one from the rest; the others are noise on another scale."""
    rng = np.random.default_rng(seed)
    labels = np.arange(count) % 3
    features = rng.normal(size=(count, width)) * 10.0 ** (np.arange(width) % 3 - 1)
    features[:, :3] = rng.normal(size=(count, 3)) + shift * np.eye(3)[labels]
    return FeatureTable(features.astype(np.float32), labels, tuple(map(str, range(count))))


def tables(**options: float) -> dict[str, FeatureTable]:
    return {part: table(150, seed, **options) for seed, part in enumerate(('train', 'val', 'test'))}


def test_linear_probe_finds_what_a_line_can_tell():
    data = tables()
    result = linear_probe(data, 3)
    assert result.test.f1 > 0.9
    assert result.test.auc > 0.97
    assert result.val_f1[result.chosen] == max(result.val_f1.values())
    again = linear_probe(data, 3)
    assert again.test.means() == result.test.means()


def test_linear_probe_is_the_minimum():
    data = tables(shift=1.0)
    result = linear_probe(data, 3, strengths=[0.1])
    from ultrasam.evaluation import classification_probes as probes

    train = data['train']
    inputs = torch.from_numpy((train.features - train.features.mean(0)) / train.features.std(0)).double()
    labels = torch.from_numpy(train.labels)
    weight, bias = probes._fit(inputs, labels, 3, 0.1)
    residual = torch.softmax(inputs @ weight + bias, 1) - torch.nn.functional.one_hot(labels, 3)
    gradient = inputs.T @ residual / len(labels) + 0.1 * weight
    assert gradient.abs().max() < 1e-4
    assert result.chosen == 0.1


def test_knn_probe_and_its_votes():
    data = {
        name: FeatureTable(one.features[:, :3], one.labels, one.names)
        for name, one in tables(shift=6).items()
    }
    assert knn_probe(data, 3).test.f1 > 0.95
    with pytest.raises(ConfigError, match='no setting'):
        knn_probe(data, 3, neighbours=[151])
    with pytest.raises(ConfigError, match='temperature'):
        knn_probe(data, 3, temperature=0)


def test_labels_that_are_chance_stay_chance():
    data = tables(shift=0.0)
    assert linear_probe(data, 3).test.f1 < 0.5
    assert knn_probe(data, 3).test.f1 < 0.5


def test_the_test_part_chooses_nothing():
    data = tables(shift=1.0)
    wrong = FeatureTable(data['test'].features, (data['test'].labels + 1) % 3, data['test'].names)
    one, other = linear_probe(data, 3), linear_probe({**data, 'test': wrong}, 3)
    assert (one.chosen, one.val_f1) == (other.chosen, other.val_f1)


def test_a_feature_that_never_changes_is_no_fault():
    data = {
        name: FeatureTable(np.hstack([one.features, np.ones((150, 1), np.float32)]), one.labels, one.names)
        for name, one in tables().items()
    }
    assert linear_probe(data, 3).test.f1 > 0.9


def test_missing_part():
    data = tables()
    del data['val']
    with pytest.raises(ConfigError, match='val is missing'):
        linear_probe(data, 3)


@pytest.fixture(scope='module')
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_all(tmp_path_factory.mktemp('small'))


@pytest.fixture
def config(folder: Path, tmp_path: Path):
    small = small_config(CONFIGS / 'BUSBRA/UltraSam.py', folder, tmp_path / 'work')
    small.dump(str(tmp_path / 'small.py'))
    yield tmp_path / 'small.py'
    init_default_scope('mmdet')


def test_features_are_the_mean_tokens_of_the_encoder(config: Path):
    found, classes = features_of_config(config, device='cpu')
    assert classes == ('breast_nodule_benign', 'breast_nodule_malignant')
    assert {part: len(one.labels) for part, one in found.items()} == {'train': 4, 'val': 2, 'test': 2}
    singles, _ = features_of_config(config, device='cpu', batch_size=1, parts=['train'])
    assert np.allclose(singles['train'].features, found['train'].features, atol=1e-5)
    assert found['train'].labels.tolist() == [0, 1, 0, 1]
    assert len(np.unique(found['train'].features, axis=0)) == 4


@pytest.mark.parametrize('name', ['linear_probe', 'knn_probe'])
def test_command(name: str, config: Path, tmp_path: Path, monkeypatch, capsys):
    tool = load_by_path(ROOT / 'tools' / f'{name}.py')
    out = tmp_path / 'deep' / 'probe.json'
    command = [name, str(config), '--device', 'cpu', '--out', str(out)]
    monkeypatch.setattr(sys, 'argv', command)
    tool.main()
    record = json.loads(out.read_text())
    assert record['images'] == {'train': 4, 'val': 2, 'test': 2}
    assert set(record['classes']) == {'breast_nodule_benign', 'breast_nodule_malignant'}
    assert f'{record["test"]["f1"]:.4f}' in capsys.readouterr().out
    with pytest.raises(SystemExit, match='OutputError'):
        tool.main()


def test_adapters_without_training_are_refused(folder: Path, tmp_path: Path):
    small = small_config(CONFIGS / 'BUSBRA/lora.py', folder, tmp_path / 'work')
    small.dump(str(tmp_path / 'small.py'))
    with pytest.raises(ConfigError, match='give a checkpoint'):
        features_of_config(tmp_path / 'small.py', device='cpu')
    init_default_scope('mmdet')


@pytest.mark.parametrize('task', ['classification', 'regression'])
def test_images_without_one_class_are_refused(task: str, folder: Path, tmp_path: Path):
    path = CONFIGS.parent / task / 'simulated/nano.py'
    small_config(path, folder, tmp_path / 'work').dump(str(tmp_path / 'small.py'))
    with pytest.raises(ConfigError, match=r'frame_\d+\.png: a probe takes images of one class each'):
        features_of_config(tmp_path / 'small.py', device='cpu')
    init_default_scope('mmdet')


def test_another_kind_of_config_is_refused():
    with pytest.raises(ConfigError, match='no config of a classifier'):
        features_of_config(ROOT / 'configs/UltraSAM/UltraSAM_full/UltraSAM_box_refine.py')


def test_undefined_figures_are_null():
    data = tables()
    data['test'] = FeatureTable(data['test'].features[:1], data['test'].labels[:1], ('a',))
    record = as_json(linear_probe(data, 3), data, ['a', 'b', 'c'])
    assert record['test']['auc'] is None
    json.dumps(record, allow_nan=False)


def test_nothing_is_computed_when_the_file_is_there(config: Path, tmp_path: Path):
    from argparse import Namespace

    from ultrasam.cli.probes import run_probe

    out = tmp_path / 'there.json'
    out.write_text('{}')
    with pytest.raises(OutputError):
        run_probe(Namespace(trust_pickle=[], out=out, overwrite=False), linear_probe)
