"""Group E, files as such: names that lead outside, and texts that are cut, in another code, nested or empty."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Iterator
from pathlib import Path

from tests.corpus.tools.tiny import read, write_json
from tests.faults.conversions import DATA_FAULTS, REFUSED
from tests.faults.group_e import (
    NAME,
    Content,
    FileFault,
    command,
    data_set,
    image_with,
    judge_stock,
    records,
    trials,
)
from tests.faults.harness import Arena, Trial, Verdict, fault, lossy, survived


def escaping(arena: Arena) -> list[FileFault]:
    """File names that reach outside; a pipe lies there, which never ends for whoever reads it."""
    pipe = arena.root / 'outside' / 'pipe'
    if not pipe.exists():
        os.mkfifo(pipe)
    up = '../' * 5 + 'outside/'
    names = {
        'upwards': '../../../../etc/passwd',
        'to a pipe': f'{up}pipe',
        'to a file': f'{up}outside_0.bin',
        'down and up': f'x/../{up}pipe',
        'absolute': '/etc/passwd',
        'absolute to a pipe': str(pipe),
        'a drive': 'C:\\Windows\\win.ini',
        'a share': '\\\\server\\share\\x.png',
        'backslashes': '..\\..\\outside\\pipe',
        'a zero byte': '00000.png\0.jpg',
        'a line feed': '00000\n.png',
        'the folder above': '..',
    }
    merely_odd = {
        'the folder': '.',
        'a web address': 'https://example.org/x.png',
        'an address of a file': f'file://{pipe}',
        'half a character': '\ud800.png',
        'empty': '',
        'a number': 5,
    }
    return [
        *(image_with(name, {'code': REFUSED}, file_name=value) for name, value in names.items()),
        *(image_with(name, file_name=value) for name, value in merely_odd.items()),
    ]


@fault('E6.names', 'file names that leave the folder of their images', stock_losses=0.9, budget_s=30)
def names(arena: Arena) -> Iterator[Trial]:
    yield from trials(arena, escaping(arena))


def text_of(change: Callable[[bytes], bytes]) -> Callable[[Path], object]:
    return lambda path: path.write_bytes(change(path.read_bytes()))


def _with_literal(literal: str) -> Callable[[bytes], bytes]:
    return lambda data: data.replace(b'"area": 81', f'"area": 81, "score": {literal}'.encode(), 1)


DAMAGES: dict[str, Callable[[bytes], bytes]] = {
    'cut at 30 %': lambda data: data[: len(data) * 3 // 10],
    'cut at 90 %': lambda data: data[: len(data) * 9 // 10],
    'without its last byte': lambda data: data.rstrip()[:-1],
    'empty': lambda data: b'',
    'byte order mark': lambda data: b'\xef\xbb\xbf' + data,
    'UTF-16': lambda data: data.decode().encode('utf-16'),
    'no text': lambda data: b'\x89PNG\r\n\x1a\n' + bytes(200),
    'web page': lambda data: b'<!DOCTYPE html><html><body>Quota exceeded</body></html>',
    'twice': lambda data: data + data,
    'a list': lambda data: b'[' + data + b']',
    'null': lambda data: b'null',
    'not a number': _with_literal('NaN'),
    'endless': _with_literal('-Infinity'),
    'endless by its exponent': _with_literal('1e999'),
    'number of 5,000 digits': _with_literal('1' * 5000),
    'half a character': lambda data: data.replace(b'"tiny"', b'"\\ud83d"', 1),
    'nested 100,000 times': lambda data: b'[' * 100_000,
    'nested in a record': _with_literal('[' * 100_000 + ']' * 100_000),
    'nested tables': _with_literal('{"a":' * 100_000 + '1' + '}' * 100_000),
}


def _emptied(content: Content) -> None:
    content.update(images=[], annotations=[])


EMPTY = [
    records('no images key', lambda c: c.pop('images')),
    records('images null', lambda c: c.update(images=None)),
    records('no annotations key', lambda c: c.pop('annotations')),
]


@fault(
    'E7.damage',
    'files that are cut, in another code, nested without end, or without images',
    stock_losses=0.03,
)
def damage(arena: Arena) -> Iterator[Trial]:
    cases = [FileFault(name, text_of(change)) for name, change in DAMAGES.items()]
    alone = FileFault('no images', empty_alone)
    yield from trials(arena, [*cases, *EMPTY, alone])


def empty_alone(path: Path) -> None:
    """A data set that is all test may have no other images; one without test part may not."""
    path.with_name(f'test.{NAME}').unlink()
    content = read(path)
    _emptied(content)
    write_json(path, content)


SIDE_FILES: dict[str, Callable[[Path], object]] = {
    'manifest nested': lambda path: (path.parents[1] / 'manifest.json').write_bytes(b'[' * 100_000),
    'manifest as list': lambda path: write_json(path.parents[1] / 'manifest.json', [1]),
    'manifest of lists': lambda path: write_json(
        path.parents[1] / 'manifest.json', {'files': {'images/00000.png': [1]}}
    ),
    'manifest of numbers': lambda path: write_json(
        path.parents[1] / 'manifest.json', {'files': {'images/00000.png': 5}}
    ),
}


@fault('E7.manifest', 'a manifest that is damaged', stock_losses=0)
def manifests(arena: Arena) -> Iterator[Trial]:
    for number, (name, plant) in enumerate(SIDE_FILES.items()):
        path = data_set(arena.work / str(number))
        plant(path)
        run = functools.partial(_judge_manifest, path) if arena.ours else functools.partial(judge_stock, path)
        yield Trial(name, run)


def _judge_manifest(path: Path) -> Verdict:
    for tool in ('build_corpus', 'verify'):
        done = command(tool, path.parents[2])
        if done.code != DATA_FAULTS or str(path.parents[1] / 'manifest.json') not in done.text:
            return lossy(f'{tool} exits {done.code}: {done.text}')
    return survived()
