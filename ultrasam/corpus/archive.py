"""The only place that unpacks archives: zip, tar, 7z and rar, none of which is trusted.

Every member is looked at before a byte is written: a name that leaves the folder, a link, a device, a name that
another differs from by case or Unicode form only, an encrypted member or a size beyond the limits refuses the
whole archive. The limits hold for each archive and, by a tally that they share, for all archives of a source
together, those inside others too. What is unpacked appears in one step, when it is complete.
"""

from __future__ import annotations

import os
import re
import shutil
import stat
import tarfile
import unicodedata
import zipfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO, Any

from ultrasam.corpus.errors import ArchiveError, EnvironmentFault
from ultrasam.optional import optional_module

_CHUNK = 1 << 20
_TAR_BLOCK = 512
_MAGICS = {
    b'PK\x03\x04': 'zip',
    b'PK\x05\x06': 'zip',
    b"7z\xbc\xaf'\x1c": '7z',
    b'Rar!\x1a\x07': 'rar',
    b'\x1f\x8b': 'tar',
    b'BZh': 'tar',
    b'\xfd7zXZ\x00': 'tar',
}
_TAR_MAGIC, _TAR_MAGIC_AT = b'ustar', 257
_DRIVE = re.compile('[A-Za-z]:')


@dataclass(frozen=True)
class Limits:
    """What an archive may unpack to.

    Args:
        members: number of them; the largest data set has a quarter of this.
        total_bytes: of all members; the largest data set unpacks to 250 GB.
        ratio: of unpacked to packed size, beyond the first ``free_bytes``; black masks reach some 300.
        free_bytes: unpacked size up to which the ratio does not matter.
    """

    members: int = 1_000_000
    total_bytes: int = 1 << 39
    ratio: int = 400
    free_bytes: int = 1 << 26


LIMITS = Limits()


class ArchiveLimitError(ArchiveError):
    """An archive, or all archives of a source together, that unpack to more than the limits allow."""


class Tally:
    """What archives hold, counted against the limits as it is listed.

    Args:
        limits: for all of them together.
        packed: bytes of the archives, as far as they were not unpacked from another one.
    """

    def __init__(self, limits: Limits, packed: int = 0) -> None:
        self._limits = limits
        self.packed = packed
        self._members = 0
        self._bytes = 0

    def add(self, archive: Path, members: int, size: int) -> None:
        """Count members of an archive and their bytes.

        Raises:
            ArchiveLimitError: it is too much.
        """
        limits = self._limits
        self._members += members
        self._bytes += size
        if self._members > limits.members:
            raise ArchiveLimitError(f'{archive}: more than {limits.members:,} members. Nothing was unpacked')
        too_dense = self._bytes > limits.free_bytes and self._bytes > self.packed * limits.ratio
        if self._bytes > limits.total_bytes or too_dense:
            raise ArchiveLimitError(
                f'{archive}: {self.packed:,} bytes would become {self._bytes:,} or more, all levels of archives '
                'together, beyond the limits. Nothing was unpacked'
            )


@dataclass(frozen=True)
class _Member:
    name: str
    size: int
    fault: str
    handle: Any


def archive_kind(path: Path) -> str | None:
    """``'zip'``, ``'tar'``, ``'7z'`` or ``'rar'`` by content, whatever the name; None for any other file."""
    with path.open('rb') as file:
        head = file.read(_TAR_MAGIC_AT + 5)
    for magic, kind in _MAGICS.items():
        if head.startswith(magic):
            return kind
    return 'tar' if head[_TAR_MAGIC_AT:] == _TAR_MAGIC else None


def unpack(archive: Path, folder: Path, *, limits: Limits = LIMITS, tally: Tally | None = None) -> None:
    """Unpack an archive into a new folder.

    Args:
        archive: the file.
        folder: where its members go; it appears when all are there.
        limits: what it may unpack to.
        tally: of all archives of a source, to which this one is added.

    Raises:
        ArchiveLimitError: it holds more than the limits allow.
        ArchiveError: damaged, of an unknown kind, or refused for the reasons above.
        EnvironmentFault: the disk is too small, or the program that reads this kind is missing.
    """
    kind = archive_kind(archive)
    if kind is None:
        raise ArchiveError(
            f'{archive}: no zip, tar, 7z or rar archive. Download it again and look at what came'
        )
    tallies = [Tally(limits, archive.stat().st_size), *([] if tally is None else [tally])]
    partial = folder.with_name(folder.name + '.part')
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    try:
        with _reading(archive, kind) as opened:
            members = list(_checked(archive, opened.members(), tallies))
            if not members:
                raise ArchiveError(f'{archive}: holds no files. Download it again')
            with _room(archive, partial, sum(member.size for member in members)):
                opened.write(members, partial)
        os.replace(partial, folder)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _checked(archive: Path, members: Iterable[_Member | None], tallies: Sequence[Tally]) -> Iterator[_Member]:
    """Members that are files as they are listed, up to the first that is refused."""
    seen: dict[str, str] = {}
    for member in members:
        for tally in tallies:
            tally.add(archive, 1, member.size if member else 0)
        if member is None:
            continue
        fault = member.fault or _name_fault(member.name)
        if fault:
            raise ArchiveError(f'{archive}: member {member.name!r} {fault}. Nothing was unpacked')
        folded = unicodedata.normalize('NFC', member.name).casefold()
        if folded in seen:
            raise ArchiveError(
                f'{archive}: members {seen[folded]!r} and {member.name!r} are one file on some disks. '
                'Nothing was unpacked'
            )
        seen[folded] = member.name
        yield member


