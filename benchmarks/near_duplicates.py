"""Measure the search for near-duplicates: what it finds, what it reports in error, how fast it is, how it grows.

Copies of simulated frames, each changed in one way, are planted in the test part of another data set; every pair that
was not planted is a false alarm. Hard cases are frames of the same scene by the same machine with other speckle, as
of a slow sweep, here given to different patients.

Examples:
  python benchmarks/near_duplicates.py
  python benchmarks/near_duplicates.py --frames 2000 --jobs 8
  python benchmarks/near_duplicates.py --growth 280000
"""

from __future__ import annotations

import argparse
import json
import resource
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any
from unittest import mock

import cv2
import numpy as np

from ultrasam.corpus.near_duplicates.candidates import find_candidates
from ultrasam.corpus.near_duplicates.confirmation import Comparison, agreement
from ultrasam.corpus.near_duplicates.hashes import CHUNK, HASH_BYTES, hash_image
from ultrasam.corpus.near_duplicates.search import find_near_duplicates
from ultrasam.corpus.near_duplicates.views import CROPS
from ultrasam.processes import in_order
from ultrasam.simulation import SimulationSettings, simulate_frame, simulator

Change = Callable[[np.ndarray, np.random.Generator], np.ndarray]


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('--frames', type=int, default=200, help='frames that are copied (default: 200)')
    parser.add_argument('--side', type=int, default=400, help='longer side of a frame (default: 400)')
    parser.add_argument('--jobs', type=int, default=1, help='number of processes (default: 1)')
    parser.add_argument(
        '--growth', type=int, metavar='IMAGES', help='only time the search among so many hashes'
    )
    args = parser.parse_args()
    if args.growth:
        print_growth(args.growth)
        return
    with tempfile.TemporaryDirectory() as folder:
        work = partial(write_frames, Path(folder), args.side)
        images = [
            record
            for records in in_order(work, range(args.frames), jobs=args.jobs, together=CHUNK)
            for record in records
        ]
        write_lists(Path(folder), images)
        print_findings(Path(folder), images, args)
        print_sweeps(Path(folder), args.frames, args.jobs)
        print_costs(Path(folder), args.frames)


def encoded(quality: int) -> Change:
    """As JPEG."""
    return lambda frame, _: cv2.imdecode(
        cv2.imencode('.jpg', frame, [cv2.IMWRITE_JPEG_QUALITY, quality])[1], cv2.IMREAD_UNCHANGED
    )


def resized(factor: float) -> Change:
    """By linear interpolation, or by area where it shrinks to half or less."""
    method = cv2.INTER_AREA if factor <= 0.5 else cv2.INTER_LINEAR
    return lambda frame, _: cv2.resize(frame, None, fx=factor, fy=factor, interpolation=method)


