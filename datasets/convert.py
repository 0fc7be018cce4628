"""Convert data sets of ultrasound images to COCO files, and sets of classified images to lists for classifiers.

Examples:
    python datasets/convert.py list
    python datasets/convert.py busi downloads data --preview
    python datasets/convert.py all downloads data --jobs 8
    python datasets/convert.py pocus downloads data
"""

from __future__ import annotations

import sys
from pathlib import Path

from ultrasam.cli.convert import run_all

FOLDER = Path(__file__).resolve().parent

if __name__ == '__main__':
    sys.exit(run_all(FOLDER / 'us43d', classification=FOLDER / 'classification'))
