"""Archives that ask for more than unpacking files into a folder."""

from __future__ import annotations

import io
import stat
import tarfile
import zipfile
from pathlib import Path

import pytest

from ultrasam.corpus.archive import Limits, unpack
from ultrasam.corpus.errors import ArchiveError, EnvironmentFault
from ultrasam.corpus.tree import open_tree
from ultrasam.errors import InputError


def make_tar(path: Path, *members: tarfile.TarInfo) -> Path:
    with tarfile.open(path, 'w:gz') as archive:
        for member in members:
            member.size = 4 if member.isreg() else 0
            archive.addfile(member, io.BytesIO(b'evil') if member.isreg() else None)
    return path


def member(name: str, kind: bytes = tarfile.REGTYPE, link: str = '') -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, link
    return info


def make_zip(path: Path, *names: str, mode: int = 0) -> Path:
    with zipfile.ZipFile(path, 'w') as archive:
        for name in names:
            info = zipfile.ZipInfo('placeholder')
            # ZipInfo would mend the name
            info.filename = name
            info.external_attr = mode << 16
            archive.writestr(info, b'evil')
    return path


def tree_of(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob('*')}


def refused(archive: Path, match: str) -> None:
    around = archive.parent
    before = tree_of(around)
    with pytest.raises(ArchiveError, match=match) as caught:
        unpack(archive, around / 'inside' / 'out')
    assert str(archive) in str(caught.value)
    assert tree_of(around) - before <= {'inside'}, 'something was left behind'


@pytest.mark.parametrize(
    ('members', 'match'),
    [
        ([member('../escaped')], 'outside the folder'),
        ([member('/tmp/escaped')], 'outside the folder'),  # noqa: S108
        ([member('a', tarfile.SYMTYPE, '/tmp'), member('a/escaped')], 'link or a device'),  # noqa: S108
        ([member('a', tarfile.LNKTYPE, '../../secret')], 'link or a device'),
        ([member('pipe', tarfile.FIFOTYPE)], 'link or a device'),
        ([member('disk', tarfile.BLKTYPE)], 'link or a device'),
        ([member('a/../../b', tarfile.DIRTYPE)], 'outside the folder'),
        ([member('fine'), member('a\nb')], 'control characters'),
        ([member('x' * 300)], 'too long'),
    ],
)
def test_tar_that_is_refused(tmp_path: Path, members: list[tarfile.TarInfo], match: str) -> None:
    refused(make_tar(tmp_path / 'a.tar.gz', *members), match)


@pytest.mark.parametrize(
    ('names', 'match'),
    [
        (['../escaped'], 'outside the folder'),
        (['/escaped'], 'outside the folder'),
        (['C:/escaped'], 'drive'),
        (['a\\..\\b'], 'backslash'),
        (['a/b.png', 'a/b.png'], 'one file on some disks'),
        (['a/B.png', 'A/b.png'], 'one file on some disks'),
        (['\u00e9.png', 'e\u0301.png'], 'one file on some disks'),
    ],
)
@pytest.mark.filterwarnings('ignore:Duplicate name')
def test_zip_that_is_refused(tmp_path: Path, names: list[str], match: str) -> None:
    refused(make_zip(tmp_path / 'a.zip', *names), match)


def test_zip_with_a_link_or_encrypted(tmp_path: Path) -> None:
    refused(make_zip(tmp_path / 'a.zip', 'link', mode=stat.S_IFLNK | 0o777), 'link or a device')
    data = bytearray(make_zip(tmp_path / 'b.zip', 'secret').read_bytes())
    place = data.index(b'PK\x01\x02')
    data[place + 8] |= 1
    (tmp_path / 'b.zip').write_bytes(data)
    refused(tmp_path / 'b.zip', 'encrypted')


def test_setuid_bits_are_not_kept(tmp_path: Path) -> None:
    info = member('tool')
    info.mode = 0o6755
    unpack(make_tar(tmp_path / 'a.tar.gz', info), tmp_path / 'out')
    assert (tmp_path / 'out/tool').stat().st_mode & 0o7111 == 0


def test_bombs(tmp_path: Path) -> None:
    path = tmp_path / 'bomb.zip'
    with zipfile.ZipFile(path, 'w', zipfile.ZIP_DEFLATED) as archive:
        archive.writestr('zeros', bytes(5_000_000))
    limits = Limits(free_bytes=1_000_000)
    with pytest.raises(ArchiveError, match='beyond the limits'):
        unpack(path, tmp_path / 'out', limits=limits)
    many = make_zip(tmp_path / 'many.zip', *(f'{n}.png' for n in range(20)))
    with pytest.raises(ArchiveError, match='more than 10 members'):
        unpack(many, tmp_path / 'out', limits=Limits(members=10))
    assert not (tmp_path / 'out').exists()


