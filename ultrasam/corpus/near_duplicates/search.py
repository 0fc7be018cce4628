"""Near-duplicates of a corpus: which images show the same frame though they are of different subjects or parts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from ultrasam.corpus.layout import Corpus, Track, open_corpus, untracked
from ultrasam.corpus.near_duplicates.candidates import Candidates, find_candidates
from ultrasam.corpus.near_duplicates.confirmation import LEAST_AGREEMENT, Comparison, agreement
from ultrasam.corpus.near_duplicates.hashes import CHUNK, HASH_BYTES, Hashes, hash_dataset
from ultrasam.corpus.near_duplicates.listing import UNSPLIT, Picture, list_pictures
from ultrasam.corpus.near_duplicates.views import CROPS
from ultrasam.processes import check_jobs, in_order

CACHE = '.near_duplicates'


@dataclass(frozen=True)
class NearDuplicate:
    """Two images that show the same frame.

    Args:
        first: an image.
        second: another, of another subject or part.
        agreement: correlation of their fine detail, at most 1.
        bits: in how many bits of 256 their closest hashes differ.
        mirrored: one is the mirror image of the other.
    """

    first: Picture
    second: Picture
    agreement: float
    bits: int
    mirrored: bool

    @property
    def is_leak(self) -> bool:
        """Whether they are in two parts."""
        parts = {self.first.part, self.second.part}
        return len(parts) == 2 and UNSPLIT not in parts

    @property
    def kind(self) -> str:
        """What they have in common."""
        if self.first.dataset != self.second.dataset:
            return 'two data sets'
        return 'two subjects' if self.first.subject != self.second.subject else 'one subject'


@dataclass
class NearDuplicateReport:
    """What a search found.

    Args:
        corpus: what the root holds.
        pairs: near-duplicates, leaks first, then by names.
        images: how many were compared.
        cached: how many of their hashes were known from an earlier run.
        blank: images that show nothing that could be compared.
        alike_in_group: images that look like another of the same subject and part, by hash alone; expected of frames
            of a video.
        proposed: pairs whose hashes are close, which were looked at.
        not_followed: pairs that were not looked at, since one of the images has 20 pairs whose hashes are closer.
    """

    corpus: Corpus
    pairs: list[NearDuplicate] = field(default_factory=list)
    images: int = 0
    cached: int = 0
    blank: list[Picture] = field(default_factory=list)
    alike_in_group: int = 0
    proposed: int = 0
    not_followed: int = 0

    @property
    def leaks(self) -> list[NearDuplicate]:
        """Pairs that are in two parts."""
        return [pair for pair in self.pairs if pair.is_leak]


def find_near_duplicates(
    root: Path, *, jobs: int = 1, cache: Path | None = None, track: Track = untracked
) -> NearDuplicateReport:
    """Compare all images of the parts of a corpus with each other, across data sets, subjects and parts.

    Frames of one subject in one part are alike by nature: they are counted, not listed. Each image is compared with
    the three closest of each other subject and part: its leak shows, though not each pair that makes it one.

    Args:
        root: folder of all data sets, or of one.
        jobs: number of processes.
        cache: folder that keeps hashes; ``ROOT/.near_duplicates`` by default.
        track: shows progress.

    Raises:
        AnnotationError: a COCO file that cannot be used.
        ConfigError: ``jobs`` is below 1.
        DataFaultsError: images that cannot be read.
        EnvironmentFault: imagehash is not installed.
        InputError: there is no data set, or a process was ended.
        OutputError: the cache cannot be written.
    """
    check_jobs(jobs)
    report = NearDuplicateReport(open_corpus(root))
    pictures, hashes = _hash(report, cache or Path(root) / CACHE, jobs, track)
    report.images, report.cached = len(pictures), hashes.cached
    report.blank = [picture for picture, blank in zip(pictures, hashes.blank, strict=True) if blank]
    places = np.flatnonzero(~hashes.blank)
    pictures = [pictures[place] for place in places]
    found = find_candidates(hashes.values[places], _group_numbers(pictures), track=track)
    report.alike_in_group, report.not_followed = found.alike_in_group, found.not_followed
    report.proposed = len(found.pairs)
    report.pairs = _confirm(pictures, found, jobs, track)
    return report


def _hash(report: NearDuplicateReport, cache: Path, jobs: int, track: Track) -> tuple[list[Picture], Hashes]:
    pictures: list[Picture] = []
    parts = [Hashes(np.zeros((0, len(CROPS), HASH_BYTES), np.uint8), np.zeros(0, bool))]
    for folder in report.corpus.datasets:
        own = list_pictures(folder)
        pictures += own
        parts.append(hash_dataset(folder.name, own, cache / f'{folder.name}.npz', jobs=jobs, track=track))
    values = np.concatenate([part.values for part in parts])
    blank = np.concatenate([part.blank for part in parts])
    return pictures, Hashes(values, blank, sum(part.cached for part in parts))


def _group_numbers(pictures: Sequence[Picture]) -> np.ndarray:
    """A number for each group, (N,), int64."""
    numbers: dict[tuple[str, str, str], int] = {}
    return np.array([numbers.setdefault(picture.group, len(numbers)) for picture in pictures], np.int64)


def _confirm(pictures: Sequence[Picture], found: Candidates, jobs: int, track: Track) -> list[NearDuplicate]:
    # pairs of one image after each other: it is read once
    order = np.lexsort((found.pairs[:, 1], found.pairs[:, 0]))
    comparisons = [
        Comparison(
            pictures[found.pairs[i, 0]].path,
            pictures[found.pairs[i, 1]].path,
            (int(found.crops[i, 0]), int(found.crops[i, 1])),
        )
        for i in order
    ]
    pairs = []
    results = in_order(agreement, comparisons, jobs=jobs, together=CHUNK)
    for i, reached in zip(track(order.tolist(), 'compare pixels'), results, strict=True):
        if reached >= LEAST_AGREEMENT:
            one, other = (pictures[place] for place in found.pairs[i])
            is_mirrored = CROPS[found.crops[i, 0]].mirrored != CROPS[found.crops[i, 1]].mirrored
            pairs.append(NearDuplicate(one, other, round(reached, 3), int(found.bits[i]), is_mirrored))
    return sorted(pairs, key=lambda pair: (not pair.is_leak, pair.first.name, pair.second.name))
