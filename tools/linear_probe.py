"""Linear probe: how well one linear layer tells the classes from the features of a frozen encoder.

The layer is fitted on the training list, its weight decay chosen by macro F1 on the validation list, and the figures
are of the test list. The fit is exact (logistic regression), so that no seed plays a part.

Examples:
  python tools/linear_probe.py configs/UltraSAM/UltraSAM_full/downstream/classification/BUSBRA/UltraSam.py
  python tools/linear_probe.py CONFIG --out results/probe.json --weight-decay 0.001 0.01 0.1
  python tools/linear_probe.py CONFIG --checkpoint work_dirs/UltraSam/iter_2000.pth
"""

from __future__ import annotations

import argparse
import sys

from ultrasam.cli.probes import add_probe_options, run_probe
from ultrasam.errors import UltraSamError
from ultrasam.evaluation.classification_probes import STRENGTHS, linear_probe


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add_probe_options(parser)
    parser.add_argument(
        '--weight-decay',
        type=float,
        nargs='+',
        default=list(STRENGTHS),
        metavar='W',
        help='to choose from (default: 1e-6 to 100)',
    )
    return parser.parse_args()


def main() -> None:
    """Probe, and show the figures."""
    args = parse_args()
    try:
        text = run_probe(args, lambda tables, count: linear_probe(tables, count, args.weight_decay))
    except UltraSamError as error:
        raise SystemExit(f'{type(error).__name__}: {error}') from error
    sys.stdout.write(f'{text}\n')


if __name__ == '__main__':
    main()
