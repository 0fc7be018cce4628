"""POCUS: a checkout of the repository; stills and clips, class and patient in the file names."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from tests.corpus.raw_trees.common import Picture, Tree, save, smooth, speckle, write

SIZE = (48, 64)
# name: frames a second, frames, those that are taken
CLIPS = {
    'Reg_northumbria_0910_set1_vid2.mp4': (25, 12, (1, 9)),
    'pneu_northumbria_0910_set2_vid1.avi': (30, 12, (1, 11)),
    'Cov-Atlas-Day+1.gif': (2, 4, (1, 2, 3)),
    'Cov_denault_vid1.avi': (4, 3, (1, 2)),
    'Reg_long.AVI': (3, 34, tuple(range(1, 31))),
    'Cov_short.avi': (25, 1, ()),
}
SUBJECTS = {
    'Reg_northumbria_0910_set1_vid2': 'northumbria_0910',
    'pneu_northumbria_0910_set2_vid1': 'northumbria_0910',
    'Cov-Atlas-Day+1': 'Cov-Atlas-Day',
    'Cov-Atlas-Day+4': 'Cov-Atlas-Day',
    'Cov_denault_vid1': 'Cov_denault',
    'Cov_denault_vid14': 'Cov_denault',
    'Reg_pat1Image_12': 'Reg_pat1',
    'reg_pat1Image_3': 'Reg_pat1',
}


def label_of(name: str) -> str:
    return {'r': 'regular', 'p': 'pneumonia', 'c': 'covid'}[name[0].lower()]


def save_clip(path: Path, frames: Sequence[np.ndarray], rate: float) -> None:
    """Write a clip of a given number of frames a second."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == '.gif':
        first, *rest = [Image.fromarray(frame) for frame in frames]
        first.save(path, save_all=True, append_images=rest, duration=round(1000 / rate), loop=0)
        return
    import cv2

    code = 'mp4v' if path.suffix == '.mp4' else 'MJPG'
    height, width = frames[0].shape
    # OpenCV goes by the ending, which must be in lower case
    plain = path.with_suffix(path.suffix.lower())
    writer = cv2.VideoWriter(str(plain), cv2.VideoWriter.fourcc(*code), rate, (width, height))
    assert writer.isOpened()
    for frame in frames:
        writer.write(np.repeat(frame[..., None], 3, axis=2))
    writer.release()
    plain.rename(path)


def clip_frames(seed: int, count: int) -> list[np.ndarray]:
    """Frames whose brightness tells their number."""
    step = min(20, 200 // count)
    return [np.clip(smooth(seed, SIZE) // 4 + step * k, 0, 255).astype(np.uint8) for k in range(count)]


def build(folder: Path) -> Tree:
    data = folder / 'covid19_ultrasound' / 'data'
    images, clips = data / 'pocus_images/convex', data / 'pocus_videos/convex'
    pictures = []

    def add(name: str, pixels: np.ndarray, frame: int | None = None, tolerance: int = 0) -> None:
        kind = 'images' if frame is None else 'videos'
        stem = name.rsplit('.', 1)[0]
        source = f'pocus_{kind}/convex/{name}'
        subject = SUBJECTS.get(stem, stem)
        pictures.append(Picture(source, (), frame, subject, '', label_of(name), pixels, tolerance))

    for seed, name in enumerate(('Reg_pat1Image_12.png', 'reg_pat1Image_3.PNG', 'Cov_denault_vid14.png')):
        save(images / name, speckle(seed, SIZE))
        add(name, speckle(seed, SIZE))
    colour = np.stack([speckle(10 + k, SIZE) for k in range(4)], axis=2)
    save(images / 'Cov-Atlas-Day+4.png', colour)
    over_black = np.rint(colour[..., :3] * (colour[..., 3:] / 255)).astype(np.uint8)
    add('Cov-Atlas-Day+4.png', over_black, tolerance=1)
    for name in ('Pneu-grep-1.jpeg', 'PNEU-web.JPG'):
        gray = smooth(len(name), SIZE)
        save(images / name, gray, quality=95)
        add(name, gray, tolerance=4)
    # a still and a clip of one stem, and a still that is there under two names
    save(images / 'Cov_denault_vid1.png', speckle(20, SIZE))
    add('Cov_denault_vid1.png', speckle(20, SIZE))
    for name in ('Pneu-copy-a.png', 'Pneu-copy-b.png'):
        save(images / name, speckle(21, SIZE))
        add(name, speckle(21, SIZE))
    for seed, (name, (rate, count, taken)) in enumerate(CLIPS.items()):
        frames = clip_frames(seed, count)
        save_clip(clips / name, frames, rate)
        for number in taken:
            add(name, frames[number], number, tolerance=12 if name.endswith('.mp4') else 4)
    save(images / 'Vir_image.png', speckle(30, SIZE))
    save(data / 'pocus_images/linear/Cov_linear.png', speckle(31, SIZE))
    write(data / 'dataset_metadata.csv', 'Type,Filename\n')
    write(data / 'cross_val.json', '{}')
    left_out = {
        'viral pneumonia, not in the public benchmark': 1,
        'of a linear probe, not in the public benchmark': 1,
        'sources and comments': 1,
        'folds of the authors, which are not used': 1,
        'no frame that is taken': 1,
    }
    return Tree(folder, tuple(pictures), left_out)
