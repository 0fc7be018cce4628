"""Is a file the one that was meant? Digests, and the record of a digest beside a file."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path

from ultrasam.atomic import publish_bytes
from ultrasam.errors import ConfigError, UltraSamError

_CHUNK_BYTES = 1 << 20


class DownloadError(UltraSamError, RuntimeError):
    """A file that could not be fetched: no answer, a refusal, or an answer that is no such file."""


class IntegrityError(DownloadError):
    """A file whose bytes are not the ones that were meant."""


@dataclass(frozen=True, kw_only=True)
class ExpectedFile:
    """What is known about a file before it is there. Digests are lower-case hexadecimal.

    Args:
        sha256: all 64 digits.
        sha256_prefix: the first digits, as many file names carry them (``resnet50-0676ba61.pth``).
        md5_prefix: the first digits of the MD5, which catches accidents but no forgery.
        size: bytes.

    Raises:
        ConfigError: a digest is malformed, or contradicts another.
    """

    sha256: str | None = None
    sha256_prefix: str | None = None
    md5_prefix: str | None = None
    size: int | None = None

    def __post_init__(self) -> None:
        """Refuse what no file could match."""
        for name, digits, shortest, longest in (
            ('sha256', self.sha256, 64, 64),
            ('sha256_prefix', self.sha256_prefix, 6, 63),
            ('md5_prefix', self.md5_prefix, 6, 32),
        ):
            if digits is not None and not re.fullmatch(rf'[0-9a-f]{{{shortest},{longest}}}', digits):
                raise ConfigError(
                    f'{name}={digits!r}: not {shortest} to {longest} lower-case hexadecimal digits'
                )
        if self.sha256 and self.sha256_prefix and not self.sha256.startswith(self.sha256_prefix):
            raise ConfigError(f'sha256 {self.sha256} does not begin with {self.sha256_prefix}')

    @property
    def known_by(self) -> str:
        """What a check compares, in words; empty if nothing is known."""
        if self.sha256:
            return 'sha256'
        if self.sha256_prefix:
            return f'first {len(self.sha256_prefix)} digits of the sha256'
        if self.md5_prefix:
            whole = len(self.md5_prefix) == 32
            return 'md5' if whole else f'first {len(self.md5_prefix)} digits of the md5'
        return 'size' if self.size else ''

    @property
    def has_digest(self) -> bool:
        """Whether a digest, or the beginning of one, is compared."""
        return bool(self.sha256 or self.sha256_prefix or self.md5_prefix)

    def check(self, path: Path) -> str:
        """Compare a file with what is known.

        Returns:
            The SHA-256 of the file.

        Raises:
            IntegrityError: it differs.
        """
        size = path.stat().st_size
        if self.size is not None and size != self.size:
            raise IntegrityError(f'{path.name}: has {size:,} bytes, but should have {self.size:,}')
        sha256, md5 = digests_of(path)
        for name, found, wanted in (
            ('sha256', sha256, self.sha256 or self.sha256_prefix),
            ('md5', md5, self.md5_prefix),
        ):
            if wanted and not found.startswith(wanted):
                begin = '' if len(wanted) == len(found) else 'begin with '
                raise IntegrityError(f'{path.name}: {name} is {found}, but should {begin or "be "}{wanted}')
        return sha256


def digests_of(path: Path) -> tuple[str, str]:
    """SHA-256 and MD5 of a file, read once."""
    sha256, md5 = hashlib.sha256(), hashlib.md5(usedforsecurity=False)
    with path.open('rb') as file:
        while chunk := file.read(_CHUNK_BYTES):
            sha256.update(chunk)
            md5.update(chunk)
    return sha256.hexdigest(), md5.hexdigest()


def manifest_path(path: Path) -> Path:
    """Where the digest of a file is recorded: ``NAME.sha256`` beside it, as ``sha256sum -c`` reads it."""
    return path.with_name(f'{path.name}.sha256')


def read_manifest(path: Path) -> str | None:
    """The digest recorded beside a file, or None.

    Raises:
        IntegrityError: there is a record, but not of this file.
    """
    manifest = manifest_path(path)
    if not manifest.is_file():
        return None
    match = re.fullmatch(
        r'([0-9a-f]{64}) [ *](.+)\n?', manifest.read_text(encoding='utf-8', errors='replace')
    )
    if match is None or match[2] != path.name:
        raise IntegrityError(f'{manifest}: no record of {path.name}; delete it if the file is to be trusted')
    return match[1]


def write_manifest(path: Path, sha256: str) -> None:
    """Record the digest of a file beside it."""
    publish_bytes(manifest_path(path), f'{sha256}  {path.name}\n'.encode(), overwrite=True)
