"""``ultrasam browse``: contact sheets of a corpus, and of predictions beside the truth."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from ultrasam.cli.corpus import add_overwrite, bar, say
from ultrasam.cli.guard import guarded

_SHOWN = 5
EXAMPLES = """examples:
  ultrasam browse corpus data --out sheets
  ultrasam browse corpus data --out sheets --datasets BUSI CAMUS --most 0
  ultrasam browse predictions --predictions results.segm.json --annotations test.json --images data --out worst
"""


def add_parser(commands: argparse._SubParsersAction) -> None:
    """Add the sub-command, with one of its own for each kind."""
    parser = commands.add_parser(
        'browse',
        help='contact sheets of a corpus, and of predictions beside the truth',
        description='Write contact sheets: pictures with the outlines of masks, many on a page.',
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    kinds = parser.add_subparsers(dest='kind', required=True, metavar='KIND')
    corpus = kinds.add_parser('corpus', help='images of converted data sets with their masks')
    add_corpus_options(corpus)
    corpus.set_defaults(run=lambda args: guarded(lambda: browse_corpus(args)))
    predictions = kinds.add_parser('predictions', help='predictions beside the truth, the worst first')
    add_prediction_options(predictions)
    predictions.set_defaults(run=lambda args: guarded(lambda: browse_predictions(args)))


def add_corpus_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of sheets of a corpus."""
    parser.add_argument('root', type=Path, metavar='ROOT', help='folder of all datasets, or of one')
    parser.add_argument('--datasets', nargs='+', default=[], metavar='NAME', help='show only these')
    parser.add_argument('--most', '--max-per-dataset', type=int, default=48, metavar='N',
                        help='images of each, evenly over its parts; 0 for all (default: %(default)s)')  # fmt: skip
    _add_common(parser)


def add_prediction_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of sheets of predictions."""
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
    parser.add_argument('--most', type=int, default=192, metavar='N',
                        help='images on the sheets, the worst first; 0 for all (default: %(default)s)')  # fmt: skip
    _add_common(parser)


def _add_common(parser: argparse.ArgumentParser) -> None:
    parser.add_argument('--out', type=Path, required=True, metavar='DIR', help='folder to write')
    add_overwrite(parser)


def browse_corpus(args: argparse.Namespace) -> None:
    """Write the sheets of a corpus, and say what they show."""
    from ultrasam.corpus.sheets import write_corpus_sheets

    done = write_corpus_sheets(
        args.root, args.out, datasets=args.datasets, most=args.most, overwrite=args.overwrite, track=bar
    )
    for name, shown in done.shown.items():
        pages = ', '.join(path.name for path in done.pages[name][:1]) or 'no page'
        say(f'{name}: {shown:,} of {done.images[name]:,} images, from {pages}')
    for text in done.skipped:
        say(f'skipped: {text}')
    _say_faults(done.faults)
    say(f'{sum(done.shown.values()):,} images of {len(done.shown)} datasets: {args.out}')


def browse_predictions(args: argparse.Namespace) -> None:
    """Write the sheets of predictions, and say what they show."""
    from ultrasam.evaluation.prediction_sheets import TABLE, write_prediction_sheets

    done = write_prediction_sheets(
        args.predictions,
        args.annotations,
        args.images,
        args.out,
        min_score=args.min_score,
        most=args.most,
        overwrite=args.overwrite,
        track=bar,
    )
    mean = 'none' if done.mean_dice is None else f'{done.mean_dice:.3f}'
    say(
        f'{done.objects:,} objects, mean Dice {mean}; {done.missed:,} missed, '
        f'{done.unmatched:,} unmatched predictions, {done.unpredicted:,} images without a prediction'
    )
    if done.strays:
        say(f'left out: {done.strays:,} predictions are of no image of {args.annotations}')
    if done.low:
        say(f'left out: {done.low:,} predictions have a score below {args.min_score}')
    _say_faults(done.faults)
    say(f'every object: {args.out / TABLE}; sheets, the worst first: {args.out}')


def _say_faults(faults: Sequence[str]) -> None:
    for text in faults[:_SHOWN]:
        say(f'not drawn: {text}')
    if len(faults) > _SHOWN:
        say(f'not drawn: {len(faults) - _SHOWN:,} more')
