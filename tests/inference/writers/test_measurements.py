"""Sizes against shapes whose sizes are known."""

from __future__ import annotations

import math

import numpy as np
import pytest

from ultrasam.errors import ConfigError
from ultrasam.io.writers.measurements import Measurement, ellipse_circumference, measure

SPACINGS = [(1.0, 1.0), (0.3, 0.3), (0.5, 0.25), (0.2, 0.6)]
SHIFTS = [(0.0, 0.0), (0.5, 0.5), (0.3, 0.8)]


def draw(inside, size_mm: float, spacing_mm: tuple[float, float]) -> np.ndarray:
    """Pixels whose centre, in mm from the middle of the picture, is inside."""
    rows, columns = (int(size_mm / step) + 1 for step in spacing_mm)
    y, x = np.mgrid[:rows, :columns]
    return inside(x * spacing_mm[1] - size_mm / 2, y * spacing_mm[0] - size_mm / 2)


def turned(x, y, degrees: float):
    """Coordinates along and across an axis that points ``degrees`` from x towards y."""
    cos, sin = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    return x * cos + y * sin, y * cos - x * sin


@pytest.mark.parametrize('spacing', SPACINGS)
@pytest.mark.parametrize('shift', SHIFTS)
@pytest.mark.parametrize('radius_px', [20, 75])
def test_discs(spacing, shift, radius_px):
    radius = radius_px * max(spacing)
    dx, dy = np.multiply(shift, spacing)
    mask = draw(lambda x, y: np.hypot(x - dx, y - dy) <= radius, 2.5 * radius, spacing)
    found = measure(mask, spacing)
    pixel = max(spacing)
    assert found.unit == 'mm'
    assert found.area == pytest.approx(math.pi * radius**2, rel=0.01)
    assert found.perimeter == pytest.approx(2 * math.pi * radius, rel=0.02)
    assert found.longest_axis == pytest.approx(2 * radius, abs=1.1 * pixel)
    assert found.perpendicular_axis == pytest.approx(2 * radius, abs=1.1 * pixel)
    assert (found.ellipse_major, found.ellipse_minor) == pytest.approx((2 * radius, 2 * radius), rel=0.01)
    assert found.ellipse_circumference == pytest.approx(2 * math.pi * radius, rel=0.01)
    centre = 1.25 * radius + np.array([dx, dy])
    assert found.centroid_xy == pytest.approx(tuple(centre), abs=0.1 * pixel)


@pytest.mark.parametrize('spacing', SPACINGS)
@pytest.mark.parametrize('degrees', [0, 17, 45, 90, 110, 163])
def test_turned_ellipses(spacing, degrees):
    major, minor = 120 * max(spacing), 80 * max(spacing)

    def inside(x, y):
        along, across = turned(x, y, degrees)
        return (2 * along / major) ** 2 + (2 * across / minor) ** 2 <= 1

    found = measure(draw(inside, 1.2 * major, spacing), spacing)
    assert found.area == pytest.approx(math.pi * major * minor / 4, rel=0.01)
    assert (found.ellipse_major, found.ellipse_minor) == pytest.approx((major, minor), rel=0.01)
    off = abs(found.ellipse_angle_deg - degrees)
    assert min(off, 180 - off) < 0.7
    assert found.perimeter == pytest.approx(ellipse_circumference(major, minor), rel=0.02)
    assert found.longest_axis == pytest.approx(major, abs=max(spacing))
    assert found.perpendicular_axis == pytest.approx(minor, abs=1.5 * max(spacing))


@pytest.mark.parametrize('spacing', SPACINGS)
@pytest.mark.parametrize('size_hw', [(40, 40), (40, 97), (200, 60)])
def test_upright_rectangles_to_the_pixel(spacing, size_hw):
    mask = np.zeros((220, 120), bool)
    mask[7 : 7 + size_hw[0], 11 : 11 + size_hw[1]] = True
    found = measure(mask, spacing)
    height, width = np.multiply(size_hw, spacing)
    diagonal = math.hypot(height, width)
    assert found.area == pytest.approx(height * width)
    assert found.box_xywh == pytest.approx((11 * spacing[1], 7 * spacing[0], width, height))
    assert found.centroid_xy == pytest.approx(
        ((11 + (size_hw[1] - 1) / 2) * spacing[1], (7 + (size_hw[0] - 1) / 2) * spacing[0])
    )
    assert found.perimeter == pytest.approx(2 * (height + width), rel=0.02)
    assert found.longest_axis == pytest.approx(diagonal, abs=max(spacing))
    assert found.perpendicular_axis == pytest.approx(2 * height * width / diagonal, abs=1.5 * max(spacing))
    # the variance of a rectangle is a twelfth of its squared sides
    axes = sorted((4 * height / math.sqrt(12), 4 * width / math.sqrt(12)))
    assert (found.ellipse_minor, found.ellipse_major) == pytest.approx(tuple(axes))


