from __future__ import annotations

import hashlib

import numpy as np
import pytest

from ultrasam.errors import ConfigError
from ultrasam.simulation import (
    CATEGORIES,
    SCENES,
    SimulatedFrame,
    SimulationSettings,
    frame_seed,
    simulate_frame,
)

NUM_FRAMES = 80


@pytest.fixture(scope='module')
def frames() -> list[SimulatedFrame]:
    return [simulate_frame(frame_seed(2024, index)) for index in range(NUM_FRAMES)]


def _gray(frame: SimulatedFrame) -> np.ndarray:
    return frame.image if frame.image.ndim == 2 else frame.image.mean(axis=2)


def _digest(frame: SimulatedFrame) -> str:
    text = repr((frame.categories, frame.attributes, frame.meta)).encode()
    return hashlib.sha256(frame.image.tobytes() + frame.masks.tobytes() + text).hexdigest()


def test_equal_arguments_give_equal_bytes() -> None:
    settings = SimulationSettings(size=192)
    assert _digest(simulate_frame(5, settings=settings)) == _digest(simulate_frame(5, settings=settings))


def test_global_random_state_is_neither_read_nor_changed() -> None:
    np.random.seed(1)
    before = np.random.get_state()[1].copy()  # type: ignore[index,union-attr]
    first = _digest(simulate_frame(6))
    assert np.array_equal(before, np.random.get_state()[1])  # type: ignore[index]
    np.random.seed(2)
    assert _digest(simulate_frame(6)) == first


def test_seeds_and_settings_change_the_frame(frames: list[SimulatedFrame]) -> None:
    assert len({_digest(frame) for frame in frames}) == NUM_FRAMES
    assert _digest(simulate_frame(5)) != _digest(
        simulate_frame(5, settings=SimulationSettings(overlays=False))
    )


def test_seeds_of_datasets_do_not_meet() -> None:
    seeds = {frame_seed(dataset, index) for dataset in range(20) for index in range(200)}
    assert len(seeds) == 20 * 200


def test_types_shapes_and_long_side(frames: list[SimulatedFrame]) -> None:
    for frame in frames:
        height, width = frame.image.shape[:2]
        assert frame.image.dtype == np.uint8
        assert frame.image.ndim == 2 or frame.image.shape[2] == 3
        assert max(height, width) == 256
        assert frame.masks.dtype == bool
        assert frame.masks.shape == (len(frame.categories), height, width)
        assert len(frame.attributes) == len(frame.categories) > 0
        assert set(frame.categories) <= set(CATEGORIES)


def test_gray_values_match_real_frames(frames: list[SimulatedFrame]) -> None:
    means = [_gray(frame)[_gray(frame) > 0].mean() for frame in frames]
    assert 50 < np.mean(means) < 75
    assert np.std(means) > 6


def test_object_sizes_match_real_frames(frames: list[SimulatedFrame]) -> None:
    shares = [100 * mask.mean() for frame in frames for mask in frame.masks]
    low, middle, high = np.percentile(shares, [5, 50, 95])
    assert 0.3 < low < 2.5
    assert 5 < middle < 11
    assert 17 < high < 32


def test_number_of_structures_varies(frames: list[SimulatedFrame]) -> None:
    counts = [len(frame.masks) for frame in frames]
    assert min(counts) == 1
    assert 3 <= max(counts) <= 7
    assert 1.3 < np.mean(counts) < 3


def test_frames_cover_scenes_probes_categories_and_colours(frames: list[SimulatedFrame]) -> None:
    assert {frame.meta['scene'] for frame in frames} == set(SCENES)
    assert {frame.meta['probe'] for frame in frames} == {'linear', 'convex', 'endocavity', 'phased'}
    assert len({name for frame in frames for name in frame.categories}) >= 7
    assert {frame.image.ndim for frame in frames} == {2, 3}


def test_both_diagnoses_occur_and_only_for_masses(frames: list[SimulatedFrame]) -> None:
    found = [
        (name, item['diagnosis'])
        for frame in frames
        for name, item in zip(frame.categories, frame.attributes, strict=True)
    ]
    assert {diagnosis for name, diagnosis in found if name == 'solid_mass'} == {'benign', 'malignant'}
    assert {diagnosis for name, diagnosis in found if name in ('organ', 'vessel', 'nerve', 'head')} <= {None}


def test_masks_are_visible_and_of_a_useful_size(frames: list[SimulatedFrame]) -> None:
    for frame in frames:
        for mask in frame.masks:
            assert mask.mean() >= 0.0005


@pytest.mark.parametrize('seed', range(3))
def test_masks_follow_the_image(seed: int) -> None:
    settings = SimulationSettings(scene='fetus', overlays=False)
    frame = simulate_frame(frame_seed(3, seed), settings=settings)
    head = frame.masks[frame.categories.index('head')]
    ellipse = frame.attributes[frame.categories.index('head')]['ellipse']
    assert ellipse is not None
    rows, columns = np.mgrid[: head.shape[0], : head.shape[1]] + 0.5
    angle = np.radians(ellipse['angle_deg'])
    dx, dy = columns - ellipse['centre_xy_px'][0], rows - ellipse['centre_xy_px'][1]
    along, across = dx * np.cos(angle) + dy * np.sin(angle), dy * np.cos(angle) - dx * np.sin(angle)
    radius = np.hypot(along / ellipse['half_axes_px'][0], across / ellipse['half_axes_px'][1])
    # The outline lies slightly outside the edge, never inside it.
    assert radius[head].max() < 1.12
    brain, skull = (radius < 0.85) & head, (radius > 0.95) & (radius < 1.03) & head
    assert frame.image[skull].mean() > frame.image[brain].mean()


def test_speckle_of_even_tissue_has_rayleigh_statistics() -> None:
    from ultrasam.simulation.canvas import Canvas
    from ultrasam.simulation.geometry import BeamGrid, draw_field_of_view
    from ultrasam.simulation.imaging import _echo_power, draw_machine

    rng = np.random.Generator(np.random.PCG64(4))
    canvas = Canvas(BeamGrid(draw_field_of_view(rng, 'convex', 512)))
    machine = draw_machine(rng, canvas.grid.shape[0])
    envelope = np.sqrt(_echo_power(rng, canvas, machine))
    # A Rayleigh distributed envelope has a ratio of mean to standard deviation of 1.91 at every depth.
    for part in np.array_split(envelope, 3):
        assert part.mean() / part.std() == pytest.approx(1.91, abs=0.12)
        assert (part**2).mean() == pytest.approx(1.0, abs=0.12)


@pytest.mark.parametrize('settings', [{'size': 10}, {'scene': 'moon'}])
def test_impossible_settings_are_refused(settings: dict) -> None:
    with pytest.raises(ConfigError, match=next(iter(settings))):
        SimulationSettings(**settings)


def test_a_negative_seed_is_refused() -> None:
    with pytest.raises(ConfigError, match='seed=-1'):
        simulate_frame(-1)
