"""Brachial plexus: MP4 videos of three machines, JPEG masks a frame, needle masks with gaps in their numbers."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from tests.corpus.raw_trees.common import Object, Picture, Tree, box, disc, save, save_video, smooth, write

SHOWS = (
    'needle masks go to the frames that their numbers say, not to frames in their order',
    'frames with an empty nerve mask are kept, frames without mask left out',
    'JPEG masks are cut at gray 100',
    'masks outside the folders of masks are no masks of another video that begins alike',
    'a video without masks is left out and counted',
)
SIZE = (64, 96)
FRAMES = 6
# machine, video: frames with a nerve mask, frames whose nerve mask is empty, frames with a needle mask
VIDEOS = {
    ('Butterfly', 'b240'): (range(5), (1,), ()),
    ('Sonosite', 's071'): (range(6), (), (1, 2, 5)),
    ('eSaote', '1032'): (range(6), (0,), ()),
}


def brightness(seed: int, frame: int) -> np.ndarray:
    """A frame whose brightness tells its number."""
    return np.clip(smooth(seed, SIZE) // 3 + 24 * frame, 0, 255).astype(np.uint8)


def build(folder: Path) -> Tree:
    data = folder / 'brachial_plexus' / 'data'
    pictures = []
    for seed, ((machine, video), (traced, empty, needles)) in enumerate(VIDEOS.items()):
        frames = [brightness(seed, k) for k in range(FRAMES)]
        save_video(data / machine / 'videos' / f'{video}.mp4', frames, code='mp4v')
        write(data / machine / 'bb_annotations' / f'{video}.txt', '0 10 10 30 30\n')
        for k in traced:
            nerve = disc(24, 20 + 4 * k, 10, SIZE) if k not in empty else np.zeros(SIZE, bool)
            needle = box(44, 10 + 5 * k, 49, 40 + 5 * k, SIZE)
            name = f'{video}_{k:03d}.jpg'
            save(data / machine / 'ac_masks' / video / name, nerve, quality=90)
            objects = [] if k in empty else [Object('nerve_plexus', nerve)]
            if k in needles:
                home = data / machine / 'needle'
                save(home / 'needle_masks' / video / name, needle, quality=90)
                write(home / 'needle_coordinates' / video / f'{video}_{k:03d}.txt', '10 44 40 49\n')
                objects.append(Object('needle', needle))
            pictures.append(
                Picture(
                    f'{machine}/videos/{video}.mp4',
                    tuple(objects),
                    k,
                    video,
                    pixels=frames[k],
                    tolerance=16,
                )
            )
    save_video(data / 'eSaote' / 'videos' / 'P_030_01.mp4', [brightness(7, 0)] * 2, code='mp4v')
    for k in range(2):
        save(data / 'eSaote' / 'P_021_09_masks' / f'P_021_09_{k:03d}.jpg', disc(20, 20, 8, SIZE))
    write(folder / 'brachial_plexus' / 'README.md', 'terms\n')
    write(folder / 'brachial_plexus' / '.git' / 'HEAD', 'ref: refs/heads/main\n')
    left_out = {
        'masks outside the folders of masks, whose video is not known': 2,
        'boxes, the coarse form of the masks': 3,
        'ends of needles': 3,
        'documentation': 1,
        'history of the repository': 1,
        'no annotation file': 1,
    }
    return Tree(folder, tuple(pictures), left_out)
