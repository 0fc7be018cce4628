"""Files of a record by its DOI, as Zenodo, Mendeley Data and figshare list them."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from ultrasam.downloads.download import is_file_name
from ultrasam.downloads.integrity import DownloadError, ExpectedFile
from ultrasam.downloads.transfer import PATIENCE, Patience, read_json
from ultrasam.errors import ConfigError


@dataclass(frozen=True, kw_only=True)
class RecordFile:
    """A file of a record.

    Args:
        name: Its name.
        url: Where it is.
        expected: Size and digest that the record states.
    """

    name: str
    url: str
    expected: ExpectedFile


@dataclass(frozen=True, kw_only=True)
class Services:
    """Addresses of the programming interfaces that list records."""

    zenodo: str = 'https://zenodo.org/api'
    mendeley: str = 'https://data.mendeley.com/public-api'
    figshare: str = 'https://api.figshare.com/v2'


SERVICES = Services()


def list_record(doi: str, services: Services = SERVICES, patience: Patience = PATIENCE) -> list[RecordFile]:
    """Ask a service which files a record has.

    Args:
        doi: DOI of the record.
        services: Whom to ask.
        patience: How long to try.

    Raises:
        ConfigError: The DOI is of no service that can be asked.
        DownloadError: No answer, or one that is no list of files.
    """
    for pattern, read in _READERS.items():
        if match := re.fullmatch(pattern, doi, re.IGNORECASE):
            try:
                return read(services, match, patience)
            except (KeyError, TypeError, AttributeError, ValueError) as error:
                raise DownloadError(
                    f'doi {doi}: the answer of its site is not a list of files ({type(error).__name__}: {error})'
                ) from error
    raise ConfigError(f'doi {doi}: only records of Zenodo, Mendeley Data and figshare can be looked up')


def _zenodo(services: Services, doi: re.Match[str], patience: Patience) -> list[RecordFile]:
    answer = read_json(f'{services.zenodo}/records/{doi[1]}', patience)
    return [
        _record_file(one['key'], one['links']['self'], one.get('size'), _digests(one.get('checksum')))
        for one in _each(answer['files'])
    ]


def _mendeley(services: Services, doi: re.Match[str], patience: Patience) -> list[RecordFile]:
    number, version = doi[1], doi[2]
    answer = read_json(
        f'{services.mendeley}/datasets/{number}/files?folder_id=root&version={version}', patience
    )
    files = []
    for one in _each(answer):
        details = one['content_details']
        digests = {'sha256': details.get('sha256_hash')}
        files.append(_record_file(one['filename'], details['download_url'], details.get('size'), digests))
    # the whole record, folders included; it is packed on demand, so that no digest of it is known
    whole = f'{services.mendeley}/zip/{number}/download/{version}'
    return [*files, _record_file(f'{number}-{version}.zip', whole, None, {})]


def _figshare(services: Services, doi: re.Match[str], patience: Patience) -> list[RecordFile]:
    version = f'/versions/{doi[2]}' if doi[2] else ''
    answer = read_json(f'{services.figshare}/articles/{doi[1]}{version}', patience)
    return [
        _record_file(
            one['name'],
            one['download_url'],
            one.get('size'),
            {'md5_prefix': one.get('supplied_md5') or one.get('computed_md5')},
        )
        for one in _each(answer['files'])
    ]


_READERS: Mapping[str, Callable[[Services, re.Match[str], Patience], list[RecordFile]]] = {
    r'10\.5281/zenodo\.(\d+)': _zenodo,
    r'10\.17632/([0-9a-z]+)\.(\d+)': _mendeley,
    r'10\.6084/m9\.figshare\.(\d+)(?:\.v(\d+))?': _figshare,
}


def _each(answer: Any) -> Sequence[Mapping[str, Any]]:
    if not isinstance(answer, list):
        raise TypeError('no list')
    return answer


def _digests(checksum: str | None) -> dict[str, str | None]:
    """Digest of Zenodo, such as ``md5:0123...``; others than those that are compared are passed over."""
    kind, _, digits = (checksum or '').partition(':')
    return {{'md5': 'md5_prefix', 'sha256': 'sha256'}[kind]: digits} if kind in ('md5', 'sha256') else {}


def _record_file(name: str, url: str, size: int | None, digests: Mapping[str, str | None]) -> RecordFile:
    if not is_file_name(name):
        raise ValueError(f'a file is called {name!r}')
    if urlsplit(url).scheme not in ('http', 'https'):
        raise ValueError(f'{name} is at {url!r}')
    known = {key: digits.lower() for key, digits in digests.items() if digits}
    return RecordFile(name=name, url=url, expected=ExpectedFile(size=size or None, **known))
