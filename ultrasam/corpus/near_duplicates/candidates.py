"""Pairs of images whose hashes are close, found in about linear time: sorted neighbours in bands of the hash."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ultrasam.corpus.layout import Track, untracked
from ultrasam.corpus.near_duplicates.hashes import HASH_BYTES

# Measured (benchmarks/near_duplicates.py): copies differ in up to 60 bits of 256, distinct frames in 85 or more.
MOST_BITS = 64
# A pair is looked for among this many neighbours within a band; only crowded bands have more.
_WINDOW = 24
_LEAST_BAND, _MOST_BAND = 10, 24
# For each image: the closest images of each other group, and in all
_A_GROUP, _AN_IMAGE = 3, 20
_ONES = np.array([bin(value).count('1') for value in range(256)], np.uint8)


@dataclass
class Candidates:
    """Pairs of images, closest first.

    Args:
        pairs: (P, 2), int64, places of images, the lower one first.
        crops: (P, 2), int64, which crops of them are closest.
        bits: (P,), int64, in how many bits these differ.
        alike_in_group: images that look like another of their own group, by hash alone.
        not_followed: pairs that were left out since an image had too many that are closer.
    """

    pairs: np.ndarray
    crops: np.ndarray
    bits: np.ndarray
    alike_in_group: int = 0
    not_followed: int = 0


def find_candidates(values: np.ndarray, groups: np.ndarray, *, track: Track = untracked) -> Candidates:
    """Find pairs of images of different groups that have two close hashes.

    Each byte of the hash starts a band: hashes are sorted by what follows it, and neighbours that agree in the first
    bits are compared in full. The width of a band grows with the logarithm of the number of hashes, so that the
    number of comparisons grows as the number of hashes.

    Args:
        values: (N, crops, HASH_BYTES), uint8.
        groups: (N,), int64.
        track: shows progress.
    """
    images, crops = values.shape[:2]
    table = values.reshape(-1, HASH_BYTES)
    search = _Search(table, np.repeat(np.arange(images), crops), groups)
    found = np.zeros((0, 3), np.int64)
    for start in track(range(HASH_BYTES), 'compare hashes'):
        found = _closest_only(np.concatenate([found, search.band(start)]), images, crops)
    kept, not_followed = _limit(found, groups, images, crops)
    rows = kept[:, :2]
    return Candidates(rows // crops, rows % crops, kept[:, 2], int(search.alike_in_group.sum()), not_followed)


class _Search:
    def __init__(self, table: np.ndarray, image_of: np.ndarray, groups: np.ndarray) -> None:
        self._table = table
        self._image_of = image_of
        self._groups = groups
        self.alike_in_group = np.zeros(len(groups), bool)
        width = int(np.ceil(np.log2(max(2, len(table))))) - 1
        self._shift = np.uint64(64 - min(max(width, _LEAST_BAND), _MOST_BAND))

    def band(self, start: int) -> np.ndarray:
        """Close pairs of hashes in the band that starts at a byte: (P, 3), rows of the table and differing bits."""
        if not len(self._table):
            return np.zeros((0, 3), np.int64)
        places = (start + np.arange(8)) % HASH_BYTES
        keys = np.ascontiguousarray(self._table[:, places]).view('>u8').ravel().astype(np.uint64)
        order = np.argsort(keys, kind='stable')
        buckets = keys[order] >> self._shift
        images = self._image_of[order]
        # crops of one image next to each other would fill the window
        is_new = np.ones(len(order), bool)
        is_new[1:] = (images[1:] != images[:-1]) | (buckets[1:] != buckets[:-1])
        order, buckets = order[is_new], buckets[is_new]
        groups = self._groups[images[is_new]]
        found = []
        for step in range(1, min(_WINDOW, len(order) - 1) + 1):
            first = np.flatnonzero(buckets[:-step] == buckets[step:])
            if not len(first):
                break
            found.append(self._close(order, groups, first, step))
        return np.concatenate(found) if found else np.zeros((0, 3), np.int64)

    def _close(self, order: np.ndarray, groups: np.ndarray, first: np.ndarray, step: int) -> np.ndarray:
        same = groups[first] == groups[first + step]
        if step == 1:
            self._note_same_group(order, first[same])
        one, other = order[first[~same]], order[first[~same] + step]
        bits = self._bits(one, other)
        close = bits <= MOST_BITS
        rows = np.sort(np.stack([one[close], other[close]], axis=1), axis=1)
        return np.concatenate([rows, bits[close, None]], axis=1)

    def _note_same_group(self, order: np.ndarray, first: np.ndarray) -> None:
        one, other = order[first], order[first + 1]
        differ = self._image_of[one] != self._image_of[other]
        close = differ.copy()
        close[differ] = self._bits(one[differ], other[differ]) <= MOST_BITS
        self.alike_in_group[self._image_of[one[close]]] = True
        self.alike_in_group[self._image_of[other[close]]] = True

    def _bits(self, one: np.ndarray, other: np.ndarray, at_once: int = 1 << 20) -> np.ndarray:
        """In how many bits rows of the table differ, (P,), int64."""
        parts = [
            _ONES[self._table[one[i : i + at_once]] ^ self._table[other[i : i + at_once]]].sum(
                axis=1, dtype=np.int64
            )
            for i in range(0, len(one), at_once)
        ]
        return np.concatenate(parts) if parts else np.zeros(0, np.int64)


def _closest_only(found: np.ndarray, images: int, crops: int) -> np.ndarray:
    """The closest pair of crops of each pair of images; of several, the first."""
    pair = found[:, 0] // crops * images + found[:, 1] // crops
    order = np.lexsort((found[:, 1], found[:, 0], found[:, 2], pair))
    _, first = np.unique(pair[order], return_index=True)
    return found[order][first]


def _limit(found: np.ndarray, groups: np.ndarray, images: int, crops: int) -> tuple[np.ndarray, int]:
    """Closest pairs first, without those that are not among the closest for either image; and how many these are."""
    found = found[np.lexsort((found[:, 1], found[:, 0], found[:, 2]))]
    pairs = found[:, :2] // crops
    is_near = np.zeros(len(found), bool)
    is_first = np.zeros(len(found), bool)
    for side in (0, 1):
        image, other_group = pairs[:, side], groups[pairs[:, 1 - side]]
        within = _rank(image * (groups.max(initial=0) + 1) + other_group)
        overall = _rank(image)
        is_near |= (within < _A_GROUP) & (overall < _AN_IMAGE)
        is_first |= within < _A_GROUP
    # frames of a video that are further from a frame than three others of it add nothing
    return found[is_near], int((is_first & ~is_near).sum())


def _rank(keys: np.ndarray) -> np.ndarray:
    """How many earlier entries have the same key, (P,), int64."""
    order = np.argsort(keys, kind='stable')
    sorted_keys = keys[order]
    starts = (
        np.flatnonzero(np.r_[True, sorted_keys[1:] != sorted_keys[:-1]]) if len(keys) else np.zeros(0, int)
    )
    rank = np.empty(len(keys), np.int64)
    rank[order] = np.arange(len(keys)) - np.repeat(starts, np.diff(np.r_[starts, len(keys)]))
    return rank
