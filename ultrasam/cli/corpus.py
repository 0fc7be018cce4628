"""What the commands on a corpus share: progress on the terminal, options, and reports."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from ultrasam.cli.guard import CODES
from ultrasam.corpus.layout import PARTS, Corpus
from ultrasam.corpus.merge import MergeReport
from ultrasam.corpus.small_objects import STANDARD_RULE, SmallObjects
from ultrasam.corpus.splits import DatasetSplit, SplitOptions

_SHOWN = 3


def parser_of(doc: str | None) -> argparse.ArgumentParser:
    """A parser that shows the docstring of a command as it stands, with its examples."""
    return argparse.ArgumentParser(
        description=doc, epilog=CODES, formatter_class=argparse.RawDescriptionHelpFormatter
    )


def add_overwrite(parser: argparse.ArgumentParser) -> None:
    """The option that every command has which writes."""
    parser.add_argument(
        '--overwrite', action='store_true', help='replace results that are there with other content'
    )


def add_rule(parser: argparse.ArgumentParser) -> None:
    """Options of the rule on small objects."""
    parser.add_argument(
        '--min-pixels',
        type=float,
        default=STANDARD_RULE.min_pixels,
        help='drop objects of fewer pixels (default: %(default)s; 0 and 0 keep all)',
    )
    parser.add_argument(
        '--min-model-pixels',
        type=float,
        default=STANDARD_RULE.min_model_pixels,
        help='drop objects of fewer pixels when the longer side of the image is 1024 (default: %(default)s)',
    )


def add_split(parser: argparse.ArgumentParser) -> None:
    """Options of a split."""
    parser.add_argument(
        '--train_percent',
        '--train-percent',
        type=float,
        default=0.95,
        help='share that trains (default: 0.95)',
    )
    parser.add_argument('--seed', type=int, default=0, help='another one gives another split (default: 0)')
    parser.add_argument('--splits', type=Path, metavar='FOLDER', help='split files NAME.json to follow')
    parser.add_argument('--write-splits', type=Path, metavar='FOLDER', help='write such files')
    parser.add_argument(
        '--drop-tested',
        action='store_true',
        help='leave out subjects that are in an official test part too, or share an image with one',
    )


def split_options(args: argparse.Namespace) -> SplitOptions:
    """Options of a split as they were typed."""
    return SplitOptions(
        train_percent=args.train_percent,
        seed=args.seed,
        given=args.splits,
        drop_tested=args.drop_tested,
        written=args.write_splits,
        overwrite=args.overwrite,
    )


def rule_of(args: argparse.Namespace) -> SmallObjects:
    """The rule on small objects as it was typed."""
    return SmallObjects(min_pixels=args.min_pixels, min_model_pixels=args.min_model_pixels)


def bar(items: Sequence[Any], title: str) -> Iterable[Any]:
    """Items one by one, with a progress bar on a terminal."""
    from tqdm import tqdm

    return tqdm(items, desc=title, disable=None, leave=False)


def say(text: str) -> None:
    """One line of a report."""
    sys.stdout.write(f'{text}\n')


def report_skipped(corpus: Corpus) -> None:
    """Name the folders that are no data sets."""
    for text in corpus.skipped:
        say(f'skipped: {text}')


def report_splits(splits: Sequence[DatasetSplit]) -> None:
    """Say what each split is, and what it could not do."""
    for one in splits:
        counts = ', '.join(f'{part} {one.images[part]:,}' for part in PARTS if one.images[part])
        by = 'a split file' if one.given else one.unit
        say(f'{one.dataset}: {counts or "no images"} (by {by})')
        for note in one.notes:
            say(f'  mended: {note}')
        if one.unit != 'subject' and not one.given:
            say('  no patient is known: each source file counts as one')
        if one.one_sided:
            say(
                f'  cannot be in both train and val, too few subjects that share no image: {", ".join(one.one_sided)}'
            )
        report_classes(one)
        if one.excluded:
            say(f'  left out {one.excluded:,} images: excluded_images.json lists them')
        if one.dropped:
            say(f'  dropped {one.dropped:,} images: in an official test part too')
        elif one.also_tested:
            say(
                f'  look at: {one.also_tested:,} images are of subjects in an official test part too, or share an '
                'image with one: --drop-tested leaves them out'
            )


def report_classes(one: DatasetSplit) -> None:
    """Say what the lists for classifiers hold, or why there are none."""
    for part, counts in one.classes.items():
        classes = ', '.join(f'{count:,} {name}' for name, count in sorted(counts.items()))
        say(f'  classes of {part}: {classes}')
    if one.classes and 'test' not in one.classes:
        say('  no official test part with classes: val is what a classifier can be tested with')
    if one.no_classes:
        say(f'  {one.no_classes}')
    if one.two_classes:
        shown = ', '.join(one.two_classes[:_SHOWN])
        say(
            f'  look at: {len(one.two_classes)} images are the same as one of another class ({shown}): '
            'excluded_images.json can leave them out'
        )


def report_merge(report: MergeReport) -> None:
    """Say what a merged file holds, and what it does not."""
    say(
        f'{report.path}: {report.total("images"):,} images and {report.total("annotations"):,} objects of '
        f'{len(report.datasets)} data sets; {report.total("small"):,} small objects dropped, '
        f'{report.total("emptied"):,} images left without any'
    )
    if report.without:
        say(f'  without this part: {", ".join(report.without)}')
    for name, reason in report.left_out.items():
        say(f'  left out: {name} ({reason})')
