"""Fast-U-Net: rar archives of a repository, abdomens and heads, masks of heads with a longer name."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import pytest

from tests.corpus.raw_trees.common import Object, Picture, Tree, box, disc, save, speckle, write

SHOWS = (
    'images in several archives are one set, and their masks in another archive',
    'masks of heads have a suffix; exam 010 and its repeat are two images of one subject',
    'leftovers beside the largest component are dropped, thin structures are not',
    'letters of a folder above do not make masks of images',
    'abdomens and heads of the same number stay apart',
)
ABDOMENS = {'000': ('AC_image1', disc(30, 30, 14)), 'a_12': ('AC_image2', box(30, 10, 36, 60))}
HEADS = {
    '000_HC': ('HC_image1', disc(30, 40, 20)),
    '010_HC': ('HC_image2', disc(34, 34, 16)),
    '010_2HC': ('HC_image3', disc(28, 36, 18)),
}


def rar_folder(folder: Path, target: Path) -> None:
    """Pack the files of a folder into a rar archive (format 2.9) without compression."""

    def block(kind: int, flags: int, fields: bytes) -> bytes:
        head = struct.pack('<BHH', kind, flags, len(fields) + 7) + fields
        return struct.pack('<H', zlib.crc32(head) & 0xFFFF) + head

    parts = [b'Rar!\x1a\x07\x00', block(0x73, 0, bytes(6))]
    for path in sorted(folder.rglob('*')):
        if path.is_file():
            data, name = path.read_bytes(), path.relative_to(folder).as_posix().encode('ascii')
            # sizes, Unix, checksum, 2020-01-01, version 2.0, stored, a regular file
            fields = struct.pack(
                '<IIBIIBBHI',
                len(data),
                len(data),
                3,
                zlib.crc32(data),
                0x50210000,
                20,
                0x30,
                len(name),
                0o100644,
            )
            parts.append(block(0x74, 0x8000, fields + name) + data)
    parts.append(block(0x7B, 0x4000, b''))
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(b''.join(parts))


def build(folder: Path) -> Tree:
    pytest.importorskip('rarfile')
    packed, dataset = folder / 'packed', folder / 'mask_download' / 'Fast-U-Net' / 'Dataset'
    pictures = []
    for seed, (name, (archive, structure)) in enumerate([*ABDOMENS.items(), *HEADS.items()]):
        plane = archive[:2]
        mask, image = structure.copy(), speckle(seed)
        mask[2:5, 2:5] = True
        # heads lie in a folder inside their archive, abdomens do not
        below = archive if plane == 'HC' else ''
        save(packed / archive / below / f'{name}.png', image)
        suffix = '_Annotation' if plane == 'HC' else ''
        save(packed / f'{plane}_mask' / f'{name}{suffix}.png', mask)
        exam = name.split('_')[0] if plane == 'HC' else name
        pictures.append(
            Picture(
                f'{archive}/{name}.png',
                (Object('AC_HC', structure),),
                subject=f'{plane}_{exam}',
                label=plane,
                pixels=image,
            )
        )
    for archive in sorted(packed.iterdir()):
        rar_folder(archive, dataset / archive.name[:2] / f'{archive.name}.rar')
    for home in (dataset, dataset / 'AC'):
        write(home / 'train.txt', '000\n')
        write(home / 'val.txt', 'a_12\n')
    write(folder / 'mask_download' / 'Fast-U-Net' / 'README.md', 'merge the images into one folder\n')
    left_out = {
        'lists of images for training and validation, whose form is not known': 4,
        'documentation': 1,
    }
    return Tree(folder / 'mask_download', tuple(pictures), left_out)
