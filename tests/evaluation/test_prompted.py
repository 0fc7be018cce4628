"""Simulated users, on masks with known answers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.golden import ROOT
from ultrasam.evaluation import prompted
from ultrasam.inference import UltraSamInferencer
from ultrasam.inference.prompts import box_of_mask


def square(top: int, left: int, side: int, shape=(60, 80)) -> np.ndarray:
    mask = np.zeros(shape, bool)
    mask[top : top + side, left : left + side] = True
    return mask


def test_dice_of_known_masks():
    a, b = square(10, 10, 20), square(10, 20, 20)
    assert prompted.dice(a, b) == 0.5
    assert prompted.dice(a, a) == 1
    assert prompted.dice(a, ~a) == 0
    assert prompted.dice(a & b & ~a, a & ~a) == 1


def test_box_and_innermost_pixel():
    mask = square(10, 20, 21)
    assert box_of_mask(mask).tolist() == [20, 10, 41, 31]
    assert prompted.innermost_pixel(mask) == (30, 20)


def test_a_correction_goes_to_the_largest_error():
    truth = square(10, 20, 30)
    missed = truth & ~square(10, 20, 9)
    click, label = prompted.corrective_click(missed, truth)
    assert label == 1
    assert square(10, 20, 9)[int(click[1]), int(click[0])]
    too_much = missed | square(0, 60, 12)
    click, label = prompted.corrective_click(too_much, truth)
    assert label == 0
    assert square(0, 60, 12)[int(click[1]), int(click[0])]
    assert prompted.corrective_click(truth, truth) is None


def test_an_ellipse_fills_pi_quarters_of_its_box():
    ellipse = prompted.inscribed_ellipse(np.array([5.0, 10, 65, 50]), (60, 80))
    assert ellipse.sum() == pytest.approx(np.pi / 4 * 60 * 40, rel=0.01)
    assert box_of_mask(ellipse).tolist() == [5, 10, 65, 50]


def test_jitter_stays_within_its_share():
    box, rng = np.array([10.0, 10, 50, 30]), np.random.default_rng(0)
    moved = np.array([prompted.jittered_box(box, 0.1, rng) for _ in range(500)]) - box
    assert np.abs(moved).max(0) == pytest.approx([4, 2, 4, 2], rel=0.05)


def test_every_object_of_the_sample_is_scored(checkpoint: Path):
    inferencer = UltraSamInferencer(checkpoint, device='cpu')
    sample = ROOT / 'sample_dataset'
    frames = list(prompted.encoded_frames(inferencer, sample / 'annotations.json', sample / 'images'))
    objects = sum(len(frame.truths) for frame in frames)
    assert len(frames) == 10
    for rule in prompted.RULES.values():
        scores = prompted.dice_of_rule(inferencer, frames[:2], rule)
        assert len(scores) == len(frames[0].truths) + len(frames[1].truths)
        assert all(0 <= score <= 1 for score in scores)
    assert np.mean(prompted.dice_of_ellipse(frames)) > 0.8
    assert len(prompted.dice_of_ellipse(frames)) == objects
    curve = prompted.dice_per_click(inferencer, frames[:1], 3)
    assert curve.shape == (len(frames[0].truths), 3)
    assert prompted.swapped(frames)[0].embedding is frames[1].embedding
