"""What a description makes of a release, shown before anything is converted."""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
from pebble import ProcessExpired

from ultrasam.atomic import publish_file
from ultrasam.corpus.errors import Fault
from ultrasam.corpus.loading import load_spec
from ultrasam.corpus.patterns import fill
from ultrasam.corpus.pipeline import MEMORY_BYTES, FinishedFrame, read_frames
from ultrasam.corpus.plan import Item, Plan, make_plan
from ultrasam.corpus.sheets import evenly
from ultrasam.corpus.sources import is_strange
from ultrasam.corpus.spec import DatasetSpec
from ultrasam.corpus.tree import RawTree, open_tree
from ultrasam.errors import ConfigError, InputError, UltraSamError
from ultrasam.io.sheets import COLOURS, GAP, draw_outlines, tile_sheet, write_caption
from ultrasam.io.writers.pictures import png_bytes
from ultrasam.processes import as_completed, how_it_ended, process_pool

_TILE = 420
# frames of a file in which one with a mask is looked for
_MOST_FRAMES = 64


@dataclass(frozen=True)
class Preview:
    """What a description makes of a release.

    Args:
        matched: What each word of the description found, a sentence each.
        left_out: Number of files that are not used, by reason.
        faults: Files that could not be used, those of the samples included.
        unused: Files that the description does not mention.
        samples: What each drawn sample shows, a line each.
        sheet: File with the samples; None where there is none.
    """

    matched: tuple[str, ...]
    left_out: Counter[str]
    faults: tuple[Fault, ...]
    unused: tuple[str, ...]
    samples: tuple[str, ...]
    sheet: Path | None


def preview(
    description: Path,
    source: Path | Sequence[Path],
    sheet: Path,
    *,
    samples: int = 5,
    note: Callable[[str], None] = lambda _: None,
) -> Preview:
    """Pair the files of a release as a description says, and draw some samples with their masks.

    Args:
        description: File with its ``SPEC``.
        source: Archive or folder of the release, or its archives; nothing in it is changed.
        sheet: PNG file for the samples; one that is there is replaced.
        samples: How many to draw, evenly over all files.
        note: Told about each step, in words.

    Raises:
        ConfigError: A description that cannot work.
        InputError: There is no such source, or a table of it is damaged.
        ArchiveError: An archive that is damaged or unsafe.
        OutputError: The sheet cannot be written.
    """
    if samples < 0:
        raise ConfigError(f'{samples} samples: give 0 or more')
    spec = load_spec(description)
    with tempfile.TemporaryDirectory(prefix='ultrasam-plan-') as scratch:
        tree = open_tree(
            source,
            Path(scratch, 'raw'),
            spec.archives,
            is_strange=lambda path: is_strange(path, spec),
            note=lambda name: note(f'unpacking {name}'),
        )
        plan = make_plan(spec, tree)
        note(f'reading samples of {len(plan.items):,} files')
        chosen = [plan.items[place] for place in evenly(len(plan.items), samples)] if samples else []
        tiles, lines, faults = _draw(description, chosen)
    if tiles:
        with publish_file(sheet, overwrite=True) as path:
            path.write_bytes(png_bytes(tile_sheet(tiles, columns=min(3, len(tiles)), tile=_TILE)))
    if not plan.items:
        found = f'no image matches {spec.frames.pattern!r}: is the source the one that the description means?'
        faults.append(Fault(spec.name, found))
    return Preview(
        matched=tuple(_matched(spec, plan, tree)),
        left_out=plan.left_out,
        faults=(*tree.faults, *plan.faults, *faults),
        unused=plan.unused,
        samples=tuple(lines),
        sheet=sheet if tiles else None,
    )


