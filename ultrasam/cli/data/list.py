"""List the datasets that are described here: short name, number of images, access and title.

Examples:
    ultrasam data list
    ultrasam data list | grep -i thyroid
"""

from __future__ import annotations

import argparse

from ultrasam.cli.convert import list_datasets
from ultrasam.corpus.library import CLASSIFICATION, CORPUS, description_folder


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add no arguments: there are none."""


def run(args: argparse.Namespace) -> int:
    """List them."""
    return list_datasets(description_folder(CORPUS), description_folder(CLASSIFICATION))