def cropped(share: float) -> Change:
    """A part of each side is cut off, more at one end or the other."""

    def crop(frame: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        size = [round(side * (1 - share)) for side in frame.shape[:2]]
        top, left = (
            int(rng.integers(whole - part + 1)) for whole, part in zip(frame.shape, size, strict=False)
        )
        return frame[top : top + size[0], left : left + size[1]]

    return crop


def graded(gamma: float, gain: float, offset: float) -> Change:
    """Other gray values."""
    return lambda frame, _: np.clip(255 * (frame / 255) ** gamma * gain + offset, 0, 255).astype(np.uint8)


def measured(frame: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Two pairs of calipers with dotted lines, and a line of text in the image."""
    drawn = np.ascontiguousarray(np.repeat(frame[..., None], 3, axis=2))
    height, width = frame.shape
    for _ in range(2):
        ends = rng.uniform(0.2, 0.8, (2, 2)) * (width, height)
        for x, y in ends.astype(int).tolist():
            cv2.drawMarker(drawn, (x, y), (60, 220, 235), cv2.MARKER_CROSS, max(9, width // 30), 2)
        for share in np.linspace(0, 1, 25):
            x, y = (ends[0] * share + ends[1] * (1 - share)).astype(int).tolist()
            cv2.circle(drawn, (x, y), 1, (60, 220, 235), -1)
    cv2.putText(drawn, '1 D 23.4 mm', (8, height - 12), cv2.FONT_HERSHEY_SIMPLEX, width / 700, (215,) * 3, 1)
    return drawn


def all_at_once(frame: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Cropped, resized, brightened, then encoded."""
    return encoded(75)(graded(0.85, 1.1, 5)(resized(0.8)(cropped(0.05)(frame, rng), rng), rng), rng)


CHANGES: dict[str, Change] = {
    'same pixels': lambda frame, _: frame,
    'JPEG 90': encoded(90),
    'JPEG 50': encoded(50),
    'resized to 0.5': resized(0.5),
    'resized to 0.73': resized(0.73),
    'resized to 1.5': resized(1.5),
    'cropped by 2 %': cropped(0.02),
    'cropped by 5 %': cropped(0.05),
    'cropped by 10 %': cropped(0.10),
    'brighter (gamma 0.7, gain 1.2, +10)': graded(0.7, 1.2, 10),
    'darker (gain 0.7, -5)': graded(1, 0.7, -5),
    'RGB of the gray values': lambda frame, _: np.repeat(frame[..., None], 3, axis=2),
    'calipers and text drawn': measured,
    'mirrored': lambda frame, _: frame[:, ::-1],
    'black border added': lambda frame, _: np.pad(frame, ((40, 10), (0, 90))),
    'cropped by 5 %, to 0.8, brighter, JPEG 75': all_at_once,
}


def write_frames(root: Path, side: int, seed: int) -> list[dict[str, Any]]:
    """Write a frame with its copies, and two frames of another scene that differ in their speckle."""
    rng = np.random.default_rng(seed)
    frame = simulate_frame(seed, settings=SimulationSettings(size=side, overlays=False)).image
    pictures = {'own': frame, **{kind: change(frame, rng) for kind, change in CHANGES.items()}}
    sweep = [other_speckle(seed + 1_000_000, side, turn) for turn in range(2)]
    pictures |= {f'sweep {turn}': picture for turn, picture in enumerate(sweep)}
    records = []
    for number, (kind, picture) in enumerate(pictures.items()):
        dataset = 'copies' if kind in CHANGES else 'frames'
        name = f'{seed:06d}_{number:02d}.png'
        path = root / dataset / 'images' / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(cv2.imencode('.png', picture)[1].tobytes())
        records.append(
            {
                'kind': kind,
                'dataset': dataset,
                'seed': seed,
                'file_name': name,
                'height': picture.shape[0],
                'width': picture.shape[1],
            }
        )
    return records


def other_speckle(seed: int, side: int, turn: int) -> np.ndarray:
    """A frame whose scene and machine follow from the seed alone; its speckle and noise from the turn, too."""
    form_image = simulator.form_image

    def form(_: np.random.Generator, *scene: Any) -> Any:
        return form_image(np.random.default_rng([seed, turn]), *scene)

    with mock.patch.object(simulator, 'form_image', form):
        return simulate_frame(seed, settings=SimulationSettings(size=side, overlays=False)).image


def write_lists(root: Path, images: list[dict[str, Any]]) -> None:
    """Write COCO files: frames train, copies are a test part; each frame is of a patient of its own."""
    for dataset, parts in {'frames': ('', 'train'), 'copies': ('', 'test')}.items():
        own = [image for image in images if image['dataset'] == dataset]
        listed = [
            {
                **image,
                'id': number,
                'subject': f'{image["seed"]} {image["kind"] if dataset == "frames" else ""}',
            }
            for number, image in enumerate(own)
        ]
        for part in parts:
            content = {
                'images': listed if part or dataset == 'frames' else [],
                'annotations': [],
                'categories': [{'id': 1, 'name': 'object'}],
            }
            path = (
                root
                / dataset
                / 'annotations'
                / '.'.join([*([part] if part else []), f'{dataset}__coco.json'])
            )
            path.parent.mkdir(exist_ok=True)
            path.write_text(json.dumps(content), encoding='utf-8')


def print_findings(root: Path, images: list[dict[str, Any]], args: argparse.Namespace) -> None:
    """Search, and count what was found of each kind, and what was not planted."""
    by_name = {f'{image["dataset"]}/images/{image["file_name"]}': image for image in images}
    start = time.perf_counter()
    report = find_near_duplicates(root, jobs=args.jobs)
    first = time.perf_counter() - start
    start = time.perf_counter()
    find_near_duplicates(root, jobs=args.jobs)
    second = time.perf_counter() - start
    found: dict[str, list[float]] = {kind: [] for kind in CHANGES}
    wrong: Counter[str] = Counter()
    for pair in report.pairs:
        one, other = (by_name[picture.name] for picture in (pair.first, pair.second))
        if one['seed'] == other['seed'] and {one['kind'], other['kind']} <= {'own', *CHANGES}:
            kind = other['kind'] if one['kind'] == 'own' else one['kind']
            if 'own' in (one['kind'], other['kind']):
                found[kind].append(pair.agreement)
        elif one['seed'] == other['seed']:
            wrong['frames of one scene with other speckle'] += 1
        else:
            wrong['frames of other scenes'] += 1
    say('| copy | found | least agreement |\n|---|---|---|')
    for kind, values in found.items():
        say(f'| {kind} | {len(values)} of {args.frames} | {min(values, default=0):.2f} |')
    scenes = 2 * args.frames
    distinct = (scenes * (scenes - 1) // 2) + args.frames * len(CHANGES) * (scenes - 1)
    say(
        f'\nfalse alarms among {distinct:,} pairs of frames of other scenes: {wrong["frames of other scenes"]}'
    )
    say(
        f'false alarms among {args.frames:,} pairs of frames of one scene with other speckle: '
        f'{wrong["frames of one scene with other speckle"]}'
    )
    say(f'{report.images:,} images, {report.proposed:,} pairs looked at: {first:.1f} s, again {second:.1f} s')


def print_sweeps(root: Path, frames: int, jobs: int) -> None:
    """How far frames of one scene with other speckle agree, though no hash proposes them."""
    last = len(CHANGES) + 1
    paths = [
        [root / f'frames/images/{seed:06d}_{number:02d}.png' for number in (last, last + 1)]
        for seed in range(frames)
    ]
    pairs = [Comparison(*pair, (0, 0)) for pair in paths]
    values = np.array(list(in_order(agreement, pairs, jobs=jobs, together=CHUNK)))
    spread_out = ', '.join(
        f'{share} %: {np.percentile(values, share):.2f}' for share in (50, 90, 95, 99, 100)
    )
    say(f'agreement of frames of one scene with other speckle: {spread_out}')


def print_costs(root: Path, frames: int) -> None:
    """Processor time to hash an image, and to compare a pair."""
    own = [root / f'frames/images/{seed:06d}_00.png' for seed in range(min(frames, 20))]
    copies = [root / f'copies/images/{path.name.replace("_00", "_03")}' for path in own]
    start = time.process_time()
    for path in own:
        hash_image(path)
    hashed = time.process_time()
    for pair in zip(own, copies, strict=True):
        agreement(Comparison(*pair, (0, 0)))
    compared = time.process_time()
    say(
        f'processor time: {(hashed - start) / len(own) * 1e3:.1f} ms to hash an image, '
        f'{(compared - hashed) / len(own) * 1e3:.1f} ms to compare a pair'
    )


def print_growth(largest: int) -> None:
    """Time the search among random hashes, a tenth of which occur twice with some bits changed; videos of 20 frames."""
    say('| images | seconds (of processor) | peak memory | found of planted |\n|---|---|---|---|')
    for images in (largest // 8, largest // 4, largest // 2, largest):
        rng = np.random.default_rng(0)
        # frames of a video differ in 10 % of the bits, crops of a frame in 15 %
        videos = rng.integers(0, 256, (images // 20 + 1, 1, HASH_BYTES), np.uint8)
        values = np.repeat(videos[np.arange(images) // 20], len(CROPS), axis=1)
        groups = np.arange(images) // 20
        flip(values, 0.1, rng, whole=True)
        flip(values, 0.15, rng)
        planted = rng.permutation(images)[: images // 10 * 2].reshape(-1, 2)
        planted = planted[groups[planted[:, 0]] != groups[planted[:, 1]]]
        values[planted[:, 1]] = values[planted[:, 0]]
        copies = values[planted[:, 1]]
        flip(copies, 0.08, rng)
        values[planted[:, 1]] = copies
        start, busy = time.perf_counter(), time.process_time()
        found = find_candidates(values, groups)
        seconds, busy = time.perf_counter() - start, time.process_time() - busy
        pairs = {tuple(pair) for pair in found.pairs.tolist()}
        hits = sum(tuple(sorted(pair)) in pairs for pair in planted.tolist())
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        say(f'| {images:,} | {seconds:.1f} ({busy:.1f}) | {peak:,.0f} MB | {hits:,} of {len(planted):,} |')


def flip(values: np.ndarray, share: float, rng: np.random.Generator, *, whole: bool = False) -> None:
    """Change a share of the bits, in place; the same ones in all crops of an image if ``whole``."""
    for start in range(0, len(values), 4096):
        block = values[start : start + 4096]
        shape = (len(block), 1 if whole else block.shape[1], HASH_BYTES * 8)
        block ^= np.packbits(rng.random(shape, np.float32) < share, axis=2)


def say(text: str) -> None:
    """One line of the report."""
    sys.stdout.write(f'{text}\n')
    sys.stdout.flush()


if __name__ == '__main__':
    main()
