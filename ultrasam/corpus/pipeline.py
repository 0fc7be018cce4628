"""From an item to its PNG files and records: read, adjust, clip, turn, split into instances, write."""

from __future__ import annotations

import hashlib
import io
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from ultrasam.corpus.errors import EnvironmentFault, RawFileError
from ultrasam.corpus.frames import RawFrame, Structure
from ultrasam.corpus.labels import clip_structures, split_instances, window_of
from ultrasam.corpus.loading import load_spec
from ultrasam.corpus.patterns import fill
from ultrasam.corpus.plan import Item, SourceFile
from ultrasam.corpus.readers import open_annotation, open_stack
from ultrasam.corpus.readers.base import check_size
from ultrasam.corpus.spec import Choices, DatasetSpec
from ultrasam.errors import ConfigError, InputError
from ultrasam.hashing import file_sha256

# the most memory of a process: the largest volumes need a fifth
MEMORY_BYTES = 16 << 30
_PNG_COMPRESSION = 4
_spec: DatasetSpec | None = None
_frames: Path | None = None


@dataclass(frozen=True)
class ItemResult:
    """What became of an item; plain data, as it stands in the journal.

    Args:
        key: of the item.
        frames: one record a frame that is kept.
        left_out: number of frames that are left out, by reason.
        sources: SHA-256 of each file that was read, by name.
        fault: why the item cannot be used; '' if it can.
    """

    key: str
    frames: list[dict[str, Any]] = field(default_factory=list)
    left_out: dict[str, int] = field(default_factory=dict)
    sources: dict[str, str] = field(default_factory=dict)
    fault: str = ''

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


def start_worker(description: Path, choices: Choices, frames: Path) -> None:
    """Prepare a process: load the description, and note the folder that frames are written to."""
    global _spec, _frames
    _spec, _frames = choices.of(load_spec(description)), frames


def convert_item(item: Item) -> ItemResult:
    """Convert an item in a process that was prepared.

    Args:
        item: what to read.

    Raises:
        EnvironmentFault: the disk fails, or a library is missing: no item could be converted.
    """
    if _spec is None or _frames is None:
        raise RuntimeError('start_worker was not called in this process')
    return convert(_spec, item, _frames)


def convert(spec: DatasetSpec, item: Item, folder: Path) -> ItemResult:
    """Convert an item, whose frames go to ``folder`` under names that depend on the item alone."""
    stem = hashlib.sha256(item.key.encode()).hexdigest()[:24]
    records: list[dict[str, Any]] = []
    left_out: Counter[str] = Counter()
    try:
        sources = {file.name: _digest(file) for file in item.files}
        for frame in read_frames(spec, item):
            if isinstance(frame, str):
                left_out[frame] += 1
                continue
            records.append(_record(spec, item, frame, folder / f'{stem}_{len(records):06d}.png'))
    except EnvironmentFault:
        raise
    except (InputError, ConfigError, MemoryError) as error:
        reason = str(error) or 'needs more memory than a process may have'
        return ItemResult(item.key, fault=reason)
    return ItemResult(item.key, records, _plain(left_out), sources)


def _record(spec: DatasetSpec, item: Item, frame: FinishedFrame, path: Path) -> dict[str, Any]:
    """Write a frame and describe it."""
    from pycocotools import mask as coco_mask

    buffer = io.BytesIO()
    _as_rgb(frame.image).save(buffer, 'PNG', compress_level=_PNG_COMPRESSION)
    data = buffer.getvalue()
    try:
        path.write_bytes(data)
    except OSError as error:
        raise EnvironmentFault(
            f'{path}: {len(data):,} bytes cannot be written ({error.strerror}): make room or mend permissions, '
            'then run again to resume'
        ) from error
    objects = []
    for instance in frame.instances:
        rle = coco_mask.encode(_by_columns(instance.mask))
        objects.append(
            {
                'category_id': spec.category_id(instance.category),
                'bbox': [float(value) for value in coco_mask.toBbox(rle)],
                'area': int(coco_mask.area(rle)),
                'counts': rle['counts'].decode('ascii'),
            }
        )
    return {
        'file': path.name,
        'sha256': hashlib.sha256(data).hexdigest(),
        'bytes': len(data),
        'height': frame.image.shape[0],
        'width': frame.image.shape[1],
        'source': item.frames.name,
        'index': frame.index,
        'part': item.part,
        'subject': frame.subject,
        'series': frame.series,
        'label': frame.label,
        'objects': objects,
        'stray': _plain(frame.stray),
        'dropped': _plain(frame.dropped),
        'changed': _plain(frame.changed),
        **frame.extras,
    }


def _as_rgb(image: np.ndarray) -> Image.Image:
    picture = Image.fromarray(image)
    return picture if image.ndim == 3 else Image.merge('RGB', (picture, picture, picture))


def _by_columns(mask: np.ndarray) -> np.ndarray:
    """A mask as pycocotools wants it, (H, W), uint8, column after column; only what is not background is moved."""
    window = window_of(mask)
    moved = np.zeros(mask.shape, np.uint8, order='F')
    moved[window] = mask[window]
    return moved


def _plain(counts: Counter[str]) -> dict[str, int]:
    return {key: int(counts[key]) for key in sorted(counts)}


def _digest(file: SourceFile) -> str:
    try:
        state = file.path.stat()
        return _digest_of(file.path, state.st_size, state.st_mtime_ns)
    except OSError as error:
        raise InputError(f'{file.name}: cannot be read ({error.strerror})') from error


@lru_cache(maxsize=4)
def _digest_of(path: Path, size: int, modified_ns: int) -> str:
    """The digest of a file, taken once though many items share it."""
    return file_sha256(path)


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
