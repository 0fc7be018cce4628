"""Every set of classified images converts the raw tree of its release to exactly what was drawn."""

from __future__ import annotations

import csv
import importlib
import json
from collections import defaultdict
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.corpus.raw_trees.common import Picture, Tree
from tests.corpus.test_sweep import digests, laid_out_otherwise
from ultrasam.corpus.classification.spec import PARTS, ClassificationSpec
from ultrasam.corpus.engine import Options, Report, convert_dataset
from ultrasam.corpus.loading import list_descriptions, load_spec
from ultrasam.corpus.manifest import verify_dataset

ROOT = Path(__file__).resolve().parents[2]
DESCRIPTIONS = list_descriptions(ROOT / 'datasets/classification')
COVERED = 4


def build(name: str, folder: Path) -> Tree:
    folder.mkdir()
    tree: Tree = importlib.import_module(f'tests.classification_sets.raw_trees.{name}').build(folder)
    return tree


def convert(name: str, source: Path, out: Path, *, jobs: int = 1) -> Report:
    return convert_dataset(
        DESCRIPTIONS[name], source, out, Options(jobs=jobs, accept_counts=True, accept_terms=True)
    )


def spec_of(name: str) -> ClassificationSpec:
    spec = load_spec(DESCRIPTIONS[name])
    assert isinstance(spec, ClassificationSpec)
    return spec


def table_of(folder: Path) -> list[dict[str, str]]:
    with (folder / 'annotations/images.csv').open(encoding='utf-8', newline='') as file:
        return list(csv.DictReader(file))


def list_of(folder: Path, name: str) -> list[tuple[str, int]]:
    path = folder / 'annotations' / name
    lines = path.read_text(encoding='utf-8').splitlines() if path.is_file() else []
    return [(line.rpartition(' ')[0], int(line.rpartition(' ')[2])) for line in lines]


def test_every_description_has_a_tree() -> None:
    trees = sorted(path.stem for path in (Path(__file__).parent / 'raw_trees').glob('*.py'))
    assert sorted(DESCRIPTIONS) == [name for name in trees if name != '__init__']
    assert len(DESCRIPTIONS) == COVERED


@pytest.mark.parametrize('name', DESCRIPTIONS)
def test_converts_to_what_was_drawn_wherever_it_lies(name: str, tmp_path: Path) -> None:
    tree = build(name, tmp_path / 'raw')
    before = digests(tmp_path / 'raw')
    report = convert(name, tree.source, tmp_path / 'out')
    assert digests(tmp_path / 'raw') == before, 'the source was changed'
    assert [path.name for path in (tmp_path / 'out').iterdir()] == [spec_of(name).name]
    assert dict(report.counts.left_out) == dict(tree.left_out)
    assert report.counts.unused == 0
    check_pictures(spec_of(name), report.folder, tree.pictures)
    check_lists(spec_of(name), report.folder)
    verify_dataset(report.folder)

    laid_out_otherwise(tree.source, tmp_path / 'a' / 'deeper' / 'place')
    again = convert(name, tmp_path / 'a', tmp_path / 'again', jobs=2)
    assert digests(report.folder) == digests(again.folder), 'the place, the order or the processes matter'


def check_pictures(spec: ClassificationSpec, folder: Path, pictures: tuple[Picture, ...]) -> None:
    """Compare table and pixels with what was drawn."""
    rows = table_of(folder)
    # in a file of many patients a frame is known by patient and number
    wanted = {(one.source, str(one.subject or one.source), one.frame): one for one in pictures}
    assert len(wanted) == len(pictures) == len(rows)
    for row in rows:
        picture = wanted.pop(
            (row['source_file'], row['subject'], int(row['frame']) if row['frame'] else None)
        )
        assert row['class'] == picture.label == spec.classes[int(row['index'])]
        if picture.part:
            assert row['part'] == picture.part
        with Image.open(folder / 'images' / row['file_name']) as opened:
            assert opened.mode == 'RGB'
            pixels = np.asarray(opened).astype(int)
        drawn = picture.pixels
        assert drawn is not None
        difference = np.abs(pixels - (drawn if drawn.ndim == 3 else drawn[..., None])).max()
        assert difference <= picture.tolerance, f'{picture.source}: pixels differ by {difference}'


def check_lists(spec: ClassificationSpec, folder: Path) -> None:
    """Lists name each image once, in its part and with its class; no subject is in two of them."""
    rows = {f'images/{row["file_name"]}': row for row in table_of(folder)}
    assert {path.name for path in (folder / 'images').iterdir()} == {
        row['file_name'] for row in rows.values()
    }
    for one in spec.lists:
        seen: list[str] = []
        parts: defaultdict[str, set[str]] = defaultdict(set)
        for part in PARTS:
            for file, index in list_of(folder, one.file_name(part)):
                assert rows[file][f'part{one.suffix}'] == part
                assert int(rows[file]['index']) == index
                parts[rows[file]['subject']].add(part)
                seen.append(file)
        assert sorted(seen) == sorted(rows)
        if not one.leak:
            assert {len(found) for found in parts.values()} == {1}
    names = (folder / 'annotations/classes.txt').read_text(encoding='utf-8')
    assert names.splitlines() == list(spec.classes)
    manifest = json.loads((folder / 'manifest.json').read_text(encoding='utf-8'))
    assert manifest['classes'] == list(spec.classes)
    assert set(manifest['lists']) == {one.suffix for one in spec.lists}
    assert manifest['counts']['images'] == {'main': len(rows)}


