"""Frames for classification: what tells the classes apart, what does not, and the files that say which is which."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest

from ultrasam.errors import ConfigError
from ultrasam.evaluation.classification import roc_auc
from ultrasam.simulation import (
    LESION_SETS,
    FrameOrder,
    SimulatedFrame,
    SimulationSettings,
    contact_sheet,
    dataset_orders,
    frame_seed,
    simulate_frame,
    write_coco_dataset,
    write_frames,
)
from ultrasam.simulation.labelled_scenes import LABELLED_SCENES
from ultrasam.simulation.lesions import MARGIN_WAVES
from ultrasam.simulation.simulator import _draw_lesions

NUM_FRAMES = 240
DIAGNOSIS = SimulationSettings(size=96, lesions='diagnosis')


@pytest.fixture(scope='module')
def frames() -> list[SimulatedFrame]:
    return [simulate_frame(frame_seed(31, index), settings=DIAGNOSIS) for index in range(NUM_FRAMES)]


def _is_malignant(frames: list[SimulatedFrame]) -> np.ndarray:
    return np.array([frame.categories[0] == 'malignant_lesion' for frame in frames])


def test_a_frame_shows_one_lesion_of_a_class_of_the_set(frames: list[SimulatedFrame]) -> None:
    assert all(len(frame.masks) == 1 for frame in frames)
    assert {frame.categories[0] for frame in frames} == set(DIAGNOSIS.categories)
    assert {frame.meta['scene'] for frame in frames} == set(LABELLED_SCENES)


def test_the_seed_alone_decides_the_class_and_no_class_is_favoured() -> None:
    for name, classes in LESION_SETS.items():
        settings = SimulationSettings(size=64, lesions=name)
        drawn = [_draw_lesions(frame_seed(4, index), settings)[0].name for index in range(1200)]
        shares = [drawn.count(one.name) / len(drawn) for one in classes]
        assert np.allclose(shares, 1 / len(classes), atol=0.045), shares
        for index in range(6):
            frame = simulate_frame(frame_seed(4, index), settings=settings)
            assert frame.categories == (drawn[index],)


def test_size_place_and_gray_hardly_tell_the_classes_apart(frames: list[SimulatedFrame]) -> None:
    malignant = _is_malignant(frames)
    cues: dict[str, list[float]] = {
        'area': [],
        'row': [],
        'column': [],
        'gray': [],
        'contrast': [],
        'frame': [],
    }
    for frame in frames:
        gray = frame.image if frame.image.ndim == 2 else frame.image.mean(axis=2)
        mask = frame.masks[0]
        rows, columns = np.nonzero(mask)
        around = (gray > 0) & ~mask
        cues['area'].append(mask.mean())
        cues['row'].append(rows.mean() / mask.shape[0])
        cues['column'].append(columns.mean() / mask.shape[1])
        cues['gray'].append(gray[mask].mean())
        cues['contrast'].append(gray[mask].mean() - gray[around].mean())
        cues['frame'].append(gray[gray > 0].mean())
    for name, values in cues.items():
        # chance alone gives a standard deviation of 0.037; the gray of a lesion tells a little
        bound = 0.2 if name in ('gray', 'contrast') else 0.12
        assert abs(roc_auc(np.array(values), malignant) - 0.5) < bound, name


def test_signs_tell_the_classes_apart_but_none_decides(frames: list[SimulatedFrame]) -> None:
    malignant = _is_malignant(frames)
    signs = {
        'rough': [frame.attributes[0]['margin'] in ('irregular', 'spiculated') for frame in frames],
        'shadow': [frame.attributes[0]['posterior'] == 'shadow' for frame in frames],
        'no capsule': [not frame.attributes[0]['capsule'] for frame in frames],
        'specks': ['specks' in frame.attributes[0]['contents'] for frame in frames],
    }
    for name, found in signs.items():
        shares = [np.array(found)[malignant == is_malignant].mean() for is_malignant in (False, True)]
        assert shares[0] + 0.12 < shares[1], name
        assert shares[0] > 0, name
        assert shares[1] < 1, name


@pytest.mark.parametrize('name', LESION_SETS)
def test_descriptions_are_complete(name: str) -> None:
    classes = LESION_SETS[name]
    assert len({one.name for one in classes}) == len(classes) >= 2
    for one in classes:
        assert set(one.margins) <= set(MARGIN_WAVES)
        assert sum(one.margins.values()) == pytest.approx(1)
        assert one.shadow + one.enhancement <= 1
        for field, value in asdict(one).items():
            if isinstance(value, tuple):
                assert value[0] < value[1], field
            elif isinstance(value, float):
                assert 0 <= value <= 1, field


def test_several_lesions_have_classes_of_their_own() -> None:
    settings = SimulationSettings(size=96, lesions='kinds', most_lesions=3)
    frames = [simulate_frame(frame_seed(8, index), settings=settings) for index in range(40)]
    assert {len(frame.masks) for frame in frames} == {1, 2, 3}
    assert any(len(set(frame.categories)) > 1 for frame in frames)
    sheet = contact_sheet(frames[:4], columns=2, tile=64, categories=settings.categories)
    plain = contact_sheet(frames[:4], columns=2, tile=64, outlines=False)
    assert sheet.shape == plain.shape
    assert (sheet != plain).any()


def test_the_files_name_the_class_of_every_frame(tmp_path: Path) -> None:
    class_lists = pytest.importorskip('ultrasam.openmmlab.datasets.class_lists')
    path = write_coco_dataset(tmp_path / 'set', 12, 3, size=64, lesions='kinds')
    coco = json.loads(path.read_text())
    names = SimulationSettings(lesions='kinds').categories
    assert tuple(item['name'] for item in coco['categories']) == names
    assert [item['id'] for item in coco['categories']] == [1, 2, 3, 4, 5, 6]
    read = class_lists.ClassListDataset(
        data_root=str(tmp_path / 'set'),
        ann_file='image_classes.txt',
        data_prefix='images',
        metainfo=dict(classes=names),
        pipeline=[],
        test_mode=True,
    )
    truth = {item['image_id']: item['category_id'] - 1 for item in coco['annotations']}
    assert [read.get_data_info(index)['gt_label'] for index in range(len(read))] == [
        truth[image['id']] for image in coco['images']
    ]


def test_frames_of_several_classes_are_listed_with_all_of_them(tmp_path: Path) -> None:
    class_lists = pytest.importorskip('ultrasam.openmmlab.datasets.class_lists')
    write_coco_dataset(tmp_path / 'set', 16, 5, size=64, lesions='diagnosis', most_lesions=3)
    read = class_lists.ClassListDataset(
        data_root=str(tmp_path / 'set'),
        ann_file='image_classes.txt',
        data_prefix='images',
        metainfo=dict(classes=DIAGNOSIS.categories),
        multi_label=True,
        pipeline=[],
    )
    labels = [tuple(read.get_data_info(index)['gt_label']) for index in range(len(read))]
    assert set(labels) == {(0,), (1,), (0, 1)}
    orders = dataset_orders(16, 5, size=64, lesions='diagnosis', most_lesions=3)
    drawn = [{one.name for one in _draw_lesions(order.seed, order.settings)} for order in orders]
    assert [{DIAGNOSIS.categories[index] for index in found} for found in labels] == drawn


def test_sets_without_lesions_have_no_list(tmp_path: Path) -> None:
    write_coco_dataset(tmp_path / 'set', 1, 3, size=64)
    assert sorted(entry.name for entry in (tmp_path / 'set').iterdir()) == ['annotations.json', 'images']


def test_frames_of_different_sets_do_not_make_one_dataset(tmp_path: Path) -> None:
    orders = [FrameOrder(1, DIAGNOSIS), FrameOrder(2, SimulationSettings(size=96))]
    with pytest.raises(ConfigError, match='share one set'):
        write_frames(tmp_path / 'set', orders)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ('settings', 'message'),
    [
        ({'lesions': 'warts'}, 'diagnosis, kinds'),
        ({'lesions': 'kinds', 'scene': 'breast'}, 'one of the two'),
        ({'lesions': 'kinds', 'most_lesions': 0}, 'at least one lesion'),
    ],
)
def test_impossible_settings_are_refused(settings: dict, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        SimulationSettings(**settings)
