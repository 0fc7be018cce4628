"""Write contact sheets of a corpus: images of each dataset with the outlines of their objects.

The licences of the datasets hold for the sheets.

Examples:
    python datasets/tools/browse.py data --out sheets
    python datasets/tools/browse.py data --out sheets --datasets BUSI CAMUS --most 0
"""

from __future__ import annotations

import sys

from ultrasam.cli.browse import add_corpus_options, browse_corpus
from ultrasam.cli.corpus import parser_of
from ultrasam.cli.guard import guarded


def main(arguments: list[str] | None = None) -> int:
    """Run the command."""
    parser = parser_of(__doc__)
    add_corpus_options(parser)
    args = parser.parse_args(arguments)
    return guarded(lambda: browse_corpus(args))


if __name__ == '__main__':
    sys.exit(main())
