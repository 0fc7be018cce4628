"""Bytes from a web server into a partial file, over as many connections as it takes."""

from __future__ import annotations

import http.client
import json
import re
import ssl
import time
from dataclasses import dataclass
from email.message import Message
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.parse import urlsplit
from urllib.request import (
    HTTPDefaultErrorHandler,
    HTTPErrorProcessor,
    HTTPHandler,
    HTTPRedirectHandler,
    HTTPSHandler,
    OpenerDirector,
    ProxyHandler,
    Request,
)

from tqdm import tqdm

from ultrasam.downloads.integrity import DownloadError
from ultrasam.downloads.partial import Origin, PartialFile

_CHUNK_BYTES = 1 << 18
_PASSING_STATUSES = (408, 425, 429, 500, 502, 503, 504)
_LONGEST_WAIT_S = 60.0
_MOST_JSON_BYTES = 16 << 20


class _InterruptedError(Exception):
    """A failure that another try may mend; ``wait_s`` is how long the server asks to wait."""

    def __init__(self, reason: str, wait_s: float = 0.0) -> None:
        super().__init__(reason)
        self.wait_s = wait_s


@dataclass(frozen=True, kw_only=True)
class Patience:
    """How long to try.

    Args:
        attempts: tries in a row without one new byte.
        first_wait_s: seconds before the second try; doubles with each further one, up to a minute.
        timeout_s: seconds without an answer that end a try.
    """

    attempts: int = 5
    first_wait_s: float = 1.0
    timeout_s: float = 30.0


PATIENCE = Patience()
"""What a user who waits at the terminal has."""


def receive(
    url: str,
    part: PartialFile,
    *,
    size: int | None,
    verifiable: bool,
    patience: Patience,
    show_progress: bool,
) -> None:
    """Fetch a file into its partial file, going on where an earlier try stopped.

    Args:
        url: http or https address.
        part: where the bytes go; claimed by the caller.
        size: bytes that the file has, if known for certain.
        verifiable: whether a digest will be compared afterwards. Without one, bytes are only added to
            earlier ones if the server confirms that they are of one version, and its answer must say its length.
        patience: how long to try.
        show_progress: draw a bar where the output is a terminal.

    Raises:
        DownloadError: no answer, a refusal, a web page, a wrong length; what arrived stays for the next time.
        OutputError: the disk is full or cannot be written.
    """
    failures, farthest = 0, part.length
    while True:
        try:
            return _attempt(url, part, size, verifiable, patience.timeout_s, show_progress)
        except _InterruptedError as error:
            failures = 1 if part.length > farthest else failures + 1
            farthest = max(farthest, part.length)
            kept = f'{part.length:,} bytes are kept: run again to go on' if part.length else 'Nothing came'
            _wait_or_give_up(url, error, failures, patience, kept)


def read_json(url: str, patience: Patience) -> Any:
    """Ask a web server for a small JSON document.

    Args:
        url: http or https address.
        patience: How long to try.

    Raises:
        DownloadError: No answer, a refusal, or an answer that is no JSON.
    """
    failures = 0
    while True:
        try:
            return _ask(url, patience.timeout_s)
        except _InterruptedError as error:
            failures += 1
            _wait_or_give_up(url, error, failures, patience, 'Nothing came')


def _ask(url: str, timeout_s: float) -> Any:
    """One question and its answer."""
    try:
        with _opener().open(_plain_request(url), timeout=timeout_s) as response:
            length = response.headers.get('Content-Length', '')
            text = b''
            while len(text) <= _MOST_JSON_BYTES and (chunk := _read(response, timeout_s)):
                text += chunk
    except HTTPError as error:
        with error:
            raise _refusal(url, error) from error
    except (URLError, OSError, http.client.HTTPException) as error:
        raise _no_answer(url, error) from error
    if length.isdecimal() and len(text) < int(length):
        raise _InterruptedError(f'the connection ended after {len(text):,} of {int(length):,} bytes')
    try:
        if len(text) > _MOST_JSON_BYTES:
            raise ValueError(f'it has more than {_MOST_JSON_BYTES:,} bytes')
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise DownloadError(f'{url}: the answer is no JSON document ({error})') from error


