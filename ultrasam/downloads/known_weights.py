"""What is known about a published file of weights, and tables of it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

from ultrasam.downloads.integrity import ExpectedFile
from ultrasam.errors import ConfigError
from ultrasam.markdown import markdown_table

TORCHVISION = 'torchvision'
"""Scheme of an address that torchvision's own table of weights resolves: ``torchvision://ENUM.MEMBER``."""

_COLUMNS = ('name', 'MB', 'licence', 'checked by', 'for')


@dataclass(frozen=True, kw_only=True)
class KnownWeights:
    """A published file of weights.

    Args:
        name: what a user types.
        file: its name on disk, which the configs use; a mirror keeps it under this name.
        urls: where it is, best first; empty if no address gives the file without a person's click.
        page: the web page that offers or describes it.
        size_mb: about how large, in 10^6 bytes.
        licence: the terms that its publishers state.
        citation: the paper to cite.
        purpose: what this package uses it for.
        sha256: all 64 digits, if known.
        sha256_source: who says so; required with ``sha256``.
        sha256_prefix: the digits that its published name carries.
        md5_prefix: the same, for publishers that use MD5.
        unsure: what about this entry was not checked, and why; empty if nothing.

    Raises:
        ConfigError: a field is missing or malformed.
    """

    name: str
    file: str
    urls: tuple[str, ...]
    page: str
    size_mb: int
    licence: str
    citation: str
    purpose: str
    sha256: str | None = None
    sha256_source: str = ''
    sha256_prefix: str | None = None
    md5_prefix: str | None = None
    unsure: str = ''

    def __post_init__(self) -> None:
        """Refuse an entry that could not be fetched or understood."""
        faults = [
            f'{field} is empty'
            for field in ('page', 'licence', 'citation', 'purpose')
            if not getattr(self, field)
        ]
        if not re.fullmatch(r'[A-Za-z0-9][\w.-]*', self.name):
            faults.append('name must be letters, digits, dots, dashes and underscores')
        if not re.fullmatch(r'[A-Za-z0-9][\w.-]*\.[a-z]+', self.file):
            faults.append(f'file {self.file!r} is no plain file name')
        faults += [
            f'address {url!r} is not https'
            for url in (*self.urls, self.page)
            if urlsplit(url).scheme not in ('https', TORCHVISION) or not urlsplit(url).netloc
        ]
        if self.size_mb <= 0:
            faults.append('size_mb must be positive')
        if bool(self.sha256) != bool(self.sha256_source):
            faults.append('sha256 and sha256_source go together')
        if faults:
            raise ConfigError(f'known weights {self.name!r}: {"; ".join(faults)}')
        _ = self.expected

    @property
    def expected(self) -> ExpectedFile:
        """What a fetched file is compared with."""
        return ExpectedFile(sha256=self.sha256, sha256_prefix=self.sha256_prefix, md5_prefix=self.md5_prefix)

    @property
    def checked_by(self) -> str:
        """What a fetched file is compared with, in words."""
        if self.sha256:
            return f'sha256 ({self.sha256_source})'
        known_by = self.expected.known_by
        return (
            f'{known_by}, then the sha256 of the first fetch' if known_by else 'the sha256 of the first fetch'
        )


def select_weights(table: Sequence[KnownWeights], names: Iterable[str]) -> list[KnownWeights]:
    """Find entries by name, in the order asked, each once.

    Raises:
        ConfigError: a name is unknown.
    """
    by_name = {entry.name.lower(): entry for entry in table}
    wanted = list(dict.fromkeys(name.lower().removesuffix('.pth') for name in names))
    unknown = [name for name in wanted if name not in by_name]
    if unknown:
        raise ConfigError(f'unknown: {", ".join(unknown)}. Known: {", ".join(entry.name for entry in table)}')
    return [by_name[name] for name in wanted]


def list_weights(table: Sequence[KnownWeights], *, markdown: bool = False) -> str:
    """The entries as a table, for a terminal or for a document."""
    rows = [
        (entry.name, f'{entry.size_mb:,}', entry.licence, _checked_by(entry), entry.purpose)
        for entry in table
    ]
    if markdown:
        return _as_markdown(table, rows)
    widths = [max(len(row[column]) for row in [_COLUMNS, *rows]) for column in range(len(_COLUMNS) - 1)]
    lines = [
        '  '.join([*(cell.ljust(width) for cell, width in zip(row, widths, strict=False)), row[-1]])
        for row in [_COLUMNS, *rows]
    ]
    return '\n'.join(lines) + '\n'


def _checked_by(entry: KnownWeights) -> str:
    """A few words for a cell; an address that asks for a click is said here too."""
    words = entry.expected.known_by or 'first fetch'
    return words if entry.urls else f'{words}; by hand'


def _as_markdown(table: Sequence[KnownWeights], rows: Sequence[tuple[str, ...]]) -> str:
    """The table, and one paragraph an entry with what does not fit a cell."""
    linked = [[f'[{row[0]}]({entry.page})', *row[1:]] for entry, row in zip(table, rows, strict=True)]
    lines = [markdown_table(_COLUMNS, linked)]
    lines += ['']
    for entry in table:
        lines.append(f'- **{entry.name}**: `{entry.file}`. {entry.citation}. Checked by {entry.checked_by}.')
        if not entry.urls:
            lines.append('  No address gives the file without a click: download it from its page by hand.')
        if entry.unsure:
            lines.append(f'  Not verified by us: {entry.unsure}.')
    return '\n'.join(lines) + '\n'
