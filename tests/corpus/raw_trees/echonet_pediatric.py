"""EchoNet-Pediatric: AVI videos of two views and of several sizes, outlines in a table a view."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from tests.corpus.raw_trees.common import Object, Picture, Tree, box, save_video, smooth, write

SHOWS = (
    'frame numbers count from 1, so that the last frame of a video can be traced',
    'a phase that is not traced is text in the column of frame numbers',
    'the rows of an outline are its points in their order; none is a long axis',
    'both views and all videos of a child share a subject',
    'frames have sizes of their own, and the tables of the views are not mixed up',
)
FRAMES = 6
VIDEOS = {
    ('A4C', 'CR32a7555-CR32a7582-000039'): ((112, 112), (1, 4)),
    ('A4C', 'CR32a9f2a-CR32a9f47-000051'): ((96, 128), (6,)),
    ('PSAX', 'CR32a7555-CR32a7582-000041'): ((112, 112), (2, 3)),
    ('PSAX', 'CR32ab001-CR32ab013-000007'): ((112, 112), ()),
}


def build(folder: Path) -> Tree:
    root = folder / 'pediatric_echo_avi' / 'pediatric_echo_avi'
    tracings = {view: ['FileName,X,Y,Frame'] for view in ('A4C', 'PSAX')}
    listing = {view: ['FileName,EF,Sex,Age,Weight,Height,Split'] for view in ('A4C', 'PSAX')}
    pictures = []
    for seed, ((view, video), (size, traced)) in enumerate(VIDEOS.items()):
        # the brightness tells the frame
        frames = [np.clip(smooth(seed, size) // 3 + 18 * k, 0, 255).astype(np.uint8) for k in range(FRAMES)]
        save_video(root / view / 'Videos' / f'{video}.avi', frames)
        listing[view].append(f'{video}.avi,62.5,F,7,22.1,120.5,{seed}')
        for number in traced:
            top, left, bottom, right = 20 + 3 * number, 30, 60 + seed, 70 + number
            corners = ((left, top), (right, top), (right, bottom), (left, bottom))
            tracings[view] += [f'{video}.avi,{x}.2,{y}.3,{number}' for x, y in corners]
            pictures.append(
                Picture(
                    f'{view}/Videos/{video}.avi',
                    (Object('left_ventricle', box(top, left, bottom, right, size)),),
                    number - 1,
                    video.split('-')[0],
                    pixels=frames[number - 1],
                    tolerance=8,
                )
            )
        if len(traced) < 2:
            tracings[view].append(f'{video}.avi,0.0,0.0,{"No Systolic" if traced else "No Diastolic"}')
    for view in ('A4C', 'PSAX'):
        write(root / view / 'VolumeTracings.csv', '\n'.join(tracings[view]) + '\n')
        write(root / view / 'FileList.csv', '\n'.join(listing[view]) + '\n')
    left_out = {
        'ejection fraction, sex, age, size and fold of each video': 2,
        'no frame that is annotated': 1,
    }
    return Tree(folder, tuple(pictures), left_out)