def _wait_or_give_up(
    url: str, error: _InterruptedError, failures: int, patience: Patience, kept: str
) -> None:
    """Wait before the next try; raise DownloadError after the last."""
    if failures >= patience.attempts:
        raise DownloadError(
            f'{url}: {error}; gave up after {failures} tries in a row without progress. {kept}'
        ) from error
    wait_s = max(error.wait_s, patience.first_wait_s * 2 ** (failures - 1))
    time.sleep(min(wait_s, _LONGEST_WAIT_S))


def _attempt(
    url: str, part: PartialFile, size: int | None, verifiable: bool, timeout_s: float, show_progress: bool
) -> None:
    """One connection, to the end of the file."""
    request = _request(url, part, verifiable)
    origin = part.origin()
    if origin is not None and request.has_header('Range') and part.length == origin.total:
        return  # an earlier call stopped between the last byte and the check
    try:
        response = _opener().open(request, timeout=timeout_s)
    except HTTPError as error:
        with error:
            if error.code == 416:
                part.forget()
            raise _refusal(url, error) from error
    except (URLError, OSError, http.client.HTTPException) as error:
        raise _no_answer(url, error) from error
    with response:
        _place(url, response, part, size, verifiable)
        _copy(url, response, part, timeout_s, show_progress)


def _request(url: str, part: PartialFile, verifiable: bool) -> Request:
    """Ask for the rest if bytes of this very file are there, else for all of it."""
    request = _plain_request(url)
    origin = part.origin()
    if not part.length or origin is None or origin.url != url or not (origin.validator or verifiable):
        return request
    request.add_header('Range', f'bytes={part.length}-')
    if origin.validator:
        request.add_header('If-Range', origin.validator)
    return request


def _plain_request(url: str) -> Request:
    """Ask for a whole document, as it is."""
    if urlsplit(url).scheme not in ('http', 'https'):
        raise DownloadError(f'{url}: only http and https addresses are fetched')
    return Request(url, headers={'Accept-Encoding': 'identity', 'User-Agent': 'ultrasam'})  # noqa: S310 (checked above)


def _place(url: str, response: Any, part: PartialFile, size: int | None, verifiable: bool) -> None:
    """Decide from the headers where the bytes of an answer belong."""
    headers: Message = response.headers
    if headers.get_content_type() in ('text/html', 'application/xhtml+xml'):
        raise DownloadError(
            f'{url}: answered with a web page, not with a file. Open the address in a browser to see what it asks for'
        )
    if headers.get('Content-Encoding', 'identity') != 'identity':
        raise DownloadError(f'{url}: answered with compressed bytes, which was not asked for')
    length = headers.get('Content-Length', '')
    announced = int(length) if length.isdecimal() else None
    if response.status == 206:
        _check_continuation(response, part)
        return
    if response.status != 200:
        raise DownloadError(f'{url}: answered with status {response.status}')
    if announced is None and not verifiable and size is None:
        raise DownloadError(
            f'{url}: the server does not say how long the file is and no digest of it is known: '
            'nothing would show that it is whole'
        )
    if size is not None and announced is not None and announced != size:
        raise DownloadError(f'{url}: the server has {announced:,} bytes, but the file should have {size:,}')
    total = announced if announced is not None else size
    part.ensure_space((total or 0) - part.length)
    part.restart(Origin(url=url, validator=_validator(headers), total=total))


def _check_continuation(response: Any, part: PartialFile) -> None:
    """See that the bytes go on exactly where ours end."""
    match = re.fullmatch(r'bytes (\d+)-\d+/(\d+|\*)', response.headers.get('Content-Range', ''))
    origin = part.origin()
    same_total = match is not None and origin is not None and match[2] in ('*', str(origin.total))
    if match is None or int(match[1]) != part.length or not same_total:
        part.forget()
        raise _InterruptedError('the server sent another part of the file than the one asked for')
    part.ensure_space(origin.total - part.length if origin and origin.total else 0)


