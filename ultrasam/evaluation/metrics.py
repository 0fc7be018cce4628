"""How far a mask is from the truth: overlap, and distances between outlines, in pixels and millimetres."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import numpy as np

from ultrasam.errors import ConfigError
from ultrasam.optional import optional_module

OVERLAP_METRICS = ('dice', 'iou')
SURFACE_METRICS = ('nsd', 'hd95', 'assd')
_CROP_MARGIN = 1


@dataclass(frozen=True, kw_only=True)
class Tolerances:
    """How far outlines may be apart and still count as equal in the normalised surface distance.

    Args:
        pixels: in pixels of the image.
        mm: in millimetres, where the spacing is known.

    Raises:
        ConfigError: one that is negative or no number.
    """

    pixels: float = 2.0
    mm: float = 1.0

    def __post_init__(self) -> None:
        for value in (self.pixels, self.mm):
            if not 0 <= value < math.inf:
                raise ConfigError(f'a tolerance of {value}: give 0 or more, pixels and millimetres')


def dice(a: np.ndarray, b: np.ndarray) -> float:
    """Dice coefficient of two boolean masks; 1 if both are empty.

    Example:
        >>> dice(np.array([True, True, False]), np.array([True, False, False]))
        0.6666666666666666
    """
    total = np.count_nonzero(a) + np.count_nonzero(b)
    return 1.0 if total == 0 else 2.0 * np.count_nonzero(a & b) / total


def iou(a: np.ndarray, b: np.ndarray) -> float:
    """Intersection over union of two boolean masks; 1 if both are empty.

    Example:
        >>> iou(np.array([True, True, False]), np.array([True, False, False]))
        0.5
    """
    union = np.count_nonzero(a | b)
    return 1.0 if union == 0 else np.count_nonzero(a & b) / union


def surface_distances(
    mask: np.ndarray, truth: np.ndarray, spacing: tuple[float, float] = (1.0, 1.0)
) -> tuple[np.ndarray, np.ndarray]:
    """Distances from each outline pixel of either mask to the nearest outline pixel of the other, by MONAI.

    The outline of a mask are its pixels that have one of their four neighbours outside the mask; beyond the border
    of the image is outside.

    Args:
        mask: (H, W), bool, not empty.
        truth: (H, W), bool, not empty.
        spacing: between rows and between columns; distances are in its unit.

    Returns:
        From the mask to the truth, and back.

    Raises:
        ConfigError: a mask is empty, or MONAI is not installed.
    """
    if not mask.any() or not truth.any():
        raise ConfigError('an empty mask has no outline: its distance to another is not defined')
    edges_of, distances_of = _monai()
    either = mask | truth
    rows, columns = np.flatnonzero(either.any(1)), np.flatnonzero(either.any(0))
    part = np.s_[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    # cropped here, since MONAI takes twice as long to crop as for all the rest
    of_mask, of_truth = edges_of(
        np.pad(mask[part], _CROP_MARGIN), np.pad(truth[part], _CROP_MARGIN), crop=False
    )
    there, back = (
        np.asarray(distances_of(a, b, spacing=spacing), np.float64)
        for a, b in ((of_mask, of_truth), (of_truth, of_mask))
    )
    return there, back


def surface_scores(there: np.ndarray, back: np.ndarray, tolerance: float) -> dict[str, float]:
    """The usual summaries of surface distances.

    Args:
        there: distances of one outline to the other.
        back: of the other to the one.
        tolerance: in the same unit.

    Returns:
        ``nsd``, the share of both outlines within the tolerance of the other; ``hd95``, the larger of the two 95th
        percentiles; ``assd``, the mean over both outlines.

    Example:
        >>> surface_scores(np.array([0.0, 4.0]), np.array([0.0, 0.0]), 2.0)['nsd']
        0.75
    """
    both = np.concatenate([there, back])
    return {
        'nsd': float(np.mean(both <= tolerance)),
        'hd95': float(max(np.percentile(there, 95), np.percentile(back, 95))),
        'assd': float(both.mean()),
    }


def mask_scores(
    mask: np.ndarray,
    truth: np.ndarray,
    *,
    spacing_mm: tuple[float, float] | None,
    tolerances: Tolerances,
) -> dict[str, float]:
    """All scores of one mask.

    An empty mask gets the worst values there are: overlap and ``nsd`` 0, and as distance the diagonal of the image.

    Args:
        mask: (H, W), bool.
        truth: (H, W), bool, not empty.
        spacing_mm: millimetres between rows and between columns, or None.
        tolerances: of the normalised surface distance.

    Returns:
        ``dice``, ``iou``, ``nsd_px``, ``hd95_px``, ``assd_px``, and the last three in ``_mm`` with a spacing.
    """
    scores = {'dice': dice(mask, truth), 'iou': iou(mask, truth)}
    units = {'px': ((1.0, 1.0), tolerances.pixels)}
    if spacing_mm is not None:
        units['mm'] = (spacing_mm, tolerances.mm)
    in_pixels = surface_distances(mask, truth) if mask.any() else None
    for unit, (spacing, tolerance) in units.items():
        if in_pixels is None:
            diagonal = math.hypot(truth.shape[0] * spacing[0], truth.shape[1] * spacing[1])
            found = {'nsd': 0.0, 'hd95': diagonal, 'assd': diagonal}
        elif spacing[0] == spacing[1]:
            # equal scaling of both axes scales distances: no need to search again
            found = surface_scores(in_pixels[0] * spacing[0], in_pixels[1] * spacing[0], tolerance)
        else:
            found = surface_scores(*surface_distances(mask, truth, spacing), tolerance)
        scores |= {f'{name}_{unit}': value for name, value in found.items()}
    return scores


@cache
def _monai() -> tuple[Callable, Callable]:
    """MONAI's outlines of masks, and the distances between them; imported late, it takes seconds.

    Raises:
        ConfigError: it is not installed.
    """
    found = optional_module(
        'monai.metrics.utils', need='measuring distances between outlines', extra='evaluation'
    )
    return found.get_mask_edges, found.get_surface_distance


def check_installed() -> None:
    """See that distances can be measured, before long work begins.

    Raises:
        ConfigError: MONAI is not installed.
    """
    _monai()
