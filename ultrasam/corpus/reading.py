"""From an item to its frames, ready to be written: read, adjusted, clipped, turned and split into instances."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ultrasam.corpus.errors import RawFileError
from ultrasam.corpus.frames import RawFrame, Structure
from ultrasam.corpus.instances import clip_structures, split_instances
from ultrasam.corpus.patterns import fill
from ultrasam.corpus.plan import Item
from ultrasam.corpus.readers import open_annotation, open_stack
from ultrasam.corpus.readers.base import check_size
from ultrasam.corpus.spec import DatasetSpec


@dataclass(frozen=True)
class FinishedFrame:
    """A frame as it will be published.

    Args:
        image: (H, W) or (H, W, 3), uint8, gray or RGB.
        instances: one structure each, never empty.
        index: number of the frame in its file; None for a file of one image.
        subject: patient or recording.
        series: part of the file name; '' if there is none.
        label: image-level class; '' if there is none.
        stray: pixels with values that no rule names.
        dropped: instances that were dropped, by reason.
        changed: masks that were changed to fit, by what was done.
        extras: what a kind of description adds to the record of a frame.
    """

    image: np.ndarray
    instances: tuple[Structure, ...]
    index: int | None
    subject: str
    series: str
    label: str
    stray: Counter[str]
    dropped: Counter[str]
    changed: Counter[str]
    extras: dict[str, Any]


def read_frames(spec: DatasetSpec, item: Item) -> Iterator[FinishedFrame | str]:
    """Frames of an item in their order; for one that is left out, why.

    Raises:
        RawFileError: a file that cannot be used.
        ConfigError: a group, category or class that the description does not have.
    """
    for frame in raw_frames(spec, item):
        if spec.adjust is not None:
            frame = spec.adjust(frame, item)
        for structure in frame.structures:
            check_size(structure.mask.shape, frame.image.shape[:2], item.key)
        yield _finished(spec, item, frame)


def raw_frames(spec: DatasetSpec, item: Item) -> Iterator[RawFrame]:
    """Frames as the release stores them."""
    if spec.read is not None:
        yield from spec.read(item)
        return
    with open_stack(spec.frames, item) as stack:
        annotations = [
            open_annotation(word, files, item, frames=spec.frames, stray=spec.stray_share)
            for word, files in zip(spec.annotations, item.annotations, strict=True)
        ]
        if stack.length is not None:
            for annotation in annotations:
                annotation.check_length(stack.length)
        named = sorted(set().union(*(annotation.numbers() or () for annotation in annotations)))
        for number, image in stack.frames(named):
            structures: list[Structure] = []
            stray: Counter[str] = Counter()
            changed: Counter[str] = Counter()
            for annotation in annotations:
                found, unknown = annotation.read(number, image.shape[:2])
                structures += found
                stray += unknown
                changed += annotation.changes(number)
            index = None if stack.is_single else number
            groups = dict(stack.groups(number))
            for annotation in annotations:
                groups.update(annotation.groups(number))
            yield RawFrame(image, tuple(structures), index, groups, stray, changed)


def _finished(spec: DatasetSpec, item: Item, frame: RawFrame) -> FinishedFrame | str:
    structures = frame.structures
    if structures and spec.min_marked and _marked_share(structures) < spec.min_marked:
        return f'less than {spec.min_marked:.1%} of the frame is marked'
    if spec.clip != 'no':
        structures = clip_structures(structures, frame.image, spec.clip)
    rule = spec.test_instances if item.part == 'test' and spec.test_instances else spec.instances
    instances, dropped = split_instances(structures, rule)
    if not instances and spec.empty == 'skip':
        return 'no objects'
    groups = spec.completed({**item.groups, **frame.groups})
    label = fill(spec.label, groups) if spec.label else ''
    if label and label not in spec.classes:
        raise RawFileError(f'{item.key}: of class {label!r}, which is none of {spec.classes}')
    return FinishedFrame(
        image=np.ascontiguousarray(_turned(frame.image, spec.turn)),
        instances=tuple(replace(one, mask=_turned(one.mask, spec.turn)) for one in instances),
        index=frame.index,
        subject=item.frames.name if spec.subject is None else fill(spec.subject, groups),
        series=fill(spec.series, groups),
        label=label,
        stray=Counter(frame.stray),
        dropped=dropped,
        changed=Counter(frame.changed),
        extras=spec.extras(groups),
    )


def _marked_share(structures: Sequence[Structure]) -> float:
    return float(np.any([one.mask for one in structures], axis=0).mean())


def _turned(values: np.ndarray, turn: Any) -> np.ndarray:
    if turn == 'half':
        return values[::-1, ::-1]
    return values[::-1] if turn == 'upside_down' else values