def _copy(url: str, response: Any, part: PartialFile, timeout_s: float, show_progress: bool) -> None:
    """Read an answer to its end into the partial file."""
    origin = part.origin()
    total = origin.total if origin is not None else None
    with tqdm(
        desc=part.target.name,
        total=total,
        initial=part.length,
        unit='B',
        unit_scale=True,
        disable=None if show_progress else True,
    ) as bar:
        while chunk := _read(response, timeout_s):
            if part.length == 0 and chunk[:512].lstrip().lower().startswith((b'<!doctype html', b'<html')):
                raise DownloadError(f'{url}: answered with a web page, not with a file')
            part.append(chunk)
            bar.update(len(chunk))
    if total is not None and part.length < total:
        raise _InterruptedError(f'the connection ended after {part.length:,} of {total:,} bytes')
    if total is not None and part.length > total:
        part.forget()
        raise _InterruptedError(f'more than the announced {total:,} bytes came')


def _read(response: Any, timeout_s: float) -> bytes:
    """The next bytes; none at the end."""
    try:
        return response.read1(_CHUNK_BYTES)
    except TimeoutError as error:
        raise _InterruptedError(f'nothing came for {timeout_s:g} seconds') from error
    except (OSError, http.client.HTTPException) as error:
        raise _InterruptedError(f'the connection broke ({error or type(error).__name__})') from error


def _validator(headers: Message) -> str | None:
    """What ``If-Range`` may carry: a strong ETag, or else the date of the version."""
    etag = headers.get('ETag')
    if etag and not etag.startswith('W/'):
        return str(etag)
    date = headers.get('Last-Modified')
    return str(date) if date else None


def _refusal(url: str, error: HTTPError) -> Exception:
    """What an error status means: to be tried again, or final."""
    if error.code == 416:
        return _InterruptedError('the server has no such part of the file')
    if error.code in _PASSING_STATUSES:
        asked = error.headers.get('Retry-After', '')
        return _InterruptedError(
            f'status {error.code} ({error.reason})', float(asked) if asked.isdecimal() else 0.0
        )
    if error.code in (404, 410):
        return DownloadError(f'{url}: there is no such file (status {error.code})')
    return DownloadError(f'{url}: refused with status {error.code} ({error.reason})')


def _no_answer(url: str, error: Exception) -> Exception:
    """A connection that failed: to be tried again, unless the certificate is the reason."""
    reason = getattr(error, 'reason', error)
    if isinstance(reason, ssl.SSLCertVerificationError):
        return DownloadError(f'{url}: the certificate of the server is not valid ({reason.verify_message})')
    return _InterruptedError(f'no answer ({reason})')


class _WebRedirects(HTTPRedirectHandler):
    """Follows redirects within the web only, and never from https down to http."""

    def redirect_request(
        self, req: Request, fp: Any, code: int, msg: str, headers: Any, newurl: str
    ) -> Request | None:
        """Check where a redirect leads before it is followed."""
        scheme = urlsplit(newurl).scheme
        if scheme not in ('http', 'https') or (req.type == 'https' and scheme == 'http'):
            raise HTTPError(req.full_url, code, f'redirect to {newurl}', headers, fp)
        return super().redirect_request(req, fp, 307 if code == 308 else code, msg, headers, newurl)

    http_error_308 = HTTPRedirectHandler.http_error_302  # Python 3.10 does not follow it by itself


def _opener() -> OpenerDirector:
    """A client without handlers for files, FTP or data addresses; proxies are those of the environment."""
    opener = OpenerDirector()
    for handler in (
        ProxyHandler(),
        HTTPHandler(),
        HTTPSHandler(),
        HTTPDefaultErrorHandler(),
        _WebRedirects(),
        HTTPErrorProcessor(),
    ):
        opener.add_handler(handler)
    return opener
