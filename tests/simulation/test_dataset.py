from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import cv2
import numpy as np
import pytest
from pycocotools import mask as coco_mask
from pycocotools.coco import COCO

from ultrasam.errors import ConfigError, UltraSamError
from ultrasam.simulation import CATEGORIES, dataset, dataset_orders, simulate_frame, write_coco_dataset

ROOT = Path(__file__).resolve().parents[2]
SAMPLE = ROOT / 'sample_dataset'


def _contents(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob('*'))
        if path.is_file()
    }


@pytest.fixture(scope='module')
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp('simulated') / 'set'
    write_coco_dataset(folder, 10, 77, size=128)
    return folder


def test_layout_and_progress(tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    path = write_coco_dataset(
        tmp_path / 'new' / 'set', 3, 1, size=96, progress=lambda done, total: seen.append((done, total))
    )
    assert path == tmp_path / 'new' / 'set' / 'annotations.json'
    assert sorted(_contents(path.parent)) == [
        'annotations.json',
        *(f'images/frame_00000{i}.png' for i in range(3)),
    ]
    assert seen == [(1, 3), (2, 3), (3, 3)]
    assert [entry.name for entry in (tmp_path / 'new').iterdir()] == ['set']


def test_number_of_jobs_does_not_change_a_byte(small: Path, tmp_path: Path) -> None:
    write_coco_dataset(tmp_path / 'set', 10, 77, size=128, jobs=2)
    assert _contents(tmp_path / 'set') == _contents(small)


def test_pycocotools_reads_it_and_boxes_areas_and_masks_agree(small: Path) -> None:
    coco = COCO(str(small / 'annotations.json'))
    assert [item['name'] for item in coco.loadCats(coco.getCatIds())] == list(CATEGORIES)
    assert sorted(coco.anns) == list(range(1, len(coco.anns) + 1))
    assert len({image['subject_id'] for image in coco.imgs.values()}) == len(coco.imgs) == 10
    for order, image in zip(dataset_orders(10, 77, size=128), coco.imgs.values(), strict=True):
        frame = simulate_frame(order.seed, settings=order.settings)
        stored = cv2.imread(str(small / 'images' / image['file_name']), cv2.IMREAD_UNCHANGED)
        expected = frame.image if frame.image.ndim == 2 else frame.image[..., ::-1]
        assert np.array_equal(stored, expected)
        annotations = coco.loadAnns(coco.getAnnIds(imgIds=image['id']))
        assert len(annotations) == len(frame.masks)
        for annotation, mask, name in zip(annotations, frame.masks, frame.categories, strict=True):
            assert np.array_equal(coco.annToMask(annotation).astype(bool), mask)
            rows, columns = np.nonzero(mask)
            x, y, width, height = annotation['bbox']
            assert (x, y) == (columns.min(), rows.min())
            assert (x + width, y + height) == (columns.max() + 1, rows.max() + 1)
            assert annotation['area'] == mask.sum()
            assert CATEGORIES[annotation['category_id'] - 1] == name


def test_a_range_of_sizes_is_used() -> None:
    sides = {order.settings.size for order in dataset_orders(40, 3, size=(100, 140))}
    assert len(sides) > 10
    assert min(sides) >= 100
    assert max(sides) <= 140


def test_more_frames_keep_the_first_ones() -> None:
    assert dataset_orders(20, 3)[:5] == dataset_orders(5, 3)


def test_existing_output_is_refused_and_left_alone(tmp_path: Path) -> None:
    (tmp_path / 'mine.txt').write_text('keep')
    with pytest.raises(ConfigError, match='exists already'):
        write_coco_dataset(tmp_path, 1, 1)
    assert _contents(tmp_path) == {'mine.txt': b'keep'}


def test_a_failure_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise UltraSamError('disk full')

    monkeypatch.setattr(dataset, 'simulate_frame', fail)
    with pytest.raises(UltraSamError, match='disk full'):
        write_coco_dataset(tmp_path / 'set', 2, 1)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize('arguments', [{'num_frames': 0}, {'seed': -1}, {'size': (200, 100)}, {'jobs': 0}])
def test_impossible_arguments_are_refused(tmp_path: Path, arguments: dict) -> None:
    with pytest.raises(ConfigError):
        write_coco_dataset(tmp_path / 'set', **{'num_frames': 1, 'seed': 1, **arguments})
    assert list(tmp_path.iterdir()) == []


def _load_generator() -> ModuleType:
    spec = importlib.util.spec_from_file_location('sample_generate', SAMPLE / 'generate.py')
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_committed_sample_is_what_the_generator_writes(tmp_path: Path) -> None:
    assert _load_generator().main(['--out', str(tmp_path)]) == 0
    fresh, committed = (
        json.loads((folder / 'annotations.json').read_text()) for folder in (tmp_path, SAMPLE)
    )
    assert fresh == committed
    agnostic = json.loads((SAMPLE / 'annotations.agnostic.json').read_text())
    assert agnostic == json.loads((tmp_path / 'annotations.agnostic.json').read_text())
    assert (
        {a['category_id'] for a in agnostic['annotations']}
        == {c['id'] for c in agnostic['categories']}
        == {1}
    )
    names = sorted(path.name for path in (SAMPLE / 'images').iterdir())
    assert names == sorted(path.name for path in (tmp_path / 'images').iterdir())
    assert len(names) == 10
    for name in names:
        old, new = (
            cv2.imread(str(folder / 'images' / name), cv2.IMREAD_UNCHANGED) for folder in (SAMPLE, tmp_path)
        )
        assert old.dtype == np.uint8
        assert np.array_equal(old, new), name


def test_the_committed_sample_is_small_and_varied() -> None:
    files = list((SAMPLE / 'images').glob('*.png'))
    assert sum(path.stat().st_size for path in files) < 3_000_000
    assert (SAMPLE / 'contact_sheet.jpg').stat().st_size < 500_000
    data = json.loads((SAMPLE / 'annotations.json').read_text())
    assert all(450 <= max(image['height'], image['width']) <= 1100 for image in data['images'])
    assert {image['acquisition']['probe'] for image in data['images']} >= {'linear', 'convex', 'phased'}
    assert len({item['category_id'] for item in data['annotations']}) >= 6
    assert len(data['annotations']) >= 20
    masks = [coco_mask.decode(item['segmentation']) for item in data['annotations']]
    assert all(mask.any() for mask in masks)


def _simulate(*arguments: str) -> subprocess.CompletedProcess:
    command = [sys.executable, str(ROOT / 'tools' / 'simulate.py'), *arguments]
    environment = {**os.environ, 'PYTHONPATH': str(ROOT)}
    return subprocess.run(command, capture_output=True, text=True, check=False, env=environment)


def test_the_command_writes_a_dataset_and_refuses_to_overwrite_it(tmp_path: Path) -> None:
    arguments = (
        '--out',
        str(tmp_path / 'set'),
        '--frames',
        '2',
        '--seed',
        '4',
        '--size',
        '96',
        '--jobs',
        '1',
    )
    first = _simulate(*arguments)
    assert first.returncode == 0, first.stderr
    assert 'annotations.json' in first.stdout
    second = _simulate(*arguments)
    assert second.returncode == 1
    assert 'exists already' in second.stderr
    assert 'Traceback' not in second.stderr
