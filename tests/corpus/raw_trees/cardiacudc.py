"""CardiacUDC: an archive with a name that hides it, NIfTI videos of sites whose patient numbers restart."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from scipy import ndimage

from tests.corpus.raw_trees.common import Object, Picture, Tree, disc, save_volume, speckle, zip_folder

SHOWS = (
    'numbers of patients that restart in each site are other patients',
    'a contour of the epicardium that is filled does not swallow the ventricle inside it',
    'a hole in a label of a site is not filled with it',
    'frames with slips of a few pixels only are left out and counted',
    'a site without labels does not stop the conversion',
    'frames are turned by half a turn',
)
SIZE = (72, 80)
VIDEOS = (
    ('Site_G_20', 'patient-1-4'),
    ('Site_R_52', 'patient-1-4'),
    ('label_all_frame', 'normal-1-4'),
    ('label_all_frame', 'patient-1-4'),
)


def rim(mask: np.ndarray) -> np.ndarray:
    """The outermost pixels of a mask, closed for neighbours at corners, too."""
    return mask & ~ndimage.binary_erosion(mask, np.ones((3, 3)))


def frame(site: str, k: int) -> tuple[np.ndarray, list[Object]]:
    """Labels as stored, and the objects that they are."""
    ventricle, wall = disc(26, 26, 9, SIZE), disc(26, 26, 15, SIZE)
    atrium, right, odd = disc(56, 26, 9, SIZE), disc(30, 60, 10 + k, SIZE), disc(62, 62, 5, SIZE)
    objects = [
        Object('left_ventricle', ventricle),
        Object('left_atrium', atrium),
        Object('right_ventricle', right),
        Object('epicardium', wall & ~ventricle),
        Object('left_ventricle2', odd),
    ]
    labels = np.zeros(SIZE, np.uint8)
    contours = site == 'label_all_frame'
    for value, mask in ((5, wall), (1, ventricle), (2, atrium), (4, right), (6, odd)):
        labels[rim(mask) if contours else mask] = value
    if not contours:
        # not everything of the cavity is marked: no part of the wall around it
        gap = disc(26, 26, 3, SIZE)
        labels[gap] = 0
        objects[0] = Object('left_ventricle', ventricle & ~gap)
    return labels, objects


def build(folder: Path) -> Tree:
    home = folder / 'inner' / 'cardiacUDC_dataset'
    pictures = []
    for seed, (site, video) in enumerate(VIDEOS):
        images = np.stack([speckle(10 * seed + k, SIZE) for k in range(4)])
        labels = np.zeros_like(images)
        for k in (0, 2):
            labels[k], objects = frame(site, k)
            turned = tuple(Object(one.category, one.mask[::-1, ::-1]) for one in objects)
            source = f'{site}/{video}_image.nii.gz'
            subject = f'{site}/{video.rsplit("-", 1)[0]}'
            pictures.append(Picture(source, turned, k, subject, pixels=images[k][::-1, ::-1]))
        # a slip in a frame without labels
        labels[1, 5, 7] = 3
        save_volume(home / site / f'{video}_image.nii.gz', images)
        save_volume(home / site / f'{video}_label.nii.gz', labels)
    save_volume(home / 'Site_R_73' / 'patient-1-4_image.nii.gz', np.stack([speckle(80, SIZE)]))
    zip_folder(folder / 'inner', folder / 'outer' / 'cardiacUDC_dataset.change2zip')
    zip_folder(folder / 'outer', folder / 'source' / 'archive.zip')
    left_out = {
        'a site without labels': 1,
        'no objects': 4,
        'less than 2.5% of the frame is marked': 4,
    }
    return Tree(folder / 'source', tuple(pictures), left_out)
