"""Time the tools on a whole corpus at four sizes: time and peak memory of a build, of the merge alone, and of verify.

The corpus is synthetic: 43 data sets of unequal size, subjects of about 20 images, masks with the run lengths of
irregular blobs. Each command runs in a process of its own.

Examples:
  python benchmarks/corpus_tools.py
  python benchmarks/corpus_tools.py --full
"""

from __future__ import annotations

import argparse
import hashlib
import json
import subprocess
import sys
import tempfile
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from pycocotools import mask as coco_mask
from scipy import ndimage

TOOLS = Path(__file__).resolve().parents[1] / 'datasets/tools'
DATASETS = 43
LARGEST = 28_000
MASKS_PER_IMAGE = 25 / 7
SIZES_HW = ((480, 640), (600, 800), (768, 1024))
SHAPES = 40
# A process starts with the peak memory of the one that started it, so commands are started by a small one.
LAUNCHER = """
import os, sys, time
start = time.perf_counter()
child = os.fork()
if not child:
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    os.execv(sys.argv[1], sys.argv[1:])
_, status, usage = os.wait4(child, 0)
print(time.perf_counter() - start, usage.ru_utime + usage.ru_stime, usage.ru_maxrss)
sys.exit(os.waitstatus_to_exitcode(status) != 0)
"""


