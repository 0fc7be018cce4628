"""Archives that ask for more than unpacking files into a folder."""

from __future__ import annotations

import errno
import gzip
import io
import lzma
import os
import stat
import tarfile
import zipfile
from collections.abc import Callable
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


def bomb(path: Path, megabytes: int = 5) -> Path:
    with zipfile.ZipFile(path, 'w', zipfile.ZIP_DEFLATED) as archive:
        archive.writestr('zeros', bytes(megabytes * 1_000_000))
    return path


def nested(path: Path, *inner: Path) -> Path:
    with zipfile.ZipFile(path, 'w') as archive:
        for one in inner:
            archive.write(one, one.name)
    return path


@pytest.mark.parametrize(
    ('limits', 'match'),
    [
        (Limits(free_bytes=6_000_000), 'all levels of archives together, beyond the limits'),
        (Limits(total_bytes=6_000_000), 'beyond the limits'),
        (Limits(members=4), 'more than 4 members'),
    ],
)
def test_limits_hold_for_all_levels_of_archives_together(tmp_path: Path, limits: Limits, match: str) -> None:
    inner = [bomb(tmp_path / f'inner{number}.zip') for number in range(3)]
    for one in inner:
        unpack(one, tmp_path / 'alone' / one.name, limits=limits)
    outer = nested(tmp_path / 'outer.zip', *inner)
    with pytest.raises(ArchiveError, match=match) as caught:
        open_tree(outer, tmp_path / 'scratch', ['*.zip'], limits=limits)
    assert 'inner1.zip' in str(caught.value)
    assert not (tmp_path / 'scratch').exists(), 'what a bomb became is large'


def test_limits_hold_for_the_archives_of_a_folder_together(tmp_path: Path) -> None:
    source = tmp_path / 'source'
    source.mkdir()
    for number in range(3):
        bomb(source / f'{number}.zip')
    with pytest.raises(ArchiveError, match='beyond the limits'):
        open_tree(source, tmp_path / 'scratch', ['*.zip'], limits=Limits(free_bytes=12_000_000))
    assert len(list(source.iterdir())) == 3, 'the source is left alone'
    fair = Limits(free_bytes=12_000_000, ratio=2000)
    assert len(open_tree(source, tmp_path / 'scratch', ['*.zip'], limits=fair).files) == 3


def test_limits_count_what_was_unpacked_before(tmp_path: Path) -> None:
    outer = nested(tmp_path / 'outer.zip', *(bomb(tmp_path / f'inner{number}.zip') for number in range(3)))
    open_tree(outer, tmp_path / 'scratch', ['*.zip'])
    with pytest.raises(ArchiveError, match='beyond the limits'):
        open_tree(outer, tmp_path / 'scratch', ['*.zip'], limits=Limits(free_bytes=12_000_000))


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


def plain_tar(path: Path, *names: str) -> tuple[bytes, list[int]]:
    """A tar, and where its members begin."""
    with tarfile.open(path, 'w') as archive:
        for name in names:
            info = tarfile.TarInfo(name)
            info.size = 700
            archive.addfile(info, io.BytesIO(bytes(range(100)) * 7))
    with tarfile.open(path) as archive:
        return path.read_bytes(), [archive.getmember(name).offset for name in names]


@pytest.mark.parametrize('packer', [bytes, gzip.compress, lzma.compress], ids=['tar', 'tar.gz', 'tar.xz'])
def test_tar_cut_between_two_members(tmp_path: Path, packer: Callable[[bytes], bytes]) -> None:
    path = tmp_path / 'a.tar'
    data, (_, second, third) = plain_tar(path, 'a', 'b', 'c')
    for border in (second, third):
        path.write_bytes(packer(data[:border]))
        refused(path, r'no end mark after its last member.*Download it again')
    path.write_bytes(packer(data[: third + 512 + 1024 + 512]))
    unpack(path, tmp_path / 'out')
    assert tree_of(tmp_path / 'out') == {'a', 'b', 'c'}, 'one block of zeros is an end'


def test_tar_with_a_damaged_header(tmp_path: Path) -> None:
    path = tmp_path / 'a.tar'
    data, (_, second, _) = plain_tar(path, 'a', 'b', 'c')
    path.write_bytes(data[:second] + b'\xff' + data[second + 1 :])
    refused(path, 'no end mark')


def test_tars_one_after_another(tmp_path: Path) -> None:
    path = tmp_path / 'a.tar'
    data = b''.join(plain_tar(path, name)[0] for name in 'ab')
    path.write_bytes(data)
    refused(path, 'members after its end mark')


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


@pytest.mark.parametrize('number', [errno.ENOSPC, errno.EFBIG, errno.EDQUOT])
def test_disk_that_fills_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    archive = make_zip(tmp_path / 'a.zip', 'a', 'b')

    def fail(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr('ultrasam.corpus.archive._Opened.write', fail)
    with pytest.raises(EnvironmentFault) as caught:
        unpack(archive, tmp_path / 'scratch' / 'out')
    text = str(caught.value)
    assert all(
        part in text for part in (str(archive), str(tmp_path / 'scratch'), '8 bytes', os.strerror(number))
    )
    assert not any((tmp_path / 'scratch').iterdir())


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


def test_archives_of_one_name_size_and_time_are_kept_apart(tmp_path: Path) -> None:
    for place in ('a', 'b'):
        (tmp_path / 'source' / place).mkdir(parents=True)
        path = make_zip(tmp_path / 'source' / place / 'data.zip', f'{place}.png')
        os.utime(path, (1e9, 1e9))
    tree = open_tree(tmp_path / 'source', tmp_path / 'scratch', ['data.zip'])
    assert set(tree.files) == {'a/data/a.png', 'b/data/b.png'}


def test_names_that_are_no_text_are_faults_of_their_files(tmp_path: Path) -> None:
    source = tmp_path / 'source'
    (source / 'deep').mkdir(parents=True)
    (source / 'a.png').write_bytes(b'x')
    bad = [b'deep/b\xff\xfe.png', b'c\xe9.png', b'folder\xff/d.png']
    os.mkdir(os.fsencode(source) + b'/folder\xff')
    for name in bad:
        with open(os.fsencode(source) + b'/' + name, 'wb') as file:
            file.write(b'x')
    tree = open_tree(source, tmp_path / 'scratch', [])
    assert set(tree.files) == {'a.png'}
    assert [fault.file for fault in tree.faults] == ['c\\xe9.png', 'deep/b\\xff\\xfe.png', 'folder\\xff']
    assert all('UTF-8' in fault.reason for fault in tree.faults)
    with tarfile.open(tmp_path / 'inner.tar', 'w') as archive:
        archive.add(source, 'top')
    with zipfile.ZipFile(tmp_path / 'outer.zip', 'w') as outer:
        outer.write(tmp_path / 'inner.tar', 'inner.tar')
    inside = open_tree(tmp_path / 'outer.zip', tmp_path / 'scratch', ['inner.tar'])
    assert set(inside.files) == {'inner/top/a.png'}
    assert len(inside.faults) == 3 and inside.faults[0].file == 'inner/top/c\\xe9.png'


def test_links_and_pipes_of_a_folder_are_not_opened(tmp_path: Path) -> None:
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
