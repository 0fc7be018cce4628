"""EchoNet-Dynamic: AVI videos, chords of two frames a video in a table, the official split in another."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from tests.corpus.raw_trees.common import Object, Picture, Tree, box, save_video, smooth, write

SHOWS = (
    'frame numbers count from 0',
    'the first row of a frame is the long axis, not a chord',
    'the official split is followed, and a video without tracings gives no images',
    'a video that only the table names is counted',
)
SIZE = (112, 112)
VIDEOS = {'0X1A': ('TRAIN', (1, 6)), '0X1B': ('VAL', (0, 3)), '0X2C': ('TEST', (2, 7)), '0X3D': ('TRAIN', ())}


def build(folder: Path) -> Tree:
    root = folder / 'EchoNet-Dynamic'
    pictures = []
    tracings = [
        'FileName,X1,Y1,X2,Y2,Frame',
        '0XGONE.avi,1,1,9,9,0',
        '0XGONE.avi,1,2,9,2,0',
        '0XGONE.avi,1,5,9,5,0',
    ]
    listing = ['FileName,EF,ESV,EDV,FrameHeight,FrameWidth,FPS,NumberOfFrames,Split']
    for seed, (video, (part, traced)) in enumerate(VIDEOS.items()):
        # the brightness tells the frame
        frames = [np.clip(smooth(seed, SIZE) // 3 + 18 * k, 0, 255).astype(np.uint8) for k in range(8)]
        save_video(root / 'Videos' / f'{video}.avi', frames)
        listing.append(f'{video},60.0,40.0,100.0,{SIZE[0]},{SIZE[1]},50,8,{part}')
        for frame in traced:
            top, left, bottom, right = 30 + frame, 40, 70, 60 + frame
            tracings.append(f'{video}.avi,{left}.2,5.0,100.0,105.0,{frame}')
            tracings += [
                f'{video}.avi,{left}.2,{y}.0,{right}.3,{y}.0,{frame}' for y in range(top, bottom + 1, 4)
            ]
            tracings.append(f'{video}.avi,{left}.2,{bottom}.0,{right}.3,{bottom}.0,{frame}')
            mask = box(top, left, bottom, right, SIZE)
            pictures.append(
                Picture(
                    f'Videos/{video}.avi',
                    (Object('left_ventricle', mask),),
                    frame,
                    video,
                    part.lower(),
                    pixels=frames[frame],
                    tolerance=8,
                )
            )
    write(root / 'VolumeTracings.csv', '\n'.join(tracings) + '\n')
    write(root / 'FileList.csv', '\n'.join(listing) + '\n')
    left_out = {'rows of VolumeTracings.csv without an image': 1, 'no frame that is annotated': 1}
    return Tree(folder, tuple(pictures), left_out)
