"""Make a gallery of a corpus: thumbnails with masks, by data set, organ, split, size and category.

It opens from disk (index.html), without a server, and loads nothing from elsewhere. Started again, it is brought up
to date: thumbnails of images that did not change are kept. The licences of the data sets hold for the thumbnails.

Examples:
    python datasets/tools/browse.py data --out gallery
    python datasets/tools/browse.py data --out gallery --datasets BUSI CAMUS --max-per-dataset 0 --jobs 8
    python datasets/tools/browse.py data/BUSI --out busi --self-contained
"""

from __future__ import annotations

import sys

from ultrasam.cli.browse import add_corpus_options, browse_corpus
from ultrasam.cli.corpus import guarded, parser_of


def main(arguments: list[str] | None = None) -> int:
    """Run the command."""
    parser = parser_of(__doc__)
    add_corpus_options(parser)
    args = parser.parse_args(arguments)
    return guarded(lambda: browse_corpus(args))


if __name__ == '__main__':
    sys.exit(main())
