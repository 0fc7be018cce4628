"""A COCO file of any size read record by record, with the place of each in the file; memory does not grow with it."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from typing import IO, Any

from ultrasam.errors import AnnotationError

SECTIONS = ('images', 'annotations', 'categories')
INFO = 'info'
# bytes read at once: enough that few records are parsed twice because they are cut by an end
_CHUNK = 1 << 22
# a number or a word that is cut by the end of a chunk is refused at most this far before it
_LONGEST_WORD = 32
_SPACE = re.compile(r'[ \t\n\r]*')
_BYTE_ORDER_MARK = '\xef\xbb\xbf'
_parse = json.JSONDecoder().raw_decode


def scan_coco(
    file: IO[bytes], name: str, saw: Callable[[bytes], object]
) -> Iterator[tuple[str, dict[str, Any], int, int]]:
    """Read a COCO file once from its start to its end.

    Args:
        file: The file, opened for reading.
        name: What errors call it.
        saw: Is given all bytes of the file, in order.

    Yields:
        Section (``images``, ``annotations`` or ``categories``), record, and the bytes of the file that spell it: the
        first, and the one behind the last. What the file says of itself comes as the record of ``info``.

    Raises:
        AnnotationError: It is empty, not JSON, not a COCO object, or one of the sections is there twice or not a list
            of records.
    """
    window = _Window(file, saw)
    try:
        yield from _records(window, name)
    except OSError as error:
        raise AnnotationError(f'annotation file {name} cannot be read: {error.strerror}') from error
    except (ValueError, RecursionError) as error:
        fault = 'is empty' if window.is_empty else f'is not valid JSON ({error})'
        raise AnnotationError(f'annotation file {name} {fault}: write or fetch it again') from error


def _records(window: _Window, name: str) -> Iterator[tuple[str, dict[str, Any], int, int]]:
    if window.peek() != '{':
        kind = type(window.value()[0]).__name__
        raise AnnotationError(f'annotation file {name} holds a {kind}, not a COCO object: export COCO')
    seen = set()
    for _ in window.members('{}'):
        key = window.key()
        if key not in SECTIONS:
            value, start, stop = window.value()
            if key == INFO and isinstance(value, dict):
                yield INFO, value, start, stop
            continue
        if key in seen:
            raise AnnotationError(f'annotation file {name} has {key!r} twice: export it again')
        seen.add(key)
        is_list = window.peek() == '['
        for _ in window.members('[]') if is_list else ():
            record, start, stop = window.value()
            if not isinstance(record, dict):
                is_list = False
                break
            yield key, record, start, stop
        if not is_list:
            raise AnnotationError(
                f'annotation file {name} has no list of records {key!r}: export it as COCO instances'
            )
    window.expect('')


class _Window:
    """A window of text that moves over the file; a letter is a byte, so that places are those of the file."""

    def __init__(self, file: IO[bytes], saw: Callable[[bytes], object]) -> None:
        self._file = file
        self._saw = saw
        self._text = ''
        self._at = 0
        # place in the file of the first letter of the window
        self._begin = 0
        self._is_end = False
        self.is_empty = True

    def peek(self) -> str:
        """Return the next letter that is no space, or '' at the end."""
        while True:
            match = _SPACE.match(self._text, self._at)
            self._at = match.end() if match else self._at
            if self._at < len(self._text) or self._is_end:
                return self._text[self._at : self._at + 1]
            self._read_on()

    def expect(self, letter: str) -> None:
        """Pass over a letter, or see that the file ends; raises ValueError for anything else."""
        if self.peek() != letter:
            raise self._refused(f'Expecting {letter!r}' if letter else 'Extra data')
        self._at += len(letter)

    def members(self, brackets: str) -> Iterator[None]:
        """Pass over the brackets and commas of an object or list; between them the caller reads each member."""
        self.expect(brackets[0])
        if self.peek() != brackets[1]:
            yield
            while self.peek() == ',':
                self.expect(',')
                yield
        self.expect(brackets[1])

    def key(self) -> str:
        """Read the key of a member of an object."""
        if self.peek() != '"':
            raise self._refused('Expecting property name enclosed in double quotes')
        key = str(self.value()[0])
        self.expect(':')
        return key

    def value(self) -> tuple[Any, int, int]:
        """Read the next JSON value; return it with its bytes in the file."""
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
                    self._at = error.pos
                    raise self._refused(error.msg) from error
            else:
                if end < len(self._text) or self._is_end:
                    break
            self._read_on()
        start, self._at = self._at, end
        spelling = self._text[start:end]
        if not spelling.isascii():
            value = json.loads(spelling.encode('latin-1').decode())
        return value, self._begin + start, self._begin + end

    def _read_on(self) -> None:
        # a record that is longer than the window doubles it; the first chunk is never shorter than the mark
        data = self._file.read(max(_CHUNK, len(self._text) - self._at, 3))
        self._saw(data)
        self._is_end = not data
        self._text, self._begin, self._at = (
            self._text[self._at :] + data.decode('latin-1'),
            self._begin + self._at,
            0,
        )
        if self.is_empty and self._text.startswith(_BYTE_ORDER_MARK):
            self._at = len(_BYTE_ORDER_MARK)
        self.is_empty = self.is_empty and not data

    def _refused(self, fault: str) -> ValueError:
        return ValueError(f'{fault} at byte {self._begin + self._at}')
