"""Convert a dataset to COCO files, or all datasets whose files are there.

Each gives OUT_ROOT/NAME with images/*.png, annotations/NAME__coco.json and manifest.json. Until a conversion is
complete nothing appears there; one that is stopped goes on where it was. 'all' passes over what is there already.

Examples:
    ultrasam data convert busi downloads data --preview
    ultrasam data convert all downloads data --jobs 8
    ultrasam data convert my_liver.py downloads/my_liver data
    ultrasam data convert bus_bra downloads data --skip-unusable
"""

from __future__ import annotations

import argparse

from ultrasam.cli.convert import CODES as CODES
from ultrasam.cli.convert import add_names, add_options, convert_named
from ultrasam.corpus.library import CLASSIFICATION, CORPUS, description_folder


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    add_names(parser)
    add_options(parser)


def run(args: argparse.Namespace) -> int:
    """Convert, and say what was made."""
    return convert_named(description_folder(CORPUS), description_folder(CLASSIFICATION), args)