def _name_fault(name: str) -> str:
    """Why a name cannot be unpacked, or nothing."""
    if not name or any(ord(letter) < 32 for letter in name):
        return 'has control characters in its name, or none'
    if '\\' in name or _DRIVE.match(name):
        return 'has a backslash or a drive in its name'
    path = PurePosixPath(name)
    if path.is_absolute() or '..' in path.parts:
        return 'would be written outside the folder'
    if any(len(os.fsencode(part)) > 255 for part in path.parts):
        return 'has a name that is too long'
    return ''


@contextmanager
def _room(archive: Path, folder: Path, needed: int) -> Iterator[None]:
    """See that there is room, and say how much is needed where there proves to be none."""
    free = shutil.disk_usage(folder).free
    if needed > free:
        raise EnvironmentFault(f'{archive} needs {needed:,} bytes at {folder.parent}, {free:,} are free')
    try:
        yield
    except OSError as error:
        if error.errno is None:
            raise
        raise EnvironmentFault(
            f'{archive} needs {needed:,} bytes at {folder.parent} and cannot be unpacked there ({error.strerror}), '
            f'{free:,} were free: make room or see to the disk, then run again'
        ) from error


class _Opened:
    """An archive whose members are listed, then written; the base of one class a kind."""

    def __init__(self, file: Any) -> None:
        self._file = file

    def members(self) -> Iterator[_Member | None]:
        """Every member; None for a folder, unless something is wrong with it."""
        raise NotImplementedError

    def _open(self, member: _Member) -> IO[bytes]:
        raise NotImplementedError

    def write(self, members: Iterable[_Member], folder: Path) -> None:
        """Write members, each no longer than it said."""
        for member in members:
            target = folder.joinpath(*PurePosixPath(member.name).parts)
            target.parent.mkdir(parents=True, exist_ok=True)
            with self._open(member) as source, target.open('xb') as file:
                left = member.size
                while chunk := source.read(min(_CHUNK, left + 1)):
                    left -= len(chunk)
                    if left < 0:
                        raise ArchiveError(f'member {member.name!r} is longer than it says')
                    file.write(chunk)
                if left:
                    raise ArchiveError(f'member {member.name!r} is cut short')


class _Zip(_Opened):
    def members(self) -> Iterator[_Member | None]:
        for info in self._file.infolist():
            mode = info.external_attr >> 16
            fault = ''
            # the name as it is stored: zipfile itself turns some characters into others
            name = info.orig_filename
            if info.flag_bits & 1:
                fault = 'is encrypted'
            elif stat.S_IFMT(mode) not in (0, stat.S_IFREG, stat.S_IFDIR):
                fault = 'is a link or a device'
            if info.is_dir():
                fault = fault or _name_fault(name)
                yield _Member(name, 0, fault, info) if fault else None
            else:
                yield _Member(name, info.file_size, fault, info)

    def _open(self, member: _Member) -> IO[bytes]:
        stream: IO[bytes] = self._file.open(member.handle)
        return stream