def main() -> None:
    """Print a table with a row for each size."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('--full', action='store_true', help='up to 280,000 images and 1,000,000 masks')
    parser.add_argument('--work', type=Path, help='folder for the corpus (default: a temporary one)')
    args = parser.parse_args()
    largest = LARGEST * (10 if args.full else 1)
    pool = blobs()
    sys.stdout.write(
        'wall time (processor time), peak memory of each command\n\n'
        '| images | masks | build_corpus.py | merge_agnostic_coco.py | verify.py |\n|---|---|---|---|---|\n'
    )
    for images in (largest // 8, largest // 4, largest // 2, largest):
        with tempfile.TemporaryDirectory(dir=args.work) as folder:
            masks = write_corpus(Path(folder), images, pool)
            merge = [folder, f'{folder}/train.agnostic.noSmall.coco.json', '--mode', 'train']
            cells = [
                measured('build_corpus.py', [folder]),
                measured('merge_agnostic_coco.py', merge),
                measured('verify.py', [folder]),
            ]
        sys.stdout.write(f'| {images:,} | {masks:,} | {" | ".join(cells)} |\n')
        sys.stdout.flush()


def measured(name: str, arguments: list[str]) -> str:
    """Run a command, and state its time and its peak memory."""
    command = [sys.executable, '-I', '-S', '-c', LAUNCHER, sys.executable, str(TOOLS / name), *arguments]
    result = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)  # noqa: S603 - our own
    if result.returncode:
        raise SystemExit(f'{name} ended with {result.returncode}')
    wall, processor, kilobytes = map(float, result.stdout.split())
    return f'{wall:.1f} s ({processor:.1f} s), {kilobytes / 1024:.0f} MB'


@dataclass(frozen=True)
class Blob:
    """An irregular mask at the top left of an image, which can be moved without encoding it again.

    Args:
        size_hw: of the image.
        area: in pixels.
        box_xywh: of the mask.
        runs: run lengths, as COCO counts them.
        middle: code of all runs but the first and the last.
    """

    size_hw: tuple[int, int]
    area: int
    box_xywh: tuple[float, ...]
    runs: tuple[int, ...]
    middle: str

    def moved(self, rng: np.random.Generator) -> dict[str, Any]:
        """The fields of an annotation, the mask somewhere in the image."""
        height, width = self.size_hw
        x, y, box_width, box_height = self.box_xywh
        right, down = int(rng.integers(width - x - box_width)), int(rng.integers(height - y - box_height))
        shift = right * height + down
        counts = packed(self.runs[0] + shift) + self.middle + packed(self.runs[-1] - shift - self.runs[-3])
        return {
            'iscrowd': 0,
            'area': self.area,
            'bbox': [x + right, y + down, box_width, box_height],
            'segmentation': {'size': [height, width], 'counts': counts},
        }


def packed(number: int) -> str:
    """A signed number in groups of five bits, as in COCO run lengths."""
    letters = ''
    while True:
        bits, number = number & 0x1F, number >> 5
        is_last = number == (-1 if bits & 0x10 else 0)
        letters += chr(48 + bits + (0 if is_last else 0x20))
        if is_last:
            return letters


def blobs() -> dict[tuple[int, int], list[Blob]]:
    """Irregular masks for each image size."""
    rng = np.random.default_rng(0)
    pool: dict[tuple[int, int], list[Blob]] = {}
    for height, width in SIZES_HW:
        while len(pool.setdefault((height, width), [])) < SHAPES:
            noise = ndimage.gaussian_filter(rng.standard_normal((height, width)), 6)
            radius = np.exp(rng.uniform(np.log(12), np.log(height / 8)))
            rows, columns = np.ogrid[:height, :width]
            distance = np.hypot(rows - 2 * radius - 2, columns - 2 * radius - 2) / radius
            mask = (distance + 12 * noise < 1) & (distance < 2)
            rle = coco_mask.encode(np.asfortranarray(mask, dtype=np.uint8))
            edges = np.flatnonzero(np.diff(mask.T.ravel(), prepend=False))
            runs = np.diff(edges, prepend=0, append=mask.size).tolist()
            if len(runs) < 5:
                continue
            text = rle['counts'].decode()
            middle = text[len(packed(runs[0])) : len(text) - len(packed(runs[-1] - runs[-3]))]
            box = tuple(float(value) for value in coco_mask.toBbox(rle))
            pool[height, width].append(Blob((height, width), int(mask.sum()), box, tuple(runs), middle))
    return pool


def write_corpus(root: Path, images: int, pool: dict[tuple[int, int], list[Blob]]) -> int:
    """Write data sets of unequal size; gives the number of masks."""
    rng = np.random.default_rng(1)
    weights = 1 / np.arange(1, DATASETS + 1)
    counts = np.maximum((images * weights / weights.sum()).astype(int), 2)
    counts[0] += images - counts.sum()
    return sum(
        write_dataset(root / f'set{number:02d}', count, pool, rng) for number, count in enumerate(counts)
    )


def write_dataset(
    folder: Path, count: int, pool: dict[tuple[int, int], list[Blob]], rng: np.random.Generator
) -> int:
    """Write one data set; gives the number of its masks."""
    (folder / 'images').mkdir(parents=True)
    (folder / 'annotations').mkdir()
    records, annotations, files = [], [], {}
    for number in range(count):
        size = SIZES_HW[rng.integers(len(SIZES_HW))]
        name = f'{folder.name}__{number:05d}.png'
        data = black_png(size, name)
        (folder / 'images' / name).write_bytes(data)
        files[f'images/{name}'] = hashlib.sha256(data).hexdigest()
        records.append(
            {
                'id': number,
                'file_name': name,
                'height': size[0],
                'width': size[1],
                'subject': f'patient{number // 20}',
                'source_file': f'scans/patient{number // 20}/{number}.png',
            }
        )
        for _ in range(rng.poisson(MASKS_PER_IMAGE)):
            annotations.append(
                {
                    'id': len(annotations) + 1,
                    'image_id': number,
                    'category_id': 1,
                    **pool[size][rng.integers(SHAPES)].moved(rng),
                }
            )
    content = {
        'info': {},
        'categories': [{'id': 1, 'name': 'lesion', 'supercategory': 'lesion'}],
        'images': records,
        'annotations': annotations,
    }
    (folder / 'annotations' / f'{folder.name}__coco.json').write_text(json.dumps(content))
    (folder / 'manifest.json').write_text(json.dumps({'subject_known': True, 'files': files}))
    return len(annotations)


def black_png(size_hw: tuple[int, int], comment: str) -> bytes:
    """A black picture of one bit a pixel, whose bytes differ by the comment."""
    height, width = size_hw
    header = width.to_bytes(4, 'big') + height.to_bytes(4, 'big') + bytes((1, 0, 0, 0, 0))
    rows = zlib.compress(bytes((1 + width // 8) * height))
    chunks = ((b'IHDR', header), (b'tEXt', b'Comment\0' + comment.encode()), (b'IDAT', rows), (b'IEND', b''))
    return b'\x89PNG\r\n\x1a\n' + b''.join(
        len(data).to_bytes(4, 'big') + kind + data + zlib.crc32(kind + data).to_bytes(4, 'big')
        for kind, data in chunks
    )


if __name__ == '__main__':
    main()