def test_percentages_of_fatty_liver_are_noted(tmp_path: Path) -> None:
    report = convert('fatty_liver', build('fatty_liver', tmp_path / 'raw').source, tmp_path / 'out')
    found = {row['subject']: row['steatosis_percent'] for row in table_of(report.folder)}
    assert found == {'1': '3', '2': '40', '3': '5.5', '5': '0', '7': '2', '14': '85', '55': '10'}
    assert sorted(row['file_name'] for row in table_of(report.folder) if row['subject'] == '7') == [
        f'FattyLiver__patient_7__{number:05d}.png' for number in range(4)
    ]


def test_butterfly_is_in_parts_by_patient(tmp_path: Path) -> None:
    report = convert('butterfly', build('butterfly', tmp_path / 'raw').source, tmp_path / 'out')
    found: defaultdict[str, set[str]] = defaultdict(set)
    for row in table_of(report.folder):
        found[row['part']].add(row['subject'])
    assert found == {'train': {'2', '11'}, 'val': {'1', '24'}, 'test': {'26', '31'}}
    assert list_of(report.folder, 'train.txt')[0] == ('images/Butterfly__2_lungs__00000.png', 2)


def test_leak_of_the_public_split_is_counted_and_said(tmp_path: Path) -> None:
    report = convert('pocus', build('pocus', tmp_path / 'raw').source, tmp_path / 'out')
    rows = table_of(report.folder)
    held = {part: {row['subject'] for row in rows if row['part'] == part} for part in PARTS}
    test = [row for row in rows if row['part'] == 'test']
    leaked = sum(row['subject'] in held['train'] | held['val'] for row in test)
    assert 0 < leaked < len(test), 'the tree shows nothing'
    lists = json.loads((report.folder / 'manifest.json').read_text(encoding='utf-8'))['lists']
    assert lists['']['images_of_shared_subjects']['test'] == leaked
    assert lists['_by_patient']['images_of_shared_subjects'] == {'val': 0, 'test': 0}
    assert lists['_by_patient']['repeated_images'] == {'val': 0, 'test': 0}
    page = (report.folder / 'README.md').read_text(encoding='utf-8')
    assert f'{leaked} of {len(test)} images of test' in page
    assert any(f'{leaked} of {len(test)} images are of subjects' in text for text in report.warnings)
    assert any('drawn from 14 files where the published one is drawn from 188' in t for t in report.warnings)


def test_each_class_of_pocus_is_in_each_part_by_patient(tmp_path: Path) -> None:
    report = convert('pocus', build('pocus', tmp_path / 'raw').source, tmp_path / 'out')
    train = list_of(report.folder, 'train_by_patient.txt')
    test = list_of(report.folder, 'test_classification_by_patient.txt')
    assert {index for _, index in train} == {0, 1, 2} == {index for _, index in test}


@pytest.mark.slow
def test_lists_are_read_by_the_dataset_of_the_classifiers(tmp_path: Path) -> None:
    pytest.importorskip('mmpretrain')
    from ultrasam.openmmlab.datasets.class_lists import ClassListDataset

    for name in DESCRIPTIONS:
        report = convert(name, build(name, tmp_path / f'raw_{name}').source, tmp_path / 'out')
        spec = spec_of(name)
        for one in spec.lists:
            dataset = ClassListDataset(
                data_root=str(tmp_path / 'out'),
                data_prefix=spec.name,
                ann_file=f'{spec.name}/annotations/{one.file_name("train")}',
                metainfo={'classes': spec.classes},
                pipeline=[],
            )
            listed = list_of(report.folder, one.file_name('train'))
            assert [sample['gt_label'] for sample in map(dataset.get_data_info, range(len(dataset)))] == [
                index for _, index in listed
            ]


@pytest.mark.slow
@pytest.mark.parametrize('name', DESCRIPTIONS)
def test_configs_name_these_files_and_these_classes(name: str) -> None:
    config_of = pytest.importorskip('mmengine.config').Config.fromfile
    spec = spec_of(name)
    for one in spec.lists:
        path = ROOT / f'configs/_base_/datasets/downstream_classification_{name}{one.suffix}.py'
        config = config_of(str(path))
        for part in PARTS:
            dataset = config[f'{part}_dataloader'].dataset
            assert dataset.ann_file == f'{spec.name}/annotations/{one.file_name(part)}'
            assert tuple(dataset.metainfo.classes) == spec.classes
            assert dataset.data_prefix == spec.name
