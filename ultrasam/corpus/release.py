"""What a description says of the release that it reads: where its files are, and who has read them."""

from __future__ import annotations

import re
from dataclasses import dataclass

from ultrasam.downloads.download import Download
from ultrasam.errors import ConfigError

__all__ = ['Download', 'Verified']


@dataclass(frozen=True, kw_only=True)
class Verified:
    """The release on which a description was run.

    Args:
        release: Which one it was, in words: version, DOI or date.
        date: When, as YYYY-MM-DD.
        files: Number of files in it, unpacked.

    Raises:
        ConfigError: One of them is missing or malformed.
    """

    release: str
    date: str
    files: int

    def __str__(self) -> str:
        """Say which release, when, and how large."""
        return f'run on {self.release} on {self.date}, {self.files:,} files'

    def __post_init__(self) -> None:
        """Refuse what says nothing."""
        if not self.release or not re.fullmatch(r'\d{4}-\d\d-\d\d', self.date) or self.files < 1:
            raise ConfigError(
                f'verified: needs a release, a date such as 2026-12-01 and a number of files, not {self!r}'
            )