class _Tar(_Opened):
    def members(self) -> Iterator[_Member | None]:
        for info in self._file:
            if info.isdir():
                fault = _name_fault(info.name)
                yield _Member(info.name, 0, fault, info) if fault else None
                continue
            fault = '' if info.isreg() else 'is a link or a device'
            name = info.name.removeprefix('./')
            yield _Member(name, info.size, fault, info)

    def _open(self, member: _Member) -> IO[bytes]:
        stream = self._file.extractfile(member.handle)
        if stream is None:
            raise ArchiveError(f'member {member.name!r} has no content')
        opened: IO[bytes] = stream
        return opened

    def write(self, members: Iterable[_Member], folder: Path) -> None:
        """Write members, then read to the end of the file, where it proves to be whole."""
        super().write(members, folder)
        self._check_end()

    def _check_end(self) -> None:
        """See that the list of members ended where the archive says so: tarfile takes anything for the end."""
        file = self._file.fileobj
        file.seek(self._file.offset)
        if file.read(_TAR_BLOCK) != bytes(_TAR_BLOCK):
            raise ArchiveError(
                'has no end mark after its last member: it is cut short, or damaged there, and more may be missing'
            )
        while chunk := file.read(_CHUNK):
            blocks = range(_TAR_MAGIC_AT, len(chunk), _TAR_BLOCK)
            if any(chunk.startswith(_TAR_MAGIC, at) for at in blocks):
                raise ArchiveError(
                    'has members after its end mark, as several archives written after one another have: '
                    'unpack it by hand with tar --ignore-zeros'
                )


class _Rar(_Opened):
    def members(self) -> Iterator[_Member | None]:
        for info in self._file.infolist():
            if info.is_dir():
                fault = _name_fault(info.filename)
                yield _Member(info.filename, 0, fault, info) if fault else None
                continue
            fault = (
                'is encrypted' if info.needs_password() else '' if info.is_file() else 'is a link or a device'
            )
            yield _Member(info.filename, info.file_size, fault, info)

    def _open(self, member: _Member) -> IO[bytes]:
        stream: IO[bytes] = self._file.open(member.handle)
        return stream


class _SevenZip(_Opened):
    def members(self) -> Iterator[_Member | None]:
        if self._file.password_protected:
            yield _Member('(all)', 0, 'is encrypted', None)
        for info in self._file.list():
            fault = 'is a link or a device' if getattr(info, 'is_symlink', False) else ''
            if info.is_directory:
                fault = fault or _name_fault(info.filename)
                yield _Member(info.filename, 0, fault, info) if fault else None
                continue
            yield _Member(info.filename, info.uncompressed or 0, fault, info)

    def write(self, members: Iterable[_Member], folder: Path) -> None:
        """Unpack all at once, then see that only the listed files are there."""
        expected = {member.name: member.size for member in members}
        self._file.extractall(path=folder)  # noqa: S202 - every member was looked at
        for path in sorted(folder.rglob('*')):
            name = path.relative_to(folder).as_posix()
            if path.is_symlink() or not (path.is_dir() or path.is_file()):
                raise ArchiveError(f'member {name!r} is a link or a device')
            if path.is_file() and expected.pop(name, None) != path.stat().st_size:
                raise ArchiveError(f'member {name!r} is not of the size that it says')
        if expected:
            raise ArchiveError(f'member {next(iter(expected))!r} was not unpacked')


@contextmanager
def _reading(archive: Path, kind: str) -> Iterator[_Opened]:
    """Open an archive; errors of the libraries become ours and name the file."""
    try:
        if kind == 'zip':
            with zipfile.ZipFile(archive) as file:
                yield _Zip(file)
        elif kind == 'tar':
            with tarfile.open(archive) as tar:
                yield _Tar(tar)
        elif kind == '7z':
            with optional_module(
                'py7zr', need=str(archive), extra='corpus', error=EnvironmentFault
            ).SevenZipFile(archive) as file:
                yield _SevenZip(file)
        else:
            rarfile = optional_module('rarfile', need=str(archive), extra='corpus', error=EnvironmentFault)
            # it calls bsdtar with options that bsdtar does not take
            rarfile.BSDTAR_TOOL = 'bsdtar-is-not-used'
            with rarfile.RarFile(archive) as file:
                yield _Rar(file)
    except ArchiveError as error:
        text = str(error)
        raise (
            error if str(archive) in text else ArchiveError(f'{archive}: {text}. Download it again')
        ) from error
    except (EnvironmentFault, MemoryError):
        raise
    except Exception as error:
        raise _translated(archive, kind, error) from error


def _translated(archive: Path, kind: str, error: Exception) -> Exception:
    if kind == 'rar' and type(error).__name__ == 'RarCannotExec':
        return EnvironmentFault(f'{archive}: no program that unpacks rar. Install unrar, unar or 7z')
    if isinstance(error, OSError) and error.errno is not None:
        return EnvironmentFault(
            f'{archive} cannot be read ({error.strerror}): see to the disk, then run again'
        )
    hint = 'Download it again; parts of a split zip are joined with: zip -s 0 NAME.zip --out whole.zip'
    return ArchiveError(f'{archive}: damaged or cut short ({error}). {hint}')
