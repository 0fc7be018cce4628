"""Simulated users, on masks with known answers."""

from __future__ import annotations

import numpy as np
import pytest

from tests.evaluation.shapes import square
from ultrasam.errors import ConfigError
from ultrasam.evaluation.protocols import PROTOCOLS, SINGLE_PROMPTS, choose_protocols, inscribed_ellipse
from ultrasam.masks.foreground import box_of_mask
from ultrasam.prompts import users


def test_box_and_innermost_pixel():
    mask = square(10, 20, 21)
    assert box_of_mask(mask).tolist() == [20, 10, 41, 31]
    assert users.innermost_pixel(mask) == (30, 20)


def test_a_correction_goes_to_the_largest_error():
    truth = square(10, 20, 30)
    missed = truth & ~square(10, 20, 9)
    click, label = users.corrective_click(missed, truth)
    assert label == 1
    assert square(10, 20, 9)[int(click[1]), int(click[0])]
    too_much = missed | square(0, 60, 12)
    click, label = users.corrective_click(too_much, truth)
    assert label == 0
    assert square(0, 60, 12)[int(click[1]), int(click[0])]
    assert users.corrective_click(truth, truth) is None


def test_an_ellipse_fills_pi_quarters_of_its_box():
    ellipse = inscribed_ellipse(np.array([5.0, 10, 65, 50]), (60, 80))
    assert ellipse.sum() == pytest.approx(np.pi / 4 * 60 * 40, rel=0.01)
    assert box_of_mask(ellipse).tolist() == [5, 10, 65, 50]


def test_jitter_stays_within_its_share():
    box, rng = np.array([10.0, 10, 50, 30]), np.random.default_rng(0)
    moved = np.array([users.jittered_box(box, 0.1, rng) for _ in range(500)]) - box
    assert np.abs(moved).max(0) == pytest.approx([4, 2, 4, 2], rel=0.05)


def test_the_centre_of_a_ring_lies_off_it_and_a_random_click_on_it():
    ring = square(10, 20, 21) & ~square(15, 25, 11)
    centre = users.centre_rule(ring, np.random.default_rng(0)).points_xy[0]
    assert centre.tolist() == [30, 20]
    for seed in range(20):
        x, y = users.random_rule(ring, np.random.default_rng(seed)).points_xy[0]
        assert ring[int(y), int(x)]


@pytest.mark.parametrize('name', [name for name, one in SINGLE_PROMPTS.items() if one.rule])
def test_every_protocol_prompts_a_single_pixel_at_the_border(name):
    prompt = SINGLE_PROMPTS[name].rule(square(0, 0, 1), np.random.default_rng(0))
    for point in prompt.points_xy:
        assert tuple(point) == (0, 0)
    if SINGLE_PROMPTS[name].jitter is not None:
        assert np.abs(prompt.box_xyxy - [0, 0, 1, 1]).max() <= SINGLE_PROMPTS[name].jitter


def test_protocols_are_chosen_by_name():
    assert choose_protocols(()) == PROTOCOLS
    assert choose_protocols(['box', 'published', 'box']) == ('published', 'box')
    with pytest.raises(ConfigError, match='no protocol boxes: choose from published, clicks, centre'):
        choose_protocols(['boxes'])
