"""How frames travel between processes: a line of JSON, then the pixels as they are.

JSON and bytes, nothing that could run code: what a decoder was made to write is data here too.
"""

from __future__ import annotations

import json
import socket
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from ultrasam.structures.frames import Frame, VolumeGeometry

# more than a header ever has: the longest thing in it is a message
_LONGEST_HEADER = 1 << 20


class Connection:
    """Messages over a connected socket; of each, the header is a dictionary.

    Args:
        channel: the socket; it is closed with the connection.
        timeout_s: how long to wait for the next bytes of a message, or None for as long as it takes.
    """

    def __init__(self, channel: socket.socket, *, timeout_s: float | None = None) -> None:
        channel.settimeout(timeout_s)
        self._channel = channel
        self._pending = b''

    def send(self, header: dict[str, Any], pixels: np.ndarray | None = None) -> None:
        """Send a header, and pixels of which the header tells the shape.

        Raises:
            OSError: the other side is gone, or takes nothing.
        """
        self._channel.sendall(json.dumps(header).encode() + b'\n')
        if pixels is not None:
            self._channel.sendall(np.ascontiguousarray(pixels).reshape(-1).data)

    def receive(self) -> dict[str, Any]:
        """The next header.

        Raises:
            EOFError: the other side is gone.
            OSError: it is silent for longer than the timeout, or was cut off.
        """
        while b'\n' not in self._pending:
            if len(self._pending) > _LONGEST_HEADER:
                raise EOFError('no message')
            chunk = self._channel.recv(1 << 16)
            if not chunk:
                raise EOFError('the other side is gone')
            self._pending += chunk
        line, _, self._pending = self._pending.partition(b'\n')
        return json.loads(line)

    def receive_pixels(self, shape: tuple[int, ...]) -> np.ndarray:
        """The pixels after a header, uint8; raises as :meth:`receive` does."""
        pixels = np.empty(shape, np.uint8)
        view = pixels.reshape(-1).data
        done = min(len(self._pending), len(view))
        view[:done], self._pending = self._pending[:done], self._pending[done:]
        while done < len(view):
            count = self._channel.recv_into(view[done:])
            if not count:
                raise EOFError('the other side is gone')
            done += count
        return pixels

    def close(self) -> None:
        """Cut the connection; a second call does nothing."""
        self._channel.close()


def frame_header(frame: Frame) -> dict[str, Any]:
    """What a frame is, without its pixels and its file."""
    return {
        'shape': frame.image.shape,
        'index': frame.index,
        'spacing_mm': frame.spacing_mm,
        'geometry': None if frame.geometry is None else asdict(frame.geometry),
    }


def frame_of(header: dict[str, Any], image: np.ndarray, source: Path) -> Frame:
    """The frame that :func:`frame_header` describes."""
    spacing, geometry = header['spacing_mm'], header['geometry']
    place: dict[str, Any] = {
        name: tuple(value) if isinstance(value, list) else value for name, value in (geometry or {}).items()
    }
    return Frame(
        image=image,
        source=source,
        index=header['index'],
        spacing_mm=None if spacing is None else (spacing[0], spacing[1]),
        geometry=VolumeGeometry(**place) if place else None,
    )