def test_member_longer_than_it_says(tmp_path: Path) -> None:
    path = tmp_path / 'a.zip'
    with zipfile.ZipFile(path, 'w', zipfile.ZIP_DEFLATED) as archive:
        archive.writestr('zeros', bytes(100_000))
    data = path.read_bytes().replace((100_000).to_bytes(4, 'little'), (10).to_bytes(4, 'little'))
    path.write_bytes(data)
    refused(path, 'longer than it says|damaged')


@pytest.mark.parametrize('share', [0.3, 0.9, 0.999])
@pytest.mark.parametrize('kind', ['zip', 'tar.gz'])
def test_cut_short(tmp_path: Path, kind: str, share: float) -> None:
    path = tmp_path / f'a.{kind}'
    content = bytes(n * n % 251 for n in range(20_000))
    if kind == 'zip':
        with zipfile.ZipFile(path, 'w') as archive:
            archive.writestr('a', content)
    else:
        with tarfile.open(path, 'w:gz') as tar:
            info = tarfile.TarInfo('a')
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * share)])
    refused(path, 'damaged or cut short|no zip')


def test_flipped_bit_in_a_zip(tmp_path: Path) -> None:
    path = make_zip(tmp_path / 'a.zip', 'a')
    path.write_bytes(path.read_bytes().replace(b'evil', b'evim'))
    refused(path, 'CRC')


def test_html_instead_of_an_archive(tmp_path: Path) -> None:
    path = tmp_path / 'data.zip'
    path.write_text('<html>log in first</html>')
    refused(path, 'no zip, tar, 7z or rar')


def test_disk_too_small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    archive = make_zip(tmp_path / 'a.zip', 'a')
    usage = type('Usage', (), {'free': 3})()
    monkeypatch.setattr('shutil.disk_usage', lambda path: usage)
    with pytest.raises(EnvironmentFault, match=r'needs 4 bytes .* 3 are free'):
        unpack(archive, tmp_path / 'out')


def test_seven_zip(tmp_path: Path) -> None:
    py7zr = pytest.importorskip('py7zr')
    with py7zr.SevenZipFile(tmp_path / 'a.7z', 'w') as archive:
        archive.writestr(b'one', 'a/b.txt')
        archive.writestr(b'three', 'c.txt')
    unpack(tmp_path / 'a.7z', tmp_path / 'out')
    assert (tmp_path / 'out/a/b.txt').read_bytes() == b'one'
    assert (tmp_path / 'out/c.txt').read_bytes() == b'three'
    with py7zr.SevenZipFile(tmp_path / 'b.7z', 'w', password='x') as archive:  # noqa: S106
        archive.writestr(b'one', 'a.txt')
    refused(tmp_path / 'b.7z', 'encrypted|damaged')


def test_rar_without_a_program(tmp_path: Path) -> None:
    pytest.importorskip('rarfile')
    path = tmp_path / 'a.rar'
    path.write_bytes(b'Rar!\x1a\x07\x00' + bytes(30))
    with pytest.raises((ArchiveError, EnvironmentFault), match=r'a\.rar'):
        unpack(path, tmp_path / 'out')


def test_tree_of_archives_in_archives_is_that_of_its_files(tmp_path: Path) -> None:
    inner = make_zip(tmp_path / 'inner.zip', 'images/1.png')
    outer = tmp_path / 'outer.zip'
    with zipfile.ZipFile(outer, 'w') as archive:
        archive.write(inner, 'deep/inner.zip')
        archive.writestr('__MACOSX/deep/._inner.zip', b'x')
        archive.writestr('readme.txt', b'x')
    tree = open_tree(outer, tmp_path / 'scratch', ['inner.zip'])
    assert set(tree.files) == {'deep/inner/images/1.png', 'readme.txt'}
    again = open_tree(outer, tmp_path / 'scratch', ['inner.zip'])
    assert tree.files == again.files, 'what was unpacked is used again'


def test_links_and_pipes_of_a_folder_are_not_opened(tmp_path: Path) -> None:
    import os

    source = tmp_path / 'source'
    source.mkdir()
    (source / 'a.png').write_bytes(b'x')
    (source / 'link.png').symlink_to(tmp_path / 'secret')
    (source / 'folder').symlink_to(tmp_path)
    os.mkfifo(source / 'pipe.png')
    tree = open_tree(source, tmp_path / 'scratch', [])
    assert set(tree.files) == {'a.png'}
    assert tree.odd == ('folder', 'link.png', 'pipe.png')
    with pytest.raises(InputError, match='does not exist'):
        open_tree(tmp_path / 'nowhere', tmp_path / 'scratch', [])
