"""RAR archives, written here byte by byte, since no free program writes them."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import numpy as np
import pytest

from tests.corpus.raw_trees.common import save
from tests.corpus.test_sweep import build, check_pictures, convert
from ultrasam.corpus.archive import unpack
from ultrasam.corpus.errors import ArchiveError

pytest.importorskip('rarfile')
REGULAR, LINK = 0o100644, 0o120777


def block(kind: int, flags: int, fields: bytes, data: bytes = b'') -> bytes:
    """A block of RAR version 4, with the sum of its header."""
    header = struct.pack('<BHH', kind, flags, 7 + len(fields)) + fields
    return struct.pack('<H', zlib.crc32(header) & 0xFFFF) + header + data


def stored(name: str, data: bytes, *, mode: int = REGULAR, spoiled: bool = False) -> bytes:
    """A file that is stored, not packed, by a Unix system."""
    text = name.encode('ascii')
    crc = zlib.crc32(data) ^ spoiled
    # sizes, system 3, sum, time, version 2.0, method 'stored'
    fields = struct.pack('<2IB2I2BHI', len(data), len(data), 3, crc, 0x52210000, 20, 0x30, len(text), mode)
    return block(0x74, 0x8000, fields + text, data)


def rar(path: Path, *members: bytes) -> Path:
    """An archive of these members."""
    path.write_bytes(
        b'Rar!\x1a\x07\x00' + block(0x73, 0, bytes(6)) + b''.join(members) + block(0x7B, 0x4000, b'')
    )
    return path


def test_rar_archive_of_a_release(tmp_path: Path) -> None:
    tree = build('busi', tmp_path / 'raw')
    files = sorted(path for path in tree.source.rglob('*') if path.is_file())
    members = [stored(path.relative_to(tree.source).as_posix(), path.read_bytes()) for path in files]
    archive = rar(tmp_path / 'busi.rar', *members)
    report = convert('busi', archive, tmp_path / 'out')
    check_pictures('busi', report.folder, tree.pictures)


@pytest.mark.parametrize(
    ('member', 'match'),
    [
        (stored('../a.txt', b'one'), r'\.\./a\.txt'),
        (stored('/a.txt', b'one'), r'a\.txt'),
        (stored('a.txt', b'/etc/passwd', mode=LINK), 'link'),
        (stored('a.txt', b'one', spoiled=True), r'a\.rar'),
        (stored('a.txt', b'one')[:-1], r'a\.rar'),
    ],
)
def test_rar_archive_that_is_unsafe_or_damaged(member: bytes, match: str, tmp_path: Path) -> None:
    with pytest.raises(ArchiveError, match=match):
        unpack(rar(tmp_path / 'a.rar', member), tmp_path / 'out')
    assert not (tmp_path / 'out').exists()
    assert [path.name for path in tmp_path.iterdir()] == ['a.rar']


def test_rar_archive_that_is_cut_short(tmp_path: Path) -> None:
    save(tmp_path / 'a.png', np.arange(48, dtype=np.uint8).reshape(6, 8))
    whole = rar(
        tmp_path / 'a.rar', *(stored(f'{k}.png', (tmp_path / 'a.png').read_bytes()) for k in range(3))
    )
    whole.write_bytes(whole.read_bytes()[:-60])
    with pytest.raises(ArchiveError, match=r'a\.rar'):
        unpack(whole, tmp_path / 'out')
    assert not (tmp_path / 'out').exists()