@pytest.mark.parametrize('spacing', SPACINGS)
@pytest.mark.parametrize('degrees', [3, 10, 22, 45, 72])
def test_perimeter_of_turned_rectangles(spacing, degrees):
    side = 40 * max(spacing)

    def inside(x, y):
        along, across = turned(x, y, degrees)
        return (abs(along) <= side / 2) & (abs(across) <= side / 2)

    found = measure(draw(inside, 1.6 * side, spacing), spacing)
    assert found.perimeter == pytest.approx(4 * side, rel=0.02)


def test_perimeter_counts_holes_and_parts():
    ring = draw(lambda x, y: abs(np.hypot(x, y) - 45) <= 15, 140, (1, 1))
    assert measure(ring, None).perimeter == pytest.approx(2 * math.pi * (60 + 30), rel=0.02)
    two = np.zeros((60, 120), bool)
    two[10:50, 10:50] = two[10:50, 70:110] = True
    one = two.copy()
    one[:, 60:] = False
    assert measure(two, None).perimeter == pytest.approx(2 * measure(one, None).perimeter)
    assert measure(two, None).longest_axis == pytest.approx(math.hypot(100, 40), abs=1)


@pytest.mark.parametrize('thickness', [1, 2])
def test_thin_lines(thickness):
    mask = np.zeros((20, 220), bool)
    mask[5 : 5 + thickness, 10:210] = True
    found = measure(mask, None)
    assert found.perimeter == pytest.approx(2 * (200 + thickness), rel=0.02)
    assert found.longest_axis == pytest.approx(200, abs=0.02)
    # the longest axis may run from corner to corner, which doubles what lies across it
    assert thickness - 0.1 <= found.perpendicular_axis <= 2 * thickness


def test_one_pixel():
    mask = np.zeros((5, 7), bool)
    mask[2, 3] = True
    found = measure(mask, (0.5, 0.5))
    assert (found.area, found.longest_axis, found.perpendicular_axis) == pytest.approx((0.25, 0.5, 0.5))
    assert found.centroid_xy == pytest.approx((1.5, 1.0))
    assert found.box_xywh == pytest.approx((1.5, 1.0, 0.5, 0.5))
    assert 0.5 < found.perimeter <= 2


def test_mask_at_the_border_of_the_picture():
    inner = np.zeros((70, 80), bool)
    inner[10:60, 10:70] = True
    assert measure(np.ones((50, 60), bool), None).perimeter == measure(inner, None).perimeter


def test_without_spacing_in_pixels():
    mask = draw(lambda x, y: np.hypot(x, y) <= 30, 80, (1, 1))
    pixels, millimetres = measure(mask, None), measure(mask.astype(np.uint8), (0.1, 0.1))
    assert (pixels.unit, millimetres.unit) == ('px', 'mm')
    assert millimetres.area == pytest.approx(pixels.area / 100)
    for name in ('perimeter', 'longest_axis', 'perpendicular_axis', 'ellipse_major', 'ellipse_minor'):
        assert getattr(millimetres, name) == pytest.approx(getattr(pixels, name) / 10)


@pytest.mark.parametrize(('spacing', 'unit'), [(None, 'px'), ((0.2, 0.3), 'mm')])
def test_empty_mask(spacing, unit):
    expected = Measurement(unit, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, None, 0.0, None, None)
    assert measure(np.zeros((9, 9), bool), spacing) == expected


def test_circumference_of_an_ellipse():
    # complete elliptic integral: 4 a E(e) for semi axes 2 and 1
    assert ellipse_circumference(4, 2) == pytest.approx(9.688448220547675, rel=1e-6)
    assert ellipse_circumference(3, 3) == pytest.approx(3 * math.pi)


@pytest.mark.parametrize('spacing', [(0, 1), (1, -1), (math.nan, 1), (math.inf, 1)])
def test_impossible_spacing(spacing):
    with pytest.raises(ConfigError, match='spacing'):
        measure(np.ones((4, 4), bool), spacing)


def test_stack_of_masks():
    with pytest.raises(ConfigError, match='one mask'):
        measure(np.ones((2, 4, 4), bool), None)
