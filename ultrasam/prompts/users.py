"""What a user would give for an object whose true mask is known: clicks, corrections, boxes."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np

from ultrasam.masks.foreground import (
    box_of_mask,
    foreground_centre,
    foreground_row_counts,
    ranked_foreground_pixel,
)
from ultrasam.structures import ObjectPrompt

PromptRule = Callable[[np.ndarray, np.random.Generator], ObjectPrompt]
"""From a true mask (H, W), bool, to the prompt of a simulated user."""


def innermost_pixel(region: np.ndarray) -> tuple[float, float]:
    """The pixel (x, y) of a region that is farthest from its border, the image border included."""
    distance = cv2.distanceTransform(np.pad(region, 1).astype(np.uint8), cv2.DIST_L2, 5)[1:-1, 1:-1]
    y, x = np.unravel_index(int(distance.argmax()), distance.shape)
    return float(x), float(y)


def random_pixels(region: np.ndarray, count: int, rng: np.random.Generator) -> list[tuple[int, int]]:
    """Pixels (x, y) of a region, each as likely as any other."""
    rows = foreground_row_counts(region)
    ranks = rng.integers(rows.sum(), size=count).tolist()
    return [ranked_foreground_pixel(region, rows, rank) for rank in ranks]


def corrective_click(mask: np.ndarray, truth: np.ndarray) -> tuple[tuple[float, float], int] | None:
    """Where an annotator clicks next: amid the largest error (Sofiiuk et al. 2022, section 4.2).

    Returns:
        Pixel (x, y) and label, 1 on the object, 0 off it; None where nothing is wrong.
    """
    wrong = mask ^ truth
    if not wrong.any():
        return None
    _, regions, stats, _ = cv2.connectedComponentsWithStats(wrong.astype(np.uint8), connectivity=8)
    largest = 1 + int(stats[1:, cv2.CC_STAT_AREA].argmax())
    x, y = innermost_pixel(regions == largest)
    return (x, y), int(truth[int(y), int(x)])


def moved_box(box: np.ndarray, shifts: np.ndarray, reach: float = 1.0) -> np.ndarray:
    """Return a box (4,), xyxy, whose sides moved by ``shifts`` (4,) times ``reach`` times its width or height."""
    return box + shifts * (reach * np.tile(box[2:] - box[:2], 2))


def jittered_box(box: np.ndarray, share: float, rng: np.random.Generator) -> np.ndarray:
    """A box whose sides each moved by up to ``share`` of its size."""
    return moved_box(box, rng.uniform(-share, share, 4))


def centre_rule(truth: np.ndarray, rng: np.random.Generator) -> ObjectPrompt:
    """One click on the mean of the mask, as published; it lies off an object that is bent around it."""
    return ObjectPrompt(points_xy=[foreground_centre(truth, foreground_row_counts(truth))])


def random_rule(truth: np.ndarray, rng: np.random.Generator) -> ObjectPrompt:
    """One click on any pixel of the object."""
    return ObjectPrompt(points_xy=random_pixels(truth, 1, rng))


def point_rule(count: int) -> PromptRule:
    """The innermost pixel, then further pixels of the object at random."""

    def rule(truth: np.ndarray, rng: np.random.Generator) -> ObjectPrompt:
        return ObjectPrompt(points_xy=[innermost_pixel(truth), *random_pixels(truth, count - 1, rng)])

    return rule


def box_rule(jitter: float = 0.0, point: bool = False) -> PromptRule:
    """The tight box, moved by up to ``jitter`` of its size, with the innermost pixel if asked."""

    def rule(truth: np.ndarray, rng: np.random.Generator) -> ObjectPrompt:
        box = jittered_box(box_of_mask(truth), jitter, rng) if jitter else box_of_mask(truth)
        return ObjectPrompt(points_xy=[innermost_pixel(truth)] if point else [], box_xyxy=box)

    return rule
