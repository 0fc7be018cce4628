"""k-NN probe: how well the nearest training images tell the class of an image, by the features of a frozen encoder.

Similarity is the cosine, and nearer images count more. The number of neighbours is chosen by macro F1 on the validation
list, and the figures are of the test list.

Examples:
  python tools/knn_probe.py configs/UltraSAM/UltraSAM_full/downstream/classification/BUSBRA/UltraSam.py
  python tools/knn_probe.py CONFIG --out results/knn.json --neighbours 5 20
"""

from __future__ import annotations

import argparse
import sys

from ultrasam.cli.probes import add_probe_options, run_probe
from ultrasam.errors import UltraSamError
from ultrasam.evaluation.classification_probes import NEIGHBOURS, TEMPERATURE, knn_probe


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add_probe_options(parser)
    parser.add_argument(
        '--neighbours',
        type=int,
        nargs='+',
        default=list(NEIGHBOURS),
        metavar='K',
        help='to choose from (default: 1 to 50)',
    )
    parser.add_argument(
        '--temperature', type=float, default=TEMPERATURE, help=f'of the votes (default: {TEMPERATURE})'
    )
    return parser.parse_args()


def main() -> None:
    """Probe, and show the figures."""
    args = parse_args()
    try:
        text = run_probe(
            args, lambda tables, count: knn_probe(tables, count, args.neighbours, args.temperature)
        )
    except UltraSamError as error:
        raise SystemExit(f'{type(error).__name__}: {error}') from error
    sys.stdout.write(f'{text}\n')


if __name__ == '__main__':
    main()
