"""From mask values to structures by label rules, with what no rule names counted, and from these to instances."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from functools import singledispatch
from typing import Any

import numpy as np

from ultrasam.corpus.errors import RawFileError
from ultrasam.corpus.frames import Structure
from ultrasam.corpus.patterns import fill
from ultrasam.corpus.spec import CRUMB_PX, Instances
from ultrasam.corpus.words import Colours, Nonzero, Outline, Threshold, Values

_MOST_NAMED = 8
CRUMB = f'crumb of at most {CRUMB_PX} px'
# half the width of the thickest line that may be drawn; real ones are 3 pixels wide
_HALF_LINE_PX = 6
_EIGHT_NEIGHBOURS = np.ones((3, 3), bool)
Labelled = tuple[list[Structure], Counter[str]]


def read_labels(
    rule: Any, values: np.ndarray, groups: Mapping[str, str], *, name: str, stray_share: float
) -> Labelled:
    """Apply a rule to a mask.

    Args:
        rule: one of the label rules.
        values: (H, W) of any number type, or (H, W, 3) uint8, RGB.
        groups: for category names.
        name: of the file, for messages.
        stray_share: largest share of pixels that no rule names.

    Returns:
        Structures, and how many pixels have each value that no rule names.

    Raises:
        RawFileError: too many pixels that no rule names, or values of which none reaches a threshold.
    """
    structures, stray = apply_rule(rule, values, groups, name)
    pixels = values.shape[0] * values.shape[1]
    if stray.total() > stray_share * pixels:
        shown = ', '.join(f'{value} ({count:,} px)' for value, count in stray.most_common(_MOST_NAMED))
        raise RawFileError(
            f'{name}: {stray.total() / pixels:.1%} of its pixels have values that {type(rule).__name__} does '
            f'not name: {shown}. Is this the release that is described?'
        )
    return structures, stray


@singledispatch
def apply_rule(rule: Any, values: np.ndarray, groups: Mapping[str, str], name: str) -> Labelled:
    """Structures and stray values of a mask, without a limit on the latter."""
    if not callable(rule):
        raise TypeError(f'{rule!r} is no label rule')
    found: Labelled = rule(values, groups, name)
    return found


@apply_rule.register
def _(rule: Threshold, values: np.ndarray, groups: Mapping[str, str], name: str) -> Labelled:
    gray = as_gray(values, name, slack=rule.slack)
    inside = gray >= rule.at
    stray = _counted(gray, (gray > rule.slack) & ~inside)
    # noise of JPEG lies around a structure: where there is none, black is black
    if gray.any() and not inside.any():
        raise RawFileError(
            f'{name}: its highest value is {gray.max()}, below the threshold {rule.at}: stored as labels, not as '
            'black and white? Is this the release that is described?'
        )
    return _one(rule.category, inside, groups), stray


@apply_rule.register
def _(rule: Nonzero, values: np.ndarray, groups: Mapping[str, str], name: str) -> Labelled:
    if not np.isfinite(values).all():
        raise RawFileError(f'{name}: holds values that are not finite')
    inside = values != 0 if values.ndim == 2 else (values != 0).any(axis=2)
    return _one(rule.category, inside, groups), Counter()


@apply_rule.register
def _(rule: Values, values: np.ndarray, groups: Mapping[str, str], name: str) -> Labelled:
    gray = as_gray(values, name)
    of_category: dict[str, list[int]] = {}
    for value, category in rule.names.items():
        of_category.setdefault(category, []).append(value)
    masks = ((category, _is_any(gray, values)) for category, values in of_category.items())
    structures = [Structure(fill(category, groups), mask) for category, mask in masks if mask.any()]
    return structures, _counted(gray, ~_is_any(gray, [*rule.names, *rule.background]))


@apply_rule.register
def _(rule: Colours, values: np.ndarray, groups: Mapping[str, str], name: str) -> Labelled:
    rgb = values if values.ndim == 3 else np.repeat(values[..., None], 3, axis=2)
    colours = [*rule.background, *rule.names]
    distances = np.stack([np.abs(rgb.astype(np.int16) - colour).max(axis=2) for colour in colours])
    nearest = distances.argmin(axis=0)
    known = distances.min(axis=0) <= rule.tolerance
    structures = []
    for number, (_, category) in enumerate(rule.names.items(), start=len(rule.background)):
        mask = known & (nearest == number)
        if mask.any():
            structures.append(Structure(fill(category, groups), mask))
    unknown, counts = np.unique(rgb[~known], axis=0, return_counts=True)
    stray = {str(tuple(map(int, colour))): int(count) for colour, count in zip(unknown, counts, strict=True)}
    return structures, Counter(stray)


@apply_rule.register
def _(rule: Outline, values: np.ndarray, groups: Mapping[str, str], name: str) -> Labelled:
    curve = as_gray(values, name, slack=rule.at) >= rule.at
    return _one(rule.category, curve if is_filled(curve) else fill_outline(curve), groups), Counter()


def as_gray(values: np.ndarray, name: str, *, slack: int = 0) -> np.ndarray:
    """(H, W) of a mask whose channels agree to within ``slack``.

    Raises:
        RawFileError: a coloured mask where a gray one is described, or fractions.
    """
    if values.ndim == 3:
        if int(np.ptp(values.astype(np.int16), axis=2).max(initial=0)) > slack:
            raise RawFileError(f'{name}: a mask in colour where a gray one is described')
        values = values[..., 0]
    if values.dtype.kind == 'f':
        if not np.array_equal(values, np.rint(values)):
            raise RawFileError(f'{name}: labels with fractions, or values that are not finite')
        values = values.astype(np.int64)
    return values.astype(np.uint8) if values.dtype == bool else values


def is_filled(mask: np.ndarray) -> bool:
    """Return whether a mask has places deeper than any drawn line: copies of a release may be filled already.

    Args:
        mask: (H, W), bool.
    """
    import cv2

    depth = cv2.distanceTransform(np.pad(mask, 1, mode='edge').astype(np.uint8), cv2.DIST_L2, 3)
    return bool(depth.max(initial=0) > _HALF_LINE_PX)


def fill_outline(curve: np.ndarray) -> np.ndarray:
    """What a curve encloses, with the curve; a curve that leaves the image is closed along its border.

    Of the regions into which the curve cuts the image, the largest one that touches the border is outside.

    Args:
        curve: (H, W), bool.

    Returns:
        (H, W), bool.

    Example:
        >>> ring = np.ones((5, 5), bool); ring[1:4, 1:4] = False
        >>> int(fill_outline(np.pad(ring, 2)).sum())
        25
    """
    from scipy import ndimage

    if not curve.any():
        return curve
    regions, count = ndimage.label(~curve)
    if count == 0:
        return np.ones_like(curve)
    border = np.concatenate([regions[0], regions[-1], regions[:, 0], regions[:, -1]])
    areas = np.bincount(regions.ravel(), minlength=count + 1)
    touching = np.unique(border[border > 0])
    if touching.size == 0:
        return np.ones_like(curve)
    outside = touching[areas[touching].argmax()]
    inside: np.ndarray = regions != outside
    return inside


def _one(category: str, mask: np.ndarray, groups: Mapping[str, str]) -> list[Structure]:
    return [Structure(fill(category, groups), mask)] if mask.any() else []


def _is_any(gray: np.ndarray, values: Iterable[int]) -> np.ndarray:
    """Where a map has one of some values, compared one by one: they are few, and numpy's set search is slow."""
    found = np.zeros(gray.shape, bool)
    for value in values:
        found |= gray == value
    return found


def _counted(values: np.ndarray, where: np.ndarray) -> Counter[str]:
    found, counts = np.unique(values[where], return_counts=True)
    return Counter({str(value): int(count) for value, count in zip(found, counts, strict=True)})


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
            dropped[CRUMB if rule.min_area == CRUMB_PX + 1 else f'smaller than {rule.min_area} px'] += 1
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
