"""S1: training and test folders whose numbers both start from 0, labels with and without classes."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from tests.corpus.raw_trees.common import Object, Picture, Tree, disc, save, smooth

SHOWS = (
    'numbers that start again in the test part are other images',
    'images of the other test folder do not take the place of those for labels with classes',
    'labels without classes are not used',
    'the test part stays out of the main file',
    'gray values 1 and 2 are no classes, and gray 127 is benign, 255 malignant',
)
# part, number: gray values of lesions
IMAGES = {
    ('Training', 0): (127,),
    ('Training', 1): (255,),
    ('Training', 10): (127, 255),
    ('Testing', 0): (255,),
    ('Testing', 1): (127,),
}
NAMES = {127: 'benign_tumour', 255: 'malignant_tumour'}


def build(folder: Path) -> Tree:
    data = folder / 'Data'
    pictures = []
    for seed, ((part, n), values) in enumerate(IMAGES.items()):
        root, test = data / f'{part}DataSet', 'Test-' if part == 'Testing' else ''
        expanded = 'Test-Expanded-' if test else ''
        image = smooth(seed)
        save(root / f'{expanded}BreastTumourImages' / f'{n}.jpg', image, quality=95)
        lesions = [disc(30, 22 + 30 * k, 8 + seed) for k in range(len(values))]
        labels = np.zeros((64, 80), np.uint8)
        for value, lesion in zip(values, lesions, strict=True):
            labels[lesion] = value
        # slips of a resampled label
        labels[60, 2:5] = (1, 2, 1)
        save(root / f'{test}Expanded-3-channel-Labels' / f'{n}.png', np.dstack([labels] * 3))
        save(root / f'{test}General-1-channel-Labels' / f'{n}.png', labels > 100)
        if test:
            save(root / 'Test-General-1-BreastTumourImages' / f'{n}.jpg', smooth(seed + 5))
        pictures.append(
            Picture(
                f'{part}DataSet/{expanded}BreastTumourImages/{n}.jpg',
                tuple(Object(NAMES[value], lesion) for value, lesion in zip(values, lesions, strict=True)),
                part='test' if test else 'train',
                pixels=image,
                tolerance=6,
            )
        )
    save(data / 'Results' / 'Test-Expanded' / '0.png', disc(30, 30, 9))
    left_out = {
        'the same labels without classes': 5,
        'test images for the labels without classes': 2,
        'masks that models predicted': 1,
    }
    return Tree(folder, tuple(pictures), left_out)