def _matched(spec: DatasetSpec, plan: Plan, tree: RawTree) -> list[str]:
    """What each word of a description found."""
    lines = [f'{len(tree.files):,} files in the source', f'images: {_found(spec.frames, len(plan.items))}']
    for number, word in enumerate(spec.annotations):
        files = [len(item.annotations[number]) for item in plan.items]
        of = f' for {sum(count > 0 for count in files):,} images'
        lines.append(f'annotations: {_found(word, sum(files))}{of if getattr(word, "pattern", None) else ""}')
    lines += [f'table: {text}' for text in dict.fromkeys(_table_patterns(spec))]
    if plan.items:
        groups = ', '.join(f'{name}={value!r}' for name, value in sorted(plan.items[0].groups.items()))
        lines.append(f'first: {plan.items[0].key}: {groups or "its pattern names no groups"}')
        lines.append(f'subjects: {_subjects(spec, plan)}')
    parts = Counter(item.part for item in plan.items if item.part)
    if parts:
        lines.append(
            'official split: ' + ', '.join(f'{count:,} {part}' for part, count in sorted(parts.items()))
        )
    return [*lines, f'the description was {spec.verified or "never run on a whole release: look closely"}']


def _table_patterns(spec: DatasetSpec) -> list[str]:
    return [table.pattern for table in spec.tables] + [rows.pattern for rows in spec.rows]


def _found(word: object, files: int) -> str:
    pattern = getattr(word, 'pattern', None)
    return f'{files:,} files match {pattern}' if pattern else f'read by {type(word).__name__}'


def _subjects(spec: DatasetSpec, plan: Plan) -> str:
    if spec.subject is None:
        return 'not known, so that each image counts as one of its own'
    try:
        found = {fill(spec.subject, spec.completed(item.groups)) for item in plan.items}
    except UltraSamError:
        return f'told by each frame ({spec.subject})'
    return f'{len(found):,}, such as {min(found)}'


def _draw(description: Path, items: Sequence[Item]) -> tuple[list[np.ndarray], list[str], list[Fault]]:
    """Tiles and lines of samples in the order of the items, and why others could not be read."""
    if not items:
        return [], [], []
    drawn: dict[str, tuple[np.ndarray, str]] = {}
    faults = []
    # a decoder that crashes costs one sample
    with process_pool(1, memory_bytes=MEMORY_BYTES, preload=['ultrasam.corpus.preview']) as pool:
        jobs = [(description, item) for item in items]
        for (_, item), outcome in as_completed(pool, draw_sample, jobs, jobs=1):
            try:
                drawn[item.key] = outcome.result()
            except (ConfigError, InputError, MemoryError) as error:
                faults.append(Fault(item.key, str(error) or 'not enough memory'))
            except (ProcessExpired, BrokenProcessPool) as error:
                faults.append(Fault(item.key, f'ends the process that reads it ({how_it_ended(error)})'))
    found = [drawn[item.key] for item in items if item.key in drawn]
    return [tile for tile, _ in found], [line for _, line in found], faults


def draw_sample(job: tuple[Path, Item]) -> tuple[np.ndarray, str]:
    """Return a tile of the first frame of an item that has a mask, or else of its first frame, and what it shows."""
    description, item = job
    spec = load_spec(description)
    read = list(islice(read_frames(spec, item), _MOST_FRAMES))
    frames = [one for one in read if isinstance(one, FinishedFrame)]
    if not frames:
        blank = np.zeros((_TILE - GAP, _TILE - GAP, 3), np.uint8)
        line = f'{item.key}: not taken, {read[0] if read else "it has no frame that is annotated"}'
        return write_caption(blank, line), line
    frame = next((one for one in frames if one.instances), frames[0])
    counts = Counter(one.category for one in frame.instances)
    objects = ', '.join(f'{count} {name}' for name, count in sorted(counts.items())) or 'no objects'
    number = '' if frame.index is None else f' frame {frame.index}'
    facts = ''.join(
        f', {name} {value}' for name, value in (('subject', frame.subject), ('class', frame.label)) if value
    )
    names = [category.name for category in spec.categories]
    colours = [COLOURS[names.index(one.category) % len(COLOURS)] for one in frame.instances]
    tile = draw_outlines(frame.image, [one.mask for one in frame.instances], colours, _TILE - GAP)
    line = f'{item.key}{number}: {objects}{facts}'
    return write_caption(tile, line), line
