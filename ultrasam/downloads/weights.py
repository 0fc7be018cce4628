"""From an entry of known weights to a verified file."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from ultrasam.downloads.fetch import Fetched, fetch_file, mirror_address
from ultrasam.downloads.integrity import DownloadError, IntegrityError
from ultrasam.downloads.known_weights import TORCHVISION, KnownWeights


def fetch_weights(
    entry: KnownWeights, out_dir: Path, *, mirror: str | None = None, **options: Any
) -> Fetched:
    """Have a file of weights in a folder: verified where it lies, fetched where it is missing.

    Args:
        entry: What to fetch.
        out_dir: Folder, made if missing.
        mirror: Address of a folder that is asked instead of the publisher.
        options: Further ones of :func:`ultrasam.downloads.fetch.fetch_file`, which says what is raised.
    """
    try:
        return fetch_file(
            out_dir / entry.file,
            lambda: _addresses(entry, mirror, out_dir),
            entry.expected,
            trusted=entry.sha256_source,
            **options,
        )
    except IntegrityError as error:
        raise IntegrityError(
            f'{error}. If you know the right digest from a source you trust, give it with --sha256'
        ) from error


def _addresses(entry: KnownWeights, mirror: str | None, out_dir: Path) -> list[str]:
    """Where to ask, in order: the mirror alone if there is one.

    Raises:
        ConfigError: The mirror is no web address.
        DownloadError: Only a person can fetch it.
    """
    if mirror:
        return [mirror_address(mirror, entry.file)]
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
