"""COCO run lengths, read and measured in plain numpy: no damaged code ever reaches C code that trusts it.

COCO packs a signed number in groups of five bits, lowest first, with bit six set while more follow. The first three
runs are stored as they are; from the fourth on, a number is the difference to the run before the last one. Runs of
background and object alternate, down the columns.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

import numpy as np

# The most pixels of an image, for readers and masks alike: 300 MB as RGB, ten times the largest ultrasound mosaic.
MOST_PIXELS = 100_000_000
_LONGEST_NUMBER = 6
# letters of run lengths that are measured together: enough for numpy, few enough for its caches
_BATCH = 1 << 17
_MORE, _SIGN, _BITS = 0x20, 0x10, 0x1F


@dataclass(frozen=True)
class MaskMeasures:
    """What is known of some masks without decoding them.

    Args:
        is_valid: (N,), bool; whether the run lengths are whole, not negative, and fill the image.
        areas: (N,), int, pixels; 0 where not valid.
        boxes_xywh: (N, 4), int, pixels; zeros where not valid or empty.
    """

    is_valid: np.ndarray
    areas: np.ndarray
    boxes_xywh: np.ndarray


def measure_masks(counts: Sequence[str], sizes_hw: np.ndarray) -> MaskMeasures:
    """Check and measure masks by their compressed run lengths.

    Args:
        counts: compressed counts of each mask.
        sizes_hw: (N, 2), int, pixels of the image of each mask.

    Returns:
        Validity, areas and boxes.

    Example:
        >>> measure_masks(['525'], np.array([[4, 3]])).areas
        array([2])
    """
    number = len(counts)
    pixels = sizes_hw[:, 0].astype(np.int64) * sizes_hw[:, 1]
    lengths = np.array([len(text) for text in counts], np.int64)
    is_text = np.array([text.isascii() and text != '' for text in counts], bool)
    is_valid = is_text & (sizes_hw > 0).all(axis=1) & (pixels <= MOST_PIXELS)
    texts = [text for text, ok in zip(counts, is_valid, strict=True) if ok]
    areas, boxes = np.zeros(number, np.int64), np.zeros((number, 4), np.int64)
    if not texts:
        return MaskMeasures(is_valid, areas, boxes)
    runs, owner, is_bad = _unpacked(''.join(texts).encode('ascii'), lengths[is_valid])
    runs[is_bad[owner]] = 0
    total = np.bincount(owner, runs, len(texts)).astype(np.int64)
    is_bad |= total != pixels[is_valid]
    runs[is_bad[owner]] = 0
    heights = sizes_hw[is_valid, 0].astype(np.int64)
    places = np.flatnonzero(is_valid)
    areas[places], boxes[places] = _areas_and_boxes(runs, owner, heights)
    is_valid[places[is_bad]] = False
    return MaskMeasures(is_valid, areas, boxes)


def runs_of_text(counts: str | bytes) -> np.ndarray | None:
    """Return the run lengths (R,), int64, of compressed counts, or None if these are damaged.

    Example:
        >>> runs_of_text('525')
        array([5, 2, 5])
    """
    if isinstance(counts, str):
        if not counts.isascii():
            return None
        counts = counts.encode('ascii')
    if not counts:
        return np.zeros(0, np.int64)
    runs, _, is_bad = _unpacked(counts, np.array([len(counts)]))
    return None if is_bad[0] else runs


_Payload = TypeVar('_Payload')


class RunLengthBatch(Generic[_Payload]):
    """Compressed run lengths that wait until there are enough to measure them together."""

    def __init__(self) -> None:
        self._waiting: list[tuple[_Payload, str, tuple[int, int]]] = []
        self._letters = 0

    def add(self, payload: _Payload, counts: str, size_hw: tuple[int, int]) -> bool:
        """Add a mask, and return True if there are enough to :meth:`take` them."""
        self._waiting.append((payload, counts, size_hw))
        self._letters += len(counts)
        return self._letters >= _BATCH

    def take(self) -> Iterator[tuple[_Payload, int, list[int]]]:
        """Give the payload of each mask that waits, its area (-1 if it is damaged) and its box, xywh."""
        waiting, self._waiting, self._letters = self._waiting, [], 0
        if not waiting:
            return
        measures = measure_masks([one[1] for one in waiting], np.array([one[2] for one in waiting], np.int64))
        areas = np.where(measures.is_valid, measures.areas, -1).tolist()
        for (payload, _, _), area, box in zip(waiting, areas, measures.boxes_xywh.tolist(), strict=True):
            yield payload, area, box


def measure_runs(runs: Sequence[int], size_hw: tuple[int, int]) -> tuple[int, np.ndarray]:
    """Area and box of a mask by its run lengths, which are whole, not negative, and fill the image.

    Args:
        runs: of background and object in turn, down the columns, in pixels.
        size_hw: pixels.

    Returns:
        Area, and box (4,), xywh, int, pixels; zeros where the mask is empty.

    Example:
        >>> measure_runs([5, 2, 5], (4, 3))
        (2, array([1, 1, 1, 2]))
    """
    if not runs:
        return 0, np.zeros(4, np.int64)
    lengths = np.array(runs, np.int64)
    areas, boxes = _areas_and_boxes(lengths, np.zeros(len(runs), np.int64), np.array([size_hw[0]]))
    return int(areas[0]), boxes[0]


def _unpacked(text: bytes, lengths: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return all runs (R,), the mask of each (R,), and which masks (N,) are damaged.

    Args:
        text: Codes of all masks, one after the other.
        lengths: (N,), int, letters of each, at least one.
    """
    codes = np.frombuffer(text, np.uint8).astype(np.int64) - 48
    ends = np.cumsum(lengths)
    owner_of_letter = np.repeat(np.arange(len(lengths)), lengths)
    is_bad = np.zeros(len(lengths), bool)
    is_bad[owner_of_letter[(codes < 0) | (codes > 0x3F)]] = True
    is_bad[(codes[ends - 1] & _MORE) != 0] = True
    # a broken code must not run into the next one
    codes[ends - 1] &= ~_MORE
    runs, owner, too_long = _numbers(codes, owner_of_letter)
    is_bad[too_long] = True
    runs = _undo_differences(runs, owner)
    is_bad[owner[(runs < 0) | (runs > MOST_PIXELS)]] = True
    return runs, owner, is_bad


