"""Butterfly: three gzipped tar archives, folders of part, patient and view."""

from __future__ import annotations

import tarfile
from pathlib import Path

from tests.corpus.raw_trees.common import Picture, Tree, save, speckle

# archive: top folder of its patients, each with its views
ARCHIVES = {
    'butterfly_dataset_training1.tar.gz': (
        'training',
        {1: ('carotid', '2ch'), 2: ('lungs', 'morisons_pouch')},
    ),
    'butterfly_dataset_training2.tar.gz': ('training', {11: ('ivc',), 24: ('4ch', 'carotid')}),
    'butterfly_dataset_test.tar.gz': ('test', {26: ('carotid', 'plax'), 31: ('thyroid', 'bladder')}),
}
VAL = (1, 24)


def build(folder: Path) -> Tree:
    pictures = []
    seed = 0
    for archive, (top, patients) in ARCHIVES.items():
        home = folder / 'unpacked' / archive
        for patient, views in patients.items():
            for view in views:
                for number in range(2):
                    seed += 1
                    name = f'{top}/{patient}/{view}/img{number:03d}.png'
                    image = speckle(seed, (40, 36))
                    save(home / 'butterfly_dataset' / name, image)
                    part = 'test' if top == 'test' else 'val' if patient in VAL else 'train'
                    pictures.append(Picture(name, (), None, str(patient), part, view, image))
        (folder / 'source').mkdir(exist_ok=True)
        with tarfile.open(folder / 'source' / archive, 'w:gz') as packed:
            packed.add(home / 'butterfly_dataset', 'butterfly_dataset')
    return Tree(folder / 'source', tuple(pictures))
