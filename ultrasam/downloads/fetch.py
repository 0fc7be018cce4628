"""A file from its addresses to its place: fetched where it is missing, verified where it lies."""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote, urlsplit

from ultrasam.downloads.integrity import (
    DownloadError,
    ExpectedFile,
    IntegrityError,
    manifest_path,
    read_manifest,
    write_manifest,
)
from ultrasam.downloads.partial import PartialFile
from ultrasam.downloads.transfer import PATIENCE, Patience, receive
from ultrasam.errors import ConfigError

_CHUNK_BYTES = 1 << 20


@dataclass(frozen=True, kw_only=True)
class Fetched:
    """A file that is there and verified.

    Args:
        path: The file.
        sha256: Its digest.
        source: Address it came from; empty if it was there already.
        checked_by: What it was compared with, in words.
    """

    path: Path
    sha256: str
    source: str
    checked_by: str


def fetch_file(
    target: Path,
    addresses: Callable[[], Iterable[str]],
    expected: ExpectedFile,
    *,
    trusted: str = '',
    overwrite: bool = False,
    patience: Patience = PATIENCE,
    show_progress: bool = True,
) -> Fetched:
    """Have a file in its place: verified where it lies, fetched where it is missing.

    Where no SHA-256 is known, that of the first fetch is recorded beside the file and holds from then on.

    Args:
        target: Where the file goes; its folder is made if missing.
        addresses: Gives the addresses in the order in which they are asked; called only if something is fetched.
        expected: What the file is compared with.
        trusted: Who states the SHA-256, in words.
        overwrite: Fetch anew even if the file is there.
        patience: How long to try.
        show_progress: Draw a bar where the output is a terminal.

    Raises:
        IntegrityError: The bytes are not the ones that were meant; a fetched file is removed, one that was there
            stays.
        DownloadError: It cannot be fetched; what arrived is kept as ``FILE.part``.
        OutputError: The folder cannot be written, or the disk is too full.
    """
    if target.exists() and not overwrite:
        return _verify_present(target, expected, trusted)
    part = PartialFile(target)
    urls = addresses()
    with part.claimed():
        if target.exists() and not overwrite:
            return _verify_present(target, expected, trusted)
        failures: list[DownloadError] = []
        for url in urls:
            try:
                sha256 = _fetch_from(url, expected, part, trusted, patience, show_progress)
            except DownloadError as error:
                failures.append(error)
                continue
            manifest_path(target).unlink(missing_ok=True)
            part.publish()
            if expected.sha256 is None:
                write_manifest(target, sha256)
            return Fetched(
                path=target, sha256=sha256, source=url, checked_by=_checked_now(target, expected, trusted)
            )
    kind = IntegrityError if any(isinstance(error, IntegrityError) for error in failures) else DownloadError
    raise kind('\n'.join(map(str, failures)) or f'{target.name}: no address is known')


def mirror_address(mirror: str, *names: str) -> str:
    """Return the address of a file in a folder on a web server.

    Raises:
        ConfigError: The mirror is no web address.
    """
    if urlsplit(mirror).scheme not in ('http', 'https') or not urlsplit(mirror).netloc:
        raise ConfigError(f'mirror {mirror!r}: not an http or https address')
    return '/'.join([mirror.rstrip('/'), *map(quote, names)])


def _fetch_from(
    url: str, expected: ExpectedFile, part: PartialFile, trusted: str, patience: Patience, show_progress: bool
) -> str:
    """Fetch from one address and compare. Returns the SHA-256; bytes that are wrong are dropped."""
    while True:
        had_bytes, part.restarted = part.length > 0, False
        receive(
            url,
            part,
            size=expected.size,
            verifiable=expected.has_digest or _proves_itself(part.target),
            patience=patience,
            show_progress=show_progress,
        )
        try:
            if not expected.has_digest and _proves_itself(part.target):
                _check_zip(part.path)
            return expected.check(part.path)
        except IntegrityError as error:
            spoilt_by_old_bytes = had_bytes and not part.restarted
            part.forget()
            if spoilt_by_old_bytes:
                continue  # they may be of another version: once more, all from one hand
            hint = f' ({trusted})' if trusted else ''
            message = str(error).replace(part.path.name, part.target.name, 1)
            raise IntegrityError(f'{url}: {message}{hint}. Removed') from error


def _proves_itself(target: Path) -> bool:
    """Whether a file of this name carries checksums of its own, which are read where no digest is known."""
    return target.suffix.lower() == '.zip'


def _check_zip(path: Path) -> None:
    """See that a zip archive is one, whole, with every member as it was packed.

    Raises:
        IntegrityError: It is not.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            for member in archive.infolist():
                if member.flag_bits & 1:
                    continue  # encrypted: its checksum is that of what a password gives
                with archive.open(member) as file:
                    while file.read(_CHUNK_BYTES):
                        pass
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, OSError, RuntimeError) as error:
        raise IntegrityError(f'{path.name}: no zip archive, or a damaged one ({error})') from error


def _verify_present(target: Path, expected: ExpectedFile, trusted: str) -> Fetched:
    """Compare a file that is there with what is known, or else with what was recorded."""
    try:
        sha256 = expected.check(target)
    except IntegrityError as error:
        raise IntegrityError(
            f'{target}: {error}. It was left as it is; --overwrite fetches it anew'
        ) from error
    checked_by = _checked_now(target, expected, trusted)
    if expected.sha256 is None:
        recorded = read_manifest(target)
        if recorded is None:
            write_manifest(target, sha256)
        elif recorded != sha256:
            raise IntegrityError(
                f'{target}: sha256 is {sha256}, but {manifest_path(target).name} records {recorded}. '
                'It was left as it is; --overwrite fetches it anew'
            )
        else:
            checked_by = 'sha256 recorded when it was first seen'
    return Fetched(path=target, sha256=sha256, source='', checked_by=checked_by)


def _checked_now(target: Path, expected: ExpectedFile, trusted: str) -> str:
    """What the first look at a file compared it with."""
    if expected.sha256 is not None:
        return f'sha256 ({trusted})' if trusted else 'sha256'
    known_by = [expected.known_by] if expected.known_by else []
    if not expected.has_digest and _proves_itself(target):
        known_by.append('checksums inside the archive')
    words = ' and '.join(known_by) or 'nothing: no digest is published'
    return f'{words}; its sha256 is recorded from now on'
