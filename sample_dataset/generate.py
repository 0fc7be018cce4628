"""Write the ten sample frames, their annotations and the contact sheet again.

Examples:
    python sample_dataset/generate.py
    python sample_dataset/generate.py --out work_dirs/sample_dataset
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import tempfile
from pathlib import Path

import cv2

from ultrasam.corpus.agnostic import class_agnostic_view
from ultrasam.errors import UltraSamError
from ultrasam.simulation import FrameOrder, SimulationSettings, contact_sheet, simulate_frame, write_frames

ORDERS = [
    FrameOrder(14, SimulationSettings(scene='breast', size=640, colour=False)),
    FrameOrder(101, SimulationSettings(scene='breast', size=560)),
    FrameOrder(224, SimulationSettings(scene='pelvis', size=1080, colour=False)),
    FrameOrder(323, SimulationSettings(scene='pelvis', size=600, colour=True)),
    FrameOrder(417, SimulationSettings(scene='abdomen', size=720, colour=False)),
    FrameOrder(559, SimulationSettings(scene='neck', size=600)),
    FrameOrder(612, SimulationSettings(scene='nerve', size=540, colour=False)),
    FrameOrder(733, SimulationSettings(scene='heart', size=560)),
    FrameOrder(804, SimulationSettings(scene='fetus', size=720, colour=False)),
    FrameOrder(930, SimulationSettings(scene='phantom', size=480, colour=True)),
]


def main(arguments: list[str] | None = None) -> int:
    """Run the command."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        '--out',
        type=Path,
        default=Path(__file__).resolve().parent,
        help='folder to write into (default: the one of this file)',
    )
    out = parser.parse_args(arguments).out
    out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix='.sample.', suffix='.tmp', dir=out) as scratch:
        try:
            write_frames(Path(scratch) / 'new', ORDERS, compression=9)
        except UltraSamError as error:
            sys.stderr.write(f'{error}\n')
            return 1
        shutil.rmtree(out / 'images', ignore_errors=True)
        for name in ('images', 'annotations.json'):
            (Path(scratch) / 'new' / name).replace(out / name)
    annotations = json.loads((out / 'annotations.json').read_text(encoding='utf-8'))
    agnostic = json.dumps(class_agnostic_view(annotations), separators=(',', ':'))
    (out / 'annotations.agnostic.json').write_text(agnostic, encoding='utf-8')
    frames = [simulate_frame(order.seed, settings=order.settings) for order in ORDERS]
    sheet = contact_sheet(frames, columns=5, tile=320)
    cv2.imwrite(str(out / 'contact_sheet.jpg'), sheet[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 82])
    sys.stdout.write(f'{len(frames)} frames: {out}\n')
    return 0


if __name__ == '__main__':
    sys.exit(main())
