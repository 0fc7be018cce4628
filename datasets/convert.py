"""Convert data sets of ultrasound images to COCO files.

Examples:
    python datasets/convert.py list
    python datasets/convert.py busi downloads data --preview
    python datasets/convert.py all downloads data --jobs 8
"""

from __future__ import annotations

import sys
from pathlib import Path

from ultrasam.cli.convert import run_all

if __name__ == '__main__':
    sys.exit(run_all(Path(__file__).resolve().parent / 'us43d'))
