"""A web server that can fail in every way that matters."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest


@dataclass
class Behaviour:
    """How one answer deviates from a good one."""

    status: int = 200
    cut_after: int | None = None  # bytes of the body, then the connection closes
    ignore_range: bool = False
    says_length: int | None = None
    omit_length: bool = False
    omit_validators: bool = False
    weak_etag: bool = False
    content_type: str = 'application/octet-stream'
    redirect: str = ''
    serves: str = ''  # another file than the one that was asked for
    wrong_part: bool = False
    wait_for: threading.Event | None = None  # after cut_after bytes, instead of closing


@dataclass
class FileServer:
    """Serves files; the n-th request is answered by the n-th behaviour, later ones by the last."""

    files: dict[str, bytes] = field(default_factory=dict)
    script: list[Behaviour] = field(default_factory=lambda: [Behaviour()])
    requests: list[tuple[str, str | None, str | None]] = field(default_factory=list)

    def start(self) -> None:
        handler = type('Handler', (_Handler,), {'owner': self})
        self._http = _QuietServer(('127.0.0.1', 0), handler)
        self._http.daemon_threads = True
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._http.shutdown()
        self._http.server_close()
        self._thread.join()

    @property
    def url(self) -> str:
        return f'http://127.0.0.1:{self._http.server_address[1]}'

    @property
    def ranges(self) -> list[str | None]:
        return [wanted for _, wanted, _ in self.requests]


@contextmanager
def serving(**files: bytes) -> Iterator[FileServer]:
    """A server at work, which no proxy of the environment hides."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv('no_proxy', '127.0.0.1')
        server = FileServer(files=dict(files))
        server.start()
        try:
            yield server
        finally:
            server.stop()


class _QuietServer(ThreadingHTTPServer):
    def handle_error(self, request: Any, client_address: Any) -> None:
        pass  # a client that hung up is what some tests are about


class _Handler(BaseHTTPRequestHandler):
    owner: FileServer
    protocol_version = 'HTTP/1.1'

    def log_message(self, *args: Any) -> None:
        pass

    def do_GET(self) -> None:
        owner = self.owner
        how = owner.script[min(len(owner.requests), len(owner.script) - 1)]
        owner.requests.append((self.path, self.headers.get('Range'), self.headers.get('If-Range')))
        body = owner.files.get(how.serves or self.path.lstrip('/'))
        self.close_connection = True
        if how.redirect:
            self._head(302, {'Location': how.redirect, 'Content-Length': '0'})
        elif how.status != 200 or body is None:
            self._head(404 if body is None else how.status, {'Content-Length': '0'})
        else:
            self._send_file(body, how)

    def _send_file(self, body: bytes, how: Behaviour) -> None:
        etag = f'"{hashlib.sha256(body).hexdigest()[:16]}"'
        headers = {'Content-Type': how.content_type}
        if not how.omit_validators:
            headers['ETag'] = f'W/{etag}' if how.weak_etag else etag
        start, asked = 0, self.headers.get('Range')
        condition = self.headers.get('If-Range')
        if asked and not how.ignore_range and condition in (None, etag):
            start = int(asked.removeprefix('bytes=').removesuffix('-')) - how.wrong_part
            if start >= len(body):
                self._head(416, {'Content-Range': f'bytes */{len(body)}', 'Content-Length': '0'})
                return
            headers['Content-Range'] = f'bytes {start}-{len(body) - 1}/{len(body)}'
        if not how.omit_length:
            headers['Content-Length'] = str(how.says_length or len(body) - start)
        self._head(206 if 'Content-Range' in headers else 200, headers)
        self.wfile.write(body[start:] if how.cut_after is None else body[start : start + how.cut_after])
        self.wfile.flush()
        if how.wait_for:
            how.wait_for.wait(20)

    def _head(self, status: int, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in {**headers, 'Connection': 'close'}.items():
            self.send_header(name, value)
        self.end_headers()
