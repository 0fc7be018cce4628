r"""Write contact sheets of predictions beside the truth, the worst first, and a table of every object.

Takes the COCO results of a test run, or the coco.json of `ultrasam predict`. Objects and predictions are paired
within each image so that the sum of Dice is largest; what stays alone is missed or unmatched.

Examples:
    python tools/browse_predictions.py --predictions work_dirs/test/results.segm.json \\
        --annotations data/test.agnostic.noSmall.coco.json --images data --out worst
    python tools/browse_predictions.py --predictions result/coco.json \\
        --annotations sample_dataset/annotations.json --images sample_dataset/images --out worst
"""

from __future__ import annotations

import sys

from ultrasam.cli.browse import add_prediction_options, browse_predictions
from ultrasam.cli.corpus import parser_of
from ultrasam.cli.guard import guarded


def main(arguments: list[str] | None = None) -> int:
    """Run the command."""
    parser = parser_of(__doc__)
    add_prediction_options(parser)
    args = parser.parse_args(arguments)
    return guarded(lambda: browse_predictions(args))


if __name__ == '__main__':
    sys.exit(main())
