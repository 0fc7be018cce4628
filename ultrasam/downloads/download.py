"""Where a file of a dataset is on the web, and what is known about it before it is there."""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import urlsplit

from ultrasam.downloads.integrity import ExpectedFile
from ultrasam.errors import ConfigError

_WILDCARDS = frozenset('*?[')


@dataclass(frozen=True, kw_only=True)
class Download:
    """A file of a release, or all files of a record whose names fit a pattern.

    Args:
        file: Name that its site gives it, under which it is kept; with a ``doi`` also a shell pattern.
        urls: Addresses, best first.
        doi: DOI of the record that has it, at Zenodo, Mendeley Data or figshare; looked up where no address is known,
            and for the digest where none is stated here.
        by_hand: What a person has to do, as a sentence, where no address gives the file without a click.
        size: Bytes.
        sha256: All 64 digits.
        md5: All 32 digits, for publishers that state no SHA-256; catches accidents, no forgery.
        fetched: Date (YYYY-MM-DD) on which somebody fetched it from here; empty if nobody has tried.

    Raises:
        ConfigError: The file could not be fetched or recognised.
    """

    file: str
    urls: tuple[str, ...] = ()
    doi: str = ''
    by_hand: str = ''
    size: int | None = None
    sha256: str | None = None
    md5: str | None = None
    fetched: str = ''

    def __post_init__(self) -> None:
        """Refuse what could not be fetched."""
        faults = []
        if not is_file_name(self.file):
            faults.append('the name must be a plain file name')
        if not (self.urls or self.doi or self.by_hand):
            faults.append('give urls, a doi, or what to do by hand')
        faults += [
            f'address {url!r} is not http or https'
            for url in self.urls
            if urlsplit(url).scheme not in ('http', 'https') or not urlsplit(url).netloc
        ]
        if self.doi and not re.fullmatch(r'10\.\d{4,9}/\S+', self.doi):
            faults.append(f'doi {self.doi!r} is not of the form 10.5281/zenodo.123')
        if self.is_pattern and (self.urls or not self.doi or self.size or self.sha256 or self.md5):
            faults.append('a pattern goes with a doi alone')
        if self.size is not None and self.size <= 0:
            faults.append(f'size {self.size} must be positive')
        if self.md5 is not None and len(self.md5) != 32:
            faults.append(f'md5 {self.md5!r} does not have 32 digits')
        if self.fetched and not re.fullmatch(r'\d{4}-\d\d-\d\d', self.fetched):
            faults.append(f'fetched {self.fetched!r} is not a date such as 2026-12-01')
        if faults:
            raise ConfigError(f'download {self.file!r}: {"; ".join(faults)}')
        _ = self.expected

    @property
    def is_pattern(self) -> bool:
        """Whether the name stands for several files of a record."""
        return not _WILDCARDS.isdisjoint(self.file)

    @property
    def expected(self) -> ExpectedFile:
        """What a fetched file is compared with."""
        return ExpectedFile(sha256=self.sha256, md5_prefix=self.md5, size=self.size)


def is_file_name(name: str) -> bool:
    """Return whether a name stays in its folder on any system."""
    return bool(re.fullmatch(r'[^\x00-\x1f/\\:]{1,255}', name)) and name not in ('.', '..')
