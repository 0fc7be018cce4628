"""``ultrasam browse``: galleries that open from disk, of a corpus, and of predictions beside the truth."""

from __future__ import annotations

import argparse
import os
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

from ultrasam.cli.corpus import bar, guarded, say

_MOST = 500
_JOBS = 4
EXAMPLES = """examples:
  ultrasam browse corpus data --out gallery
  ultrasam browse corpus data --out gallery --datasets BUSI CAMUS --max-per-dataset 0
  ultrasam browse predictions --predictions results.segm.json --annotations test.json --images data --out worst
"""


def add_parser(commands: argparse._SubParsersAction) -> None:
    """Add the sub-command, with one of its own for each gallery."""
    parser = commands.add_parser(
        'browse',
        help='galleries of a corpus, and of predictions beside the truth',
        description='Make an HTML gallery that opens from disk, without a server.',
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    kinds = parser.add_subparsers(dest='gallery', required=True, metavar='GALLERY')
    corpus = kinds.add_parser('corpus', help='images of converted data sets with their masks')
    add_corpus_options(corpus)
    corpus.set_defaults(run=lambda args: guarded(lambda: browse_corpus(args)))
    predictions = kinds.add_parser('predictions', help='predictions beside the truth, the worst first')
    add_prediction_options(predictions)
    predictions.set_defaults(run=lambda args: guarded(lambda: browse_predictions(args)))


def add_corpus_options(parser: argparse.ArgumentParser) -> None:
    """Options of a gallery of a corpus."""
    parser.add_argument('root', type=Path, metavar='ROOT', help='folder of all data sets, or of one')
    parser.add_argument('--datasets', nargs='+', default=[], metavar='NAME', help='show only these')
    parser.add_argument('--max-per-dataset', type=int, default=_MOST, metavar='N',
                        help='images of each, evenly over its parts; 0 for all (default: %(default)s)')  # fmt: skip
    _add_common(parser)


def add_prediction_options(parser: argparse.ArgumentParser) -> None:
    """Options of a gallery of predictions."""
    parser.add_argument('--predictions', type=Path, required=True, metavar='FILE',
                        help='COCO results (*.segm.json), or coco.json of `ultrasam predict`')  # fmt: skip
    parser.add_argument(
        '--annotations', type=Path, required=True, metavar='FILE', help='COCO file of the truth'
    )
    parser.add_argument(
        '--images', type=Path, required=True, metavar='DIR', help='folder that its file names start from'
    )
    parser.add_argument('--min-score', type=float, default=0.0, metavar='S',
                        help='leave out predictions of a lower score (default: %(default)s)')  # fmt: skip
    _add_common(parser)


def _add_common(parser: argparse.ArgumentParser) -> None:
    parser.add_argument('--out', type=Path, required=True, metavar='DIR',
                        help='folder of the gallery; one of an earlier run is brought up to date')  # fmt: skip
    parser.add_argument('--self-contained', action='store_true',
                        help='copy images of up to 1024 px into it, so that it can be moved')  # fmt: skip
    parser.add_argument('--jobs', type=int, default=min(_JOBS, os.cpu_count() or 1), metavar='N',
                        help='number of processes (default: %(default)s)')  # fmt: skip


def browse_corpus(args: argparse.Namespace) -> None:
    """Make the gallery of a corpus, and say what it shows."""
    from ultrasam.corpus.gallery import write_corpus_gallery

    report = write_corpus_gallery(
        args.root,
        args.out,
        datasets=args.datasets,
        max_per_dataset=args.max_per_dataset,
        with_views=args.self_contained,
        jobs=args.jobs,
        track=bar,
    )
    for name, shown in report.shown.items():
        say(f'{name}: {shown:,} of {report.images[name]:,} images')
    for text in report.skipped:
        say(f'skipped: {text}')
    _say_faults(report.faults, report.examples)
    say(f'{sum(report.shown.values()):,} images of {len(report.shown)} data sets: open {report.path}')


def browse_predictions(args: argparse.Namespace) -> None:
    """Make the gallery of predictions, and say what it shows."""
    from ultrasam.corpus.gallery import write_prediction_gallery

    report = write_prediction_gallery(
        args.predictions,
        args.annotations,
        args.images,
        args.out,
        min_score=args.min_score,
        with_views=args.self_contained,
        jobs=args.jobs,
        track=bar,
    )
    mean = 'none' if report.mean_dice is None else f'{report.mean_dice:.3f}'
    say(
        f'{report.objects:,} objects, mean Dice {mean}; {report.missed:,} missed, '
        f'{report.unmatched:,} unmatched predictions, {report.unpredicted:,} images without a prediction'
    )
    if report.strays:
        say(f'left out: {report.strays:,} predictions are of no image of {args.annotations}')
    if report.low:
        say(f'left out: {report.low:,} predictions have a score below {args.min_score}')
    _say_faults(report.faults, report.examples)
    say(f'{report.images:,} images: open {report.path}')


def _say_faults(faults: Counter[str], examples: Mapping[str, str]) -> None:
    for kind, count in sorted(faults.items()):
        say(f'{count:,} {kind}, such as {examples[kind]}')