def _numbers(codes: np.ndarray, owner_of_letter: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Signed numbers, the mask of each, and the masks with one that is too long."""
    last = np.flatnonzero((codes & _MORE) == 0)
    starts = np.concatenate([[0], last[:-1] + 1])
    groups = last - starts + 1
    owner = owner_of_letter[last]
    too_long = owner[groups > _LONGEST_NUMBER]
    shifts = 5 * np.minimum(np.arange(codes.size) - np.repeat(starts, groups), _LONGEST_NUMBER)
    numbers = np.add.reduceat((codes & _BITS) << shifts, starts)
    is_negative = (codes[last] & _SIGN) != 0
    numbers[is_negative] -= np.int64(1) << (5 * np.minimum(groups[is_negative], _LONGEST_NUMBER))
    return numbers, owner, too_long


def _undo_differences(numbers: np.ndarray, owner: np.ndarray) -> np.ndarray:
    """Run lengths: even ones from the third on, and odd ones, are two chains of differences in each mask."""
    local = _local_index(owner)
    runs = numbers.copy()
    for chain in (np.flatnonzero((local % 2 == 0) & (local >= 2)), np.flatnonzero(local % 2 == 1)):
        if not chain.size:
            continue
        sums = np.cumsum(numbers[chain])
        is_first = np.concatenate([[True], owner[chain][1:] != owner[chain][:-1]])
        before = np.concatenate([[0], sums[:-1]])[is_first]
        runs[chain] = sums - np.repeat(before, np.diff(np.append(np.flatnonzero(is_first), chain.size)))
    return runs


def _local_index(owner: np.ndarray) -> np.ndarray:
    """Place of each entry among those of its mask; ``owner`` is sorted."""
    is_first = np.concatenate([[True], owner[1:] != owner[:-1]])
    firsts = np.flatnonzero(is_first)
    return np.arange(owner.size) - np.repeat(firsts, np.diff(np.append(firsts, owner.size)))


def _areas_and_boxes(
    runs: np.ndarray, owner: np.ndarray, heights: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Areas (N,) and boxes (N, 4), xywh, from run lengths down the columns."""
    number = heights.size
    stops = np.cumsum(runs)
    is_first = np.concatenate([[True], owner[1:] != owner[:-1]])
    firsts = np.flatnonzero(is_first)
    before = np.concatenate([[0], stops[:-1]])[firsts]
    stops -= np.repeat(before, np.diff(np.append(firsts, owner.size)))
    is_object = (_local_index(owner) % 2 == 1) & (runs > 0)
    of, length = owner[is_object], runs[is_object]
    last = stops[is_object] - 1
    first = last - length + 1
    areas = np.bincount(of, length, number).astype(np.int64)
    height = heights[of]
    left, right = first // height, last // height
    spans = left != right
    top, bottom = np.where(spans, 0, first % height), np.where(spans, height - 1, last % height)
    low = np.full((number, 2), MOST_PIXELS, np.int64)
    high = np.full((number, 2), -1, np.int64)
    for axis, (small, large) in enumerate(((left, right), (top, bottom))):
        np.minimum.at(low[:, axis], of, small)
        np.maximum.at(high[:, axis], of, large)
    boxes = np.concatenate([low, high - low + 1], axis=1)
    boxes[areas == 0] = 0
    return areas, boxes
