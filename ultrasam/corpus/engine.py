"""Conversion of a data set: plan, convert in processes, verify, publish in one step.

The output is a function of the input bytes alone: the same files give the same bytes, in whatever order they lie
on the disk and with any number of processes. Until all is done nothing appears under the name of the data set;
what was done waits in a folder beside it, and a conversion that is started again goes on from there.
"""

from __future__ import annotations

import errno
import json
import os
import shutil
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pebble import ProcessExpired

from ultrasam.atomic import locked, publish_folder, sweep
from ultrasam.corpus.classification.corpus_lists import CLASSES
from ultrasam.corpus.classification.files import Content, class_content
from ultrasam.corpus.classification.spec import ClassificationSpec, check_terms
from ultrasam.corpus.coco import build_coco, coco_text, number_frames
from ultrasam.corpus.errors import DataFaultsError, EnvironmentFault, Fault
from ultrasam.corpus.journal import Journal, remove_finished
from ultrasam.corpus.loading import load_spec
from ultrasam.corpus.manifest import (
    MANIFEST,
    Counts,
    build_manifest,
    count_records,
    verify_dataset,
)
from ultrasam.corpus.patterns import compiled
from ultrasam.corpus.pipeline import MEMORY_BYTES, ItemResult, convert_item, start_worker
from ultrasam.corpus.plan import Item, Plan, make_plan, what_is_there
from ultrasam.corpus.sources import is_strange
from ultrasam.corpus.spec import Choices, DatasetSpec, Expected
from ultrasam.corpus.tree import open_tree
from ultrasam.errors import OutputError
from ultrasam.hashing import file_sha256
from ultrasam.processes import as_completed, check_jobs, how_it_ended, process_pool

Progress = Callable[[int, int], None]
"""Told how many items are done, and of how many."""
_JOURNAL = 'journal.jsonl'
# loaded once, in the process from which the workers are forked
PRELOADED = ['ultrasam.corpus.pipeline', 'ultrasam.corpus.readers.image', 'pycocotools.mask', 'scipy.ndimage']


@dataclass(frozen=True)
class Options:
    """How to convert.

    Args:
        jobs: number of processes.
        published: make the choices of the published model's data.
        keep_crumbs: keep objects of a few pixels, see :class:`~ultrasam.corpus.spec.Instances`.
        overwrite: replace a data set that is there already.
        accept_terms: the user has read and accepted the terms of the data set, where it has some.
        accept_counts: publish although the counts are not those of the release, for a part or another version.
        skip_unusable: publish without the files that cannot be used; they are named in manifest and report.
        leave_out: files of the source that are not used, each by the end of its path.
        progress: told about items that are done.
        note: told about each step, in words.
    """

    jobs: int = 1
    published: bool = False
    keep_crumbs: bool = False
    overwrite: bool = False
    accept_terms: bool = False
    accept_counts: bool = False
    skip_unusable: bool = False
    leave_out: tuple[str, ...] = ()
    progress: Progress = lambda done, total: None
    note: Callable[[str], None] = lambda text: None

    @property
    def choices(self) -> Choices:
        """What of it changes the content."""
        return Choices(self.published, self.keep_crumbs)


@dataclass(frozen=True)
class Report:
    """What a conversion did.

    Args:
        folder: of the data set.
        counts: what was counted.
        warnings: what a user should look at.
    """

    folder: Path
    counts: Counts
    warnings: tuple[str, ...]


def convert_dataset(
    description: Path, source: Path | Sequence[Path], out_root: Path, options: Options = Options()
) -> Report:
    """Convert a data set into ``out_root/NAME``.

    Args:
        description: file with its ``SPEC``.
        source: archive or folder of the release, or its archives; nothing in it is changed.
        out_root: folder of all data sets.
        options: how.

    Raises:
        DataFaultsError: files that cannot be used, or counts that are not those of the release.
        ArchiveError: an archive that is damaged or unsafe.
        OutputError: the data set is there already, or cannot be written.
        InputError: there is no such source, or a table of it is damaged.
        ConfigError: options that make no sense.
        TermsError: terms that were not accepted; nothing was read or written.
    """
    spec = load_spec(description)
    if isinstance(spec, ClassificationSpec):
        check_terms(spec, accepted=options.accept_terms)
    spec = options.choices.of(spec)
    check_jobs(options.jobs)
    target = out_root / spec.name
    try:
        sweep(out_root)
        if target.is_dir() and any(target.iterdir()) and not options.overwrite:
            remove_finished(_work_folder(target), _JOURNAL, target)
            raise OutputError(
                f'{target} exists already: choose another folder, remove it, or use --overwrite'
            )
        return _convert(spec, description, source, target, options)
    except OSError as error:
        raise EnvironmentFault(
            f'{error.filename or target}: {error.strerror or error}{_room_left(error, target)}: see to the disk or '
            'its permissions, then run again to resume'
        ) from error


