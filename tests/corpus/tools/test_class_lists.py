"""From raw trees to classifiers: each data set whose images have classes, converted, split, and read back."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from mmengine.config import Config
from mmengine.registry import DefaultScope
from mmengine.utils import import_modules_from_strings

from tests.corpus.raw_trees import mmotu_2d
from tests.corpus.test_sweep import DESCRIPTIONS
from tests.corpus.tools.conftest import convert
from tests.corpus.tools.test_chain import copied, digests, run
from tests.corpus.tools.tiny import read
from tests.golden import ROOT
from ultrasam.corpus.loading import load_spec
from ultrasam.corpus.manifest import verify_dataset
from ultrasam.openmmlab.datasets.class_lists import ClassListDataset

SPECS = {name: spec for name, path in DESCRIPTIONS.items() if (spec := load_spec(path)).classes}
LISTS = {'train': 'train.txt', 'val': 'val_classification.txt', 'test': 'test_classification.txt'}
WITH_TEST = ('BUSBRA', 'GIST514-DB', 'MMOTU_2d')
CONFIGS = {
    'BUSBRA': 'BUSBRA/UltraSam.py',
    'GIST514-DB': 'GIST514-DB/UltraSam.py',
    'MMOTU_2d': 'UltraSam_MMotu2d.py',
}


@pytest.fixture(autouse=True)
def scope() -> Iterator[None]:
    with DefaultScope.overwrite_default_scope('mmpretrain'):
        yield


@pytest.fixture(scope='module')
def raw_to_lists(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Root of the converted data sets, and a copy of it that is split; MMOTU has three images of each class."""
    folder = tmp_path_factory.mktemp('classes')
    names = dict(enumerate(SPECS['mmotu_2d'].classes))
    more = {
        str(3 * label + k): (label, name, (64, 0, 8 * label), 'test' if k == 2 else 'train')
        for label, name in names.items()
        for k in range(3)
    }
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(mmotu_2d, 'CLASSES', more)
        source = convert(tuple(SPECS), folder / 'raw', folder / 'converted')
    root = copied(source, folder / 'data', reverse=False)
    assert run('python datasets/tools/split_coco.py ROOT', root) == 0
    return source, root


def dataset(root: Path, name: str, part: str, classes: tuple[str, ...]) -> ClassListDataset:
    return ClassListDataset(
        data_root=str(root), data_prefix=name, ann_file=f'{name}/annotations/{LISTS[part]}',
        metainfo=dict(classes=classes), test_mode=part != 'train', pipeline=[],
    )  # fmt: skip


def test_these_data_sets_have_classes() -> None:
    assert sorted(SPECS) == [
        'aul', 'buid', 'bus_bra', 'bus_uc', 'bus_ucml', 'busi', 'fast_u_net', 'gist514_db', 'mmotu_2d', 'tnscui',
    ]  # fmt: skip


@pytest.mark.parametrize('short', SPECS)
def test_lists_are_read_back(short: str, raw_to_lists: tuple[Path, Path]) -> None:
    spec, root = SPECS[short], raw_to_lists[1]
    annotations = root / spec.name / 'annotations'
    assert tuple((annotations / 'classes.txt').read_text().splitlines()) == spec.classes
    subjects: dict[str, set[str]] = {}
    for part, name in LISTS.items():
        assert (annotations / name).is_file() == (part != 'test' or spec.name in WITH_TEST)
        if not (annotations / name).is_file():
            continue
        images = {
            f'{root / spec.name}/images/{image["file_name"]}': image
            for image in read(annotations / f'{part}.{spec.name}__coco.json')['images']
        }
        data = dataset(root, spec.name, part, spec.classes)
        samples = {data.get_data_info(i)['img_path']: data.get_data_info(i) for i in range(len(data))}
        known = {path: image for path, image in images.items() if image.get('label')}
        assert list(samples) == list(known), 'another part than that of the COCO file'
        for path, sample in samples.items():
            assert spec.classes[sample['gt_label']] == known[path]['label']
        subjects[part] = {image['subject'] for image in known.values()}
    parts = list(subjects.values())
    assert sum(map(len, parts)) == len(set().union(*parts)), 'a subject in two parts'
    assert subjects['train'] and subjects['val']


def test_the_corpus_passes_its_checks(raw_to_lists: tuple[Path, Path]) -> None:
    root = raw_to_lists[1]
    assert run('python datasets/tools/verify.py ROOT', root) == 0
    for spec in SPECS.values():
        verify_dataset(root / spec.name)


def test_the_same_lists_wherever_and_in_whatever_order(
    raw_to_lists: tuple[Path, Path], tmp_path: Path
) -> None:
    source, root = raw_to_lists
    again = copied(source, tmp_path / 'else/where', reverse=True)
    assert run('python datasets/tools/build_corpus.py ROOT', again) == 0
    lists = {name: sha for name, sha in digests(again).items() if name.endswith('.txt')}
    assert lists == {name: sha for name, sha in digests(root).items() if name.endswith('.txt')}
    assert len(lists) == len(SPECS) * 3 + len(WITH_TEST)


def test_official_test_parts(raw_to_lists: tuple[Path, Path]) -> None:
    """MMOTU's val list, fold 1 of BUS-BRA, the validation part of fold 0 of GIST514-DB."""
    root = raw_to_lists[1]
    for name in WITH_TEST:
        lines = (root / name / 'annotations' / LISTS['test']).read_text().splitlines()
        assert lines and all(line.startswith(f'images/test.{name}__') for line in lines)
    assert len((root / 'MMOTU_2d/annotations' / LISTS['test']).read_text().splitlines()) == 8


@pytest.mark.parametrize('name', CONFIGS)
def test_classifier_config_finds_its_files(name: str, raw_to_lists: tuple[Path, Path]) -> None:
    from mmpretrain.registry import DATASETS

    config = Config.fromfile(
        ROOT / 'configs/UltraSAM/UltraSAM_full/downstream/classification' / CONFIGS[name]
    )
    import_modules_from_strings(**config.custom_imports)
    for part in LISTS:
        settings: Any = config[f'{part}_dataloader'].dataset
        settings.data_root = str(raw_to_lists[1])
        data = DATASETS.build(settings)
        sample = data[0]
        assert tuple(sample['inputs'].shape) == (3, 1024, 1024)
        assert 0 <= int(sample['data_samples'].gt_label) < len(data.metainfo['classes'])
        spec = next(spec for spec in SPECS.values() if spec.name == name)
        assert tuple(data.metainfo['classes']) == spec.classes


def test_a_data_set_of_its_own(raw_to_lists: tuple[Path, Path], tmp_path: Path) -> None:
    """AUL alone gives other parts than among others only where they share images, which it does not."""
    source, root = raw_to_lists
    shutil.copytree(source / 'AUL', tmp_path / 'AUL')
    assert run('python datasets/tools/split_coco.py ROOT', tmp_path / 'AUL') == 0
    for name in (LISTS['train'], LISTS['val']):
        assert (tmp_path / 'AUL/annotations' / name).read_bytes() == (
            root / 'AUL/annotations' / name
        ).read_bytes()
