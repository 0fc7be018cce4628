"""A COCO file of any size read record by record, with the place of each in the file; memory does not grow with it."""

from __future__ import annotations

import codecs
import json
import re
from collections.abc import Callable
from typing import IO, Any, Protocol

from ultrasam.errors import AnnotationError

SECTIONS = ('images', 'annotations', 'categories')
# bytes read at once: enough that few records are parsed twice because they are cut by an end
_CHUNK = 1 << 22
# a number or a word that is cut by the end of a chunk is refused at most this far before it
_LONGEST_WORD = 32
_SPACE = re.compile(r'[ \t\n\r]*')
_parse = json.JSONDecoder().raw_decode


class RecordSink(Protocol):
    """Takes what a file holds, in its order."""

    def begin(self, section: str, *, is_list: bool) -> None:
        """A section starts; of two with the same name the last one counts."""

    def add(self, section: str, record: Any, start: int, stop: int) -> None:
        """A record of a section, and the bytes of the file that spell it."""


def scan_coco(file: IO[bytes], name: str, sink: RecordSink, saw: Callable[[bytes], object]) -> None:
    """Read a COCO file once from its start to its end.

    Args:
        file: opened for reading.
        name: how errors call it.
        sink: takes the records of ``images``, ``annotations`` and ``categories``; the rest is passed over.
        saw: is given all bytes of the file, in order.

    Raises:
        AnnotationError: it is empty, no JSON, or no JSON object.
    """
    stream = _Stream(file, saw)
    try:
        if stream.peek() == '{':
            stream.scan_object(sink)
            return
        value = stream.value()
        stream.expect_end()
    except OSError as error:
        raise AnnotationError(f'annotation file {name} cannot be read: {error.strerror}') from error
    except (ValueError, RecursionError) as error:
        fault = 'is empty' if stream.is_empty else f'is not valid JSON ({error})'
        raise AnnotationError(f'annotation file {name} {fault}: write or fetch it again') from error
    raise AnnotationError(
        f'annotation file {name} holds a {type(value).__name__}, not a COCO object: export COCO'
    )


class _Stream:
    """A window of text that moves over the file."""

    def __init__(self, file: IO[bytes], saw: Callable[[bytes], object]) -> None:
        self._file = file
        self._saw = saw
        self._decoder = codecs.getincrementaldecoder('utf-8')()
        self._text = ''
        self._is_ascii = True
        self._at = 0
        # place in the file, in bytes, of the letter at self._at
        self._byte = 0
        self._is_end = False
        self.is_empty = True

    def scan_object(self, sink: RecordSink) -> None:
        """Read the object that the file consists of."""
        self._take('{')
        while self.peek() != '}':
            if self.peek() != '"':
                raise self._refused('Expecting property name enclosed in double quotes')
            key = self.value()
            self._take(':')
            if key not in SECTIONS:
                self.value()
            elif self.peek() == '[':
                sink.begin(key, is_list=True)
                self._scan_list(key, sink)
            else:
                sink.begin(key, is_list=False)
                self.value()
            if self.peek() == '}':
                break
            self._take(',')
            if self.peek() == '}':
                raise self._refused('Expecting property name enclosed in double quotes')
        self._take('}')
        self.expect_end()

    def _scan_list(self, section: str, sink: RecordSink) -> None:
        self._take('[')
        if self.peek() == ']':
            self._take(']')
            return
        while True:
            self.peek()
            start = self._byte
            record = self.value()
            sink.add(section, record, start, self._byte)
            if self.peek() == ']':
                self._take(']')
                return
            self._take(',')

    def peek(self) -> str:
        """The next letter that is no space, or nothing at the end."""
        while True:
            match = _SPACE.match(self._text, self._at)
            self._move(match.end() if match else self._at)
            if self._at < len(self._text) or self._is_end:
                return self._text[self._at : self._at + 1]
            self._read_on()

    def value(self) -> Any:
        """The next JSON value."""
        self.peek()
        while True:
            try:
                value, end = _parse(self._text, self._at)
            except json.JSONDecodeError as error:
                # only what stops at the end of the window may go on behind it
                is_cut = error.msg.startswith('Unterminated') or (
                    error.pos >= len(self._text) - _LONGEST_WORD
                )
                if self._is_end or not is_cut:
                    self._move(error.pos)
                    raise self._refused(error.msg) from error
            else:
                if end < len(self._text) or self._is_end:
                    self._move(end)
                    return value
            self._read_on()

    def expect_end(self) -> None:
        """See that nothing follows."""
        if self.peek():
            raise self._refused('Extra data')

    def _take(self, letter: str) -> None:
        if self.peek() != letter:
            raise self._refused(f'Expecting {letter!r}')
        self._move(self._at + 1)

    def _move(self, at: int) -> None:
        passed = at - self._at
        self._byte += passed if self._is_ascii else len(self._text[self._at : at].encode())
        self._at = at

    def _read_on(self) -> None:
        # a record that is longer than the window doubles it
        data = self._file.read(max(_CHUNK, len(self._text) - self._at))
        self._saw(data)
        self._is_end = not data
        self.is_empty = self.is_empty and not data
        self._text = self._text[self._at :] + self._decoder.decode(data, final=self._is_end)
        self._at = 0
        self._is_ascii = self._text.isascii()
        # the mark that tools of Windows write before UTF-8
        if self._byte == 0 and self._text.startswith('\ufeff'):
            self._move(1)

    def _refused(self, fault: str) -> ValueError:
        return ValueError(f'{fault} at byte {self._byte}')
