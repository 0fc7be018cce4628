"""From structures to instances: components, holes, small ones, the lit sector."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np

from ultrasam.corpus.frames import Structure
from ultrasam.corpus.spec import Instances

_EIGHT_NEIGHBOURS = np.ones((3, 3), bool)


def split_instances(structures: Sequence[Structure], rule: Instances) -> tuple[list[Structure], Counter[str]]:
    """Instances of a frame, in the order of their structures and, within one, of their first pixels.

    Args:
        structures: of a frame; each is split on its own, so that those that overlap stay apart.
        rule: how.

    Returns:
        One structure an instance, never empty; and how many were dropped, by reason.
    """
    dropped: Counter[str] = Counter()
    found: list[Structure] = []
    for structure in structures:
        masks = _masks(structure.mask, rule)
        if rule.largest and len(masks) > 1:
            areas = [np.count_nonzero(mask) for mask in masks]
            dropped['not the largest component'] += len(masks) - 1
            masks = [masks[areas.index(max(areas))]]
        found += [Structure(structure.category, mask) for mask in masks]
    areas = [np.count_nonzero(instance.mask) for instance in found]
    smallest_share = rule.min_share * max(areas, default=0)
    kept = []
    for instance, area in zip(found, areas, strict=True):
        if area < rule.min_area:
            dropped[f'smaller than {rule.min_area} px'] += 1
        elif area < smallest_share:
            dropped[f'smaller than {rule.min_share:.0%} of the largest'] += 1
        else:
            kept.append(instance)
    return kept, dropped


def _masks(mask: np.ndarray, rule: Instances) -> list[np.ndarray]:
    from scipy import ndimage

    window = window_of(mask)
    if window is None:
        return []
    # most of a frame is background, which need not be searched
    part = mask[window]
    if rule.fill_holes:
        part = ndimage.binary_fill_holes(part)
    count = 1
    if rule.components or rule.largest:
        numbered, count = ndimage.label(part, structure=_EIGHT_NEIGHBOURS)
    if count == 1:
        return [_placed(part, window, mask.shape) if rule.fill_holes else mask]
    return [_placed(numbered == number, window, mask.shape) for number in range(1, count + 1)]


def _placed(part: np.ndarray, window: tuple[slice, slice], size_hw: tuple[int, ...]) -> np.ndarray:
    """A part of a mask where it was, background around it."""
    whole = np.zeros(size_hw, bool)
    whole[window] = part
    return whole


def window_of(mask: np.ndarray) -> tuple[slice, slice] | None:
    """Rows and columns of the smallest box around a mask, (H, W), bool; None where it is empty."""
    rows = np.flatnonzero(mask.any(axis=1))
    if rows.size == 0:
        return None
    high = slice(rows[0], rows[-1] + 1)
    columns = np.flatnonzero(mask[high].any(axis=0))
    return high, slice(columns[0], columns[-1] + 1)


def lit_sector(image: np.ndarray) -> np.ndarray:
    """The convex hull of the largest connected part of an image that is not black.

    Dark blood inside the sector stays in it; the black around it, and lettering there, do not.

    Args:
        image: (H, W) or (H, W, 3), uint8.

    Returns:
        (H, W), bool; all True for a black image, of which no sector is known.
    """
    import cv2
    from scipy import ndimage

    lit = _lit(image)
    numbered, count = ndimage.label(lit, structure=_EIGHT_NEIGHBOURS)
    if count == 0:
        return np.ones(lit.shape, bool)
    largest = np.bincount(numbered.ravel())[1:].argmax() + 1
    part = numbered == largest
    rows = np.flatnonzero(part.any(axis=1))
    # no pixel between the ends of a row lies on the hull
    first, last = part[rows].argmax(axis=1), lit.shape[1] - 1 - part[rows, ::-1].argmax(axis=1)
    ends = np.stack([np.concatenate([first, last]), np.concatenate([rows, rows])], axis=1)
    hull = cv2.convexHull(ends.astype(np.int32))
    sector = np.zeros(lit.shape, np.uint8)
    cv2.fillConvexPoly(sector, hull, 1)
    return sector.astype(bool)


def clip_structures(structures: Sequence[Structure], image: np.ndarray, how: str) -> tuple[Structure, ...]:
    """Clear mask pixels outside the lit sector, or wherever the image is black (``how='black'``)."""
    allowed = lit_sector(image) if how == 'sector' else _lit(image)
    return tuple(Structure(structure.category, structure.mask & allowed) for structure in structures)


def _lit(image: np.ndarray) -> np.ndarray:
    channels = image if image.ndim == 3 else image[..., None]
    return np.asarray((channels > 0).any(axis=2))
