"""From an entry of known weights to a verified file."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote, urlsplit

from ultrasam.downloads.integrity import (
    DownloadError,
    IntegrityError,
    manifest_path,
    read_manifest,
    write_manifest,
)
from ultrasam.downloads.known_weights import TORCHVISION, KnownWeights
from ultrasam.downloads.partial import PartialFile
from ultrasam.downloads.transfer import Patience, receive
from ultrasam.errors import ConfigError


@dataclass(frozen=True, kw_only=True)
class Fetched:
    """A file that is there and verified.

    Args:
        path: the file.
        sha256: its digest.
        source: the address it came from; empty if it was there already.
        checked_by: what it was compared with, in words.
    """

    path: Path
    sha256: str
    source: str
    checked_by: str


def fetch_weights(
    entry: KnownWeights,
    out_dir: Path,
    *,
    mirror: str | None = None,
    overwrite: bool = False,
    patience: Patience | None = None,
    show_progress: bool = True,
) -> Fetched:
    """Have a file of weights in a folder: verified where it lies, fetched where it is missing.

    Where no full SHA-256 is known, that of the first fetch is recorded beside the file and holds from then on.

    Args:
        entry: what to fetch.
        out_dir: folder, made if missing.
        mirror: address of a folder that is asked instead of the publisher.
        overwrite: fetch anew even if the file is there.
        patience: how long to try.
        show_progress: draw a bar where the output is a terminal.

    Raises:
        IntegrityError: the bytes are not the ones that were meant; a fetched file is removed, one that was there
            stays.
        DownloadError: it cannot be fetched; what arrived is kept as ``FILE.part``.
        OutputError: the folder cannot be written, or the disk is too full.
    """
    target = out_dir / entry.file
    if target.exists() and not overwrite:
        return _verify_present(entry, target)
    part = PartialFile(target)
    urls = _addresses(entry, mirror, out_dir)
    with part.claimed():
        if target.exists() and not overwrite:
            return _verify_present(entry, target)
        failures: list[str] = []
        for url in urls:
            try:
                sha256 = _fetch_from(url, entry, part, patience or Patience(), show_progress)
            except IntegrityError:
                raise
            except DownloadError as error:
                failures.append(str(error))
                continue
            manifest_path(target).unlink(missing_ok=True)
            part.publish()
            if entry.sha256 is None:
                write_manifest(target, sha256)
            return Fetched(path=target, sha256=sha256, source=url, checked_by=_checked_now(entry))
    raise DownloadError('\n'.join(failures))


def _fetch_from(
    url: str, entry: KnownWeights, part: PartialFile, patience: Patience, show_progress: bool
) -> str:
    """Fetch from one address and compare. Returns the SHA-256; bytes that are wrong are dropped."""
    expected = entry.expected
    while True:
        had_bytes, part.restarted = part.length > 0, False
        receive(
            url,
            part,
            size=expected.size,
            verifiable=bool(expected.known_by),
            patience=patience,
            show_progress=show_progress,
        )
        try:
            return expected.check(part.path)
        except IntegrityError as error:
            spoilt_by_old_bytes = had_bytes and not part.restarted
            part.forget()
            if spoilt_by_old_bytes:
                continue  # they may be of another version: once more, all from one hand
            hint = f' ({entry.sha256_source})' if entry.sha256 else ''
            raise IntegrityError(
                f'{url}: {str(error).replace(part.path.name, entry.file, 1)}{hint}. Removed. '
                'If you know the right digest from a source you trust, give it with --sha256'
            ) from error


def _verify_present(entry: KnownWeights, target: Path) -> Fetched:
    """Compare a file that is there with what is known, or else with what was recorded."""
    try:
        sha256 = entry.expected.check(target)
    except IntegrityError as error:
        raise IntegrityError(
            f'{target}: {error}. It was left as it is; --overwrite fetches it anew'
        ) from error
    if entry.sha256 is not None:
        return Fetched(path=target, sha256=sha256, source='', checked_by=entry.checked_by)
    recorded = read_manifest(target)
    if recorded is None:
        write_manifest(target, sha256)
        return Fetched(path=target, sha256=sha256, source='', checked_by=_checked_now(entry))
    if recorded != sha256:
        raise IntegrityError(
            f'{target}: sha256 is {sha256}, but {manifest_path(target).name} records {recorded}. '
            'It was left as it is; --overwrite fetches it anew'
        )
    return Fetched(path=target, sha256=sha256, source='', checked_by='sha256 recorded when it was first seen')


def _checked_now(entry: KnownWeights) -> str:
    """What the first look at a file compared it with."""
    if entry.sha256 is not None:
        return entry.checked_by
    known_by = entry.expected.known_by
    return f'{known_by or "nothing: no digest is published"}; its sha256 is recorded from now on'


def _addresses(entry: KnownWeights, mirror: str | None, out_dir: Path) -> list[str]:
    """Where to ask, in order: the mirror alone if there is one.

    Raises:
        ConfigError: the mirror is no web address.
        DownloadError: only a person can fetch it.
    """
    if mirror:
        if urlsplit(mirror).scheme not in ('http', 'https') or not urlsplit(mirror).netloc:
            raise ConfigError(f'mirror {mirror!r}: not an http or https address')
        return [f'{mirror.rstrip("/")}/{quote(entry.file)}']
    if not entry.urls:
        raise DownloadError(
            f'{entry.name}: no address gives this file without a click. Download it from {entry.page}, '
            f'save it as {out_dir / entry.file}, and run again to check it'
        )
    return [_resolve(url) for url in entry.urls]


def _resolve(url: str) -> str:
    """The web address behind an entry of torchvision's table."""
    if urlsplit(url).scheme != TORCHVISION:
        return url
    try:
        from torchvision.models import get_weight

        return str(get_weight(urlsplit(url).netloc).url)
    except (ImportError, ValueError) as error:
        raise DownloadError(
            f'{url}: torchvision, which knows the address, is missing or too old ({error})'
        ) from error
