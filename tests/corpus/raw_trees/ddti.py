"""DDTI: an archive inside an archive, three versions of the same images, upper-case suffixes."""

from __future__ import annotations

from pathlib import Path

from tests.corpus.raw_trees.common import Object, Picture, Tree, disc, save, speckle, zip_folder

SHOWS = ('one of three versions of an image is taken', 'other data sets of the archive are left alone')


def build(folder: Path) -> Tree:
    inner = folder / 'unpacked'
    pictures = []
    for seed, number in enumerate(('1', '2', '10')):
        image, mask = speckle(seed), disc(30, 30 + 5 * seed, 10)
        for place, names in (
            ('1_or_data', ('image', 'mask')),
            ('2_preprocessed_data/stage1', ('p_image', 'p_mask')),
            ('2_preprocessed_data/stage2', ('p_image', 'p_mask')),
        ):
            # the other versions differ, so that a mix-up shows
            shift = 0 if place.endswith('stage1') else 3
            save(inner / place / names[0] / f'{number}.PNG', image + shift, format='PNG')
            save(
                inner / place / names[1] / f'{number}.PNG', disc(30, 30 + 5 * seed, 10 + shift), format='PNG'
            )
        source = f'2_preprocessed_data/stage1/p_image/{number}.PNG'
        pictures.append(Picture(source, (Object('thyroid_nodule', mask),), pixels=image))
    outer = folder / 'outer'
    zip_folder(inner, outer / 'Thyroid Dataset' / 'DDTI dataset' / 'DDTI.zip')
    save(outer / 'Thyroid Dataset' / 'tn3k' / 'test-image' / '0000.jpg', speckle(7))
    save(outer / 'Thyroid Dataset' / 'tg3k' / 'thyroid-image' / '0000.jpg', speckle(8))
    source_file = folder / 'source' / 'TN3K.zip'
    zip_folder(outer, source_file)
    left_out = {
        'the same images, not preprocessed': 6,
        'the same images, cropped': 6,
        'another data set of the archive': 2,
    }
    return Tree(source_file.parent, tuple(pictures), left_out)