def _work_folder(target: Path) -> Path:
    """Where a conversion works, beside the folder that it fills."""
    return target.with_name(f'.{target.name}.work')


def _room_left(error: OSError, target: Path) -> str:
    if error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG) or not target.parent.is_dir():
        return ''
    return f', {shutil.disk_usage(target.parent).free:,} bytes are free there'


def _convert(
    spec: DatasetSpec, description: Path, source: Path | Sequence[Path], target: Path, options: Options
) -> Report:
    """Convert within a folder beside the target, which one process at a time may use."""
    work = _work_folder(target)
    (work / 'frames').mkdir(parents=True, exist_ok=True)
    with locked(work):
        tree = open_tree(
            source,
            work / 'raw',
            spec.archives,
            is_strange=lambda path: is_strange(path, spec),
            note=lambda name: options.note(f'unpacking {name}'),
        )
        plan = make_plan(spec, tree, leave_out=options.leave_out)
        options.note(f'{len(plan.items):,} items, {len(tree.files):,} files')
        journal = Journal(
            work / _JOURNAL,
            description=description,
            choices=options.choices,
            frames=work / 'frames',
        )
        with journal:
            results = _run(plan.items, description, work / 'frames', journal, options)
        faults = [*tree.faults, *plan.faults]
        report = _publish(spec, plan, faults, results, target, work / 'frames', options)
        shutil.rmtree(work / 'raw', ignore_errors=True)
        shutil.rmtree(work / 'frames', ignore_errors=True)
    shutil.rmtree(work, ignore_errors=True)
    return report


def _run(
    items: Sequence[Item], description: Path, frames: Path, journal: Journal, options: Options
) -> list[ItemResult]:
    """Results of all items, in their order."""
    results = {item.key: found for item in items if (found := journal.result_of(item)) is not None}
    options.progress(len(results), len(items))

    def keep(item: Item, result: ItemResult) -> None:
        journal.add(item, result)
        results[item.key] = result
        options.progress(len(results), len(items))

    waiting = [item for item in items if item.key not in results]
    if waiting:
        jobs = min(options.jobs, len(waiting))
        with process_pool(
            jobs,
            initializer=start_worker,
            initargs=(description, options.choices, frames),
            memory_bytes=MEMORY_BYTES,
            preload=PRELOADED,
        ) as pool:
            for item, outcome in as_completed(pool, convert_item, waiting, jobs=jobs):
                try:
                    keep(item, outcome.result())
                except ProcessExpired as error:
                    fault = (
                        f'{item.key}: ends the process that reads it ({how_it_ended(error)}); it is damaged'
                    )
                    keep(item, ItemResult(item.key, fault=fault))
                except BrokenProcessPool as error:
                    raise EnvironmentFault(
                        'a process of the conversion was killed: run again to resume, with fewer jobs if memory is '
                        'short'
                    ) from error
    return [results[item.key] for item in items]


def _publish(
    spec: DatasetSpec,
    plan: Plan,
    faults: Sequence[Fault],
    results: Sequence[ItemResult],
    target: Path,
    frames: Path,
    options: Options,
) -> Report:
    """See that all is as it should be, then put the data set in place."""
    faults = [*faults, *(Fault(result.key, result.fault) for result in results if result.fault)]
    known: Counter[str] = Counter()
    unknown = []
    for fault in faults:
        reason = _known_reason(spec, fault)
        if reason:
            known[reason] += 1
        else:
            unknown.append(fault)
    _check_found(spec, plan)
    if unknown and not (options.skip_unusable and any(result.frames for result in results)):
        raise DataFaultsError(
            spec.name,
            unknown,
            'Good files are kept: mend these, then run again to resume; or publish without them (--skip-unusable), or '
            'leave out files that you name (--leave-out FILE)',
        )
    records = number_frames(spec, [record for result in results for record in result.frames])
    counts = count_records(spec, records)
    counts.known_faults = known
    counts.unusable = len(unknown)
    counts.left_out = plan.left_out + Counter(
        {_no_frame(spec): sum(not (r.fault or r.frames or r.left_out) for r in results)}
    )
    for result in results:
        counts.left_out.update(result.left_out)
    counts.unused = len(plan.unused)
    warnings = _check_counts(spec, plan.images, counts, options)
    if plan.unused:
        warnings.append(
            f'{len(plan.unused)} files are not mentioned in the description, first {plan.unused[0]}'
        )
    warnings += [f'left out, cannot be used: {fault}' for fault in unknown]
    sources = {name: digest for result in results for name, digest in result.sources.items()}
    if isinstance(spec, ClassificationSpec):
        content = class_content(spec, records)
    else:
        content = Content(_annotation_files(spec, records))
    options.note('publishing')
    manifest = build_manifest(spec, counts, sources, choices=options.choices)
    if unknown:
        manifest['unusable'] = [{'file': fault.file, 'reason': fault.reason} for fault in unknown]
    with publish_folder(target, overwrite=options.overwrite, verify=verify_dataset) as folder:
        _fill_folder(folder, records, content, manifest, frames)
    warnings += content.warnings
    return Report(target, counts, tuple(warnings))


