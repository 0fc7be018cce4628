"""AbdomenUS: an archive with simulated and real scans under the same names, coloured masks of three encodings."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from tests.corpus.raw_trees.common import Object, Picture, Tree, box, disc, save, smooth, speckle, zip_folder

SHOWS = (
    'colours are read as red, green, blue: kidney and adrenals, pancreas and vessels are not exchanged',
    'a name that comes back in another source or part is another image',
    'simulated images are left out by their folder, not by letters in a name',
    'images without annotation are left out and counted',
    'masks with a constant alpha channel, of one channel, or with rounded colours are read',
    'the background tissue colour is no organ, and specks between colours no instances',
    'annotated real scans are the official test part',
)
COLOURS = {
    'liver': (100, 0, 100),
    'kidney': (255, 255, 0),
    'pancreas': (0, 0, 255),
    'vessels': (255, 0, 0),
    'adrenals': (0, 255, 255),
    'gallbladder': (0, 255, 0),
    'bones': (255, 255, 255),
    'spleen': (255, 0, 255),
}
ORGANS = {
    'liver': disc(12, 14, 9),
    'kidney': disc(12, 38, 8),
    'pancreas': box(6, 56, 16, 74),
    'vessels': box(26, 4, 34, 16),
    'adrenals': box(26, 24, 33, 33),
    'gallbladder': disc(32, 48, 7),
    'bones': box(26, 62, 34, 74),
    'spleen': disc(52, 40, 8),
}


def drawn(names: list[str], shift: int = 0) -> np.ndarray:
    """A mask of these organs, every colour off by ``shift`` towards the middle, (H, W, 3)."""
    labels = np.zeros((64, 80, 3), np.uint8)
    labels[4:60, 2:78] = 10
    for name in names:
        labels[ORGANS[name]] = np.abs(np.array(COLOURS[name]) - shift)
    return labels


def build(folder: Path) -> Tree:
    root = folder / 'unpacked' / 'abdominal_US' / 'abdominal_US'
    everything = list(ORGANS)
    masks = {
        '1.png': drawn(everything),
        '2.jpg': np.dstack([drawn(everything[:4], shift=4), np.full((64, 80), 255, np.uint8)]),
        '3-AUS.png': ORGANS['bones'],
        '10.png': drawn(['spleen']),
    }
    # what lies between two colours looks like a third: a corner of spleen and background like liver
    masks['10.png'][44, 33:36] = COLOURS['liver']
    found = {'1.png': everything, '2.jpg': everything[:4], '3-AUS.png': ['bones'], '10.png': ['spleen']}
    pictures = []
    for seed, (name, mask) in enumerate(masks.items()):
        image = smooth(seed) if name.endswith('jpg') else speckle(seed)
        options = {'quality': 95} if name.endswith('jpg') else {}
        save(root / 'RUS' / 'images' / 'test' / name, image, **options)
        save(root / 'RUS' / 'annotations' / 'test' / f'{name[:-4]}.png', mask)
        objects = tuple(Object(organ, ORGANS[organ]) for organ in found[name])
        pictures.append(
            Picture(
                f'RUS/images/test/{name}',
                objects,
                part='test',
                pixels=image,
                tolerance=6 if name.endswith('jpg') else 0,
            )
        )
    for name in ('1.png', '20.png'):
        save(root / 'RUS' / 'images' / 'train' / name, speckle(20))
    for part in ('train', 'test'):
        save(root / 'AUS' / 'images' / part / '1.png', speckle(30))
        save(root / 'AUS' / 'annotations' / part / '1.png', drawn(['kidney']))
    source = folder / 'source' / 'archive.zip'
    zip_folder(folder / 'unpacked', source)
    left_out = {'simulated from CT, not ultrasound': 4, 'no annotation file': 2}
    return Tree(source, tuple(pictures), left_out)