def _check_found(spec: DatasetSpec, plan: Plan) -> None:
    """See that there are images at all; that masks are without them would follow."""
    if not plan.images:
        fault = Fault(spec.name, f'no image matches {spec.frames.pattern}; {what_is_there(spec, plan)}')
        raise DataFaultsError(
            spec.name, [fault], f'Give the folder or archive of the release, see {spec.homepage}'
        )


def _fill_folder(
    folder: Path, records: Sequence[dict[str, Any]], content: Content, manifest: dict[str, Any], frames: Path
) -> None:
    (folder / 'images').mkdir()
    (folder / 'annotations').mkdir()
    files: dict[str, str] = {}
    for record in records:
        _link(frames / record['file'], folder / 'images' / record['file_name'])
        files[f'images/{record["file_name"]}'] = record['sha256']
    for name, text in content.files.items():
        path = folder / name
        path.write_text(text, encoding='utf-8')
        files[name] = file_sha256(path)
    listed = {**manifest, **content.facts, 'files': dict(sorted(files.items()))}
    text = json.dumps(listed, indent=1, ensure_ascii=False) + '\n'
    (folder / MANIFEST).write_text(text, encoding='utf-8')


def _annotation_files(spec: DatasetSpec, records: Sequence[dict[str, Any]]) -> dict[str, str]:
    """Text of each file beside the images: COCO files, and the names of image-level classes."""
    lacking = _lacking(spec, records)
    test = [record for record in records if record['part'] == 'test']
    main = [record for record in records if record['part'] != 'test']
    files = {f'{spec.name}__coco.json': coco_text(build_coco(spec, main, without=lacking))}
    if spec.split is not None and spec.split.test:
        files[f'test.{spec.name}__coco.json'] = coco_text(build_coco(spec, test, without=lacking))
    if any(record['label'] for record in records):
        files[CLASSES] = ''.join(f'{name}\n' for name in spec.classes)
    return {f'annotations/{name}': text for name, text in files.items()}


def _lacking(spec: DatasetSpec, records: Sequence[dict[str, Any]]) -> frozenset[str]:
    """Optional categories that no object has."""
    used = {found['category_id'] for record in records for found in record['objects']}
    numbered = enumerate(spec.categories, start=1)
    return frozenset(one.name for id_, one in numbered if one.optional and id_ not in used)


def _no_frame(spec: DatasetSpec) -> str:
    """Why a file gives no image."""
    return 'no frame that is ' + ('taken' if isinstance(spec, ClassificationSpec) else 'annotated')


def _known_reason(spec: DatasetSpec, fault: Fault) -> str:
    for pattern, reason in spec.known_faults.items():
        if compiled(pattern).match(fault.file):
            return reason
    return ''


def _check_counts(spec: DatasetSpec, images: int, counts: Counts, options: Options) -> list[str]:
    """Differences from the release; they stop the conversion unless they are accepted."""
    expected: Expected = spec.expected
    found = {
        'images': counts.images.total(),
        'test_images': counts.images['test'],
        'subjects': counts.subjects,
        'annotations': counts.annotations.total(),
    }
    differing = [
        f'{found[name]:,} {name.replace("_", " ")} where the release has {wanted:,}'
        for name in found
        if (wanted := getattr(expected, name)) is not None and wanted != found[name]
    ]
    if not found['images']:
        raise DataFaultsError(
            spec.name,
            [Fault(spec.name, f'of {images:,} images none is used: {", ".join(counts.left_out)}')],
            f'Is this the release that is described, see {spec.homepage}?',
        )
    if differing and not (options.accept_counts or counts.unusable):
        raise DataFaultsError(
            spec.name,
            [Fault(spec.name, text) for text in differing],
            'For a part of the release, or another version of it, use --accept-counts',
        )
    return differing


def _link(source: Path, target: Path) -> None:
    """A second name for a frame, or a copy where the disk has no such thing."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)
