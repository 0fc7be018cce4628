"""Group C: image files that are damaged, deceiving, or of an unusual kind."""

from __future__ import annotations

import functools
import io
import os
import socket
import struct
import unicodedata
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from PIL import Image

from tests.corpus.raw_trees.common import save, speckle
from tests.faults.cases import Case, batches
from tests.faults.conversions import (
    MASK,
    REFUSED,
    Job,
    lay_tiny,
    run,
    tiny_script,
)
from tests.faults.harness import Arena, Trial, Verdict, fault, quiet, survived

PICTURE = speckle(50)
_EXIF_ORIENTATION = 0x0112


def encoded(values: np.ndarray, kind: str = 'PNG', **options: object) -> bytes:
    """A picture as the bytes of a file."""
    buffer = io.BytesIO()
    Image.fromarray(values).save(buffer, kind, **options)
    return buffer.getvalue()


def image_case(
    name: str, suffix: str, content: bytes, pixels: np.ndarray | None = None, *, stem: str = ''
) -> Case:
    """An image of the given bytes with a good mask."""
    stem = stem or 'bad_' + ''.join(letter if letter.isalnum() else '_' for letter in name)

    def lay(folder: Path) -> None:
        save(folder / 'masks' / f'{stem}.png', MASK)
        path = folder / 'images' / f'{stem}.{suffix}'
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)

    return Case(name, lay, f'images/{stem}.{suffix}', pixels, (MASK,) if pixels is not None else ())


@fault('C1.cut', 'PNG cut short', stock_losses=0)
def cut_png(arena: Arena) -> Iterator[Trial]:
    data = encoded(PICTURE)
    yield from batches(
        arena, 'C1', [image_case(f'{s:.1%}', 'png', data[: int(s * len(data))]) for s in (0.3, 0.9, 0.999)]
    )


@fault('C2.cut', 'JPEG, TIFF and BMP cut short', stock_losses=0.3)
def cut_others(arena: Arena) -> Iterator[Trial]:
    cases = []
    for suffix, kind in (('jpg', 'JPEG'), ('tif', 'TIFF'), ('bmp', 'BMP')):
        data = encoded(PICTURE, kind)
        for share in (0.3, 0.9, 0.999):
            cases.append(image_case(f'{suffix} {share:.1%}', suffix, data[: int(share * len(data))]))
    yield from batches(arena, 'C2', cases)


@fault('C3.foreign', 'what is no image, or another kind of image than its name says', stock_losses=0)
def foreign(arena: Arena) -> Iterator[Trial]:
    page = b'<!DOCTYPE html><html><body>Quota exceeded</body></html>'
    yield from batches(
        arena,
        'C3',
        [
            image_case('no bytes', 'png', b''),
            image_case('web page', 'png', page),
            image_case('archive', 'png', b'PK\x05\x06' + bytes(18)),
            image_case('vector graphic', 'png', b'<svg xmlns="http://www.w3.org/2000/svg"/>'),
            image_case('PostScript', 'jpg', b'%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n'),
            image_case('zeros', 'png', bytes(5000)),
            image_case('TIFF named png', 'png', encoded(PICTURE, 'TIFF'), PICTURE),
            image_case('PNG named jpg', 'jpg', encoded(PICTURE), PICTURE),
        ],
    )


@fault('C4.flip', 'one bit flipped in a PNG', stock_losses=0, seed=4)
def flipped(arena: Arena) -> Iterator[Trial]:
    data = encoded(PICTURE)
    # from the first sum on: a bit of the signature makes another kind of file
    places = np.random.default_rng(arena.seed).integers(8 * 16, 8 * len(data), 60 if arena.full else 10)
    cases = []
    for place in places:
        damaged = bytearray(data)
        damaged[place // 8] ^= 1 << (int(place) % 8)
        cases.append(image_case(f'bit {place}', 'png', bytes(damaged)))
    yield from batches(arena, 'C4', cases)


@fault('C4.published', 'one bit flipped in a published data set, found by --verify', stock_losses=1, seed=5)
def flipped_published(arena: Arena) -> Iterator[Trial]:
    raw = lay_tiny(arena.root / 'raw' / 'good')
    script = tiny_script(arena.root / 'raw')

    def attempt(number: int) -> Verdict:
        if not arena.ours:
            return quiet('a plain folder of images and one JSON has nothing to check it by')
        job = Job(script, raw, arena.work / f'data{number}', ('--verify',))
        run(job)
        path = [path for path in sorted(job.target.rglob('*')) if path.is_file()][number]
        data = bytearray(path.read_bytes())
        data[len(data) // 2] ^= 4
        path.write_bytes(data)
        done = run(job)
        if done.code == REFUSED and str(job.target) in done.text:
            return survived(done.text)
        return quiet(f'{path.name}: {done.tail}')

    for number in range(10) if arena.full else (0, 4, 9):
        yield Trial(f'file {number}', functools.partial(attempt, number))


def png_of(width: int, height: int, rows: bytes) -> bytes:
    """A PNG whose header says what it likes."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return (
            struct.pack('>I', len(content)) + kind + content + struct.pack('>I', zlib.crc32(kind + content))
        )

    head = struct.pack('>IIBBBBB', width, height, 8, 0, 0, 0, 0)
    return b'\x89PNG\r\n\x1a\n' + chunk(b'IHDR', head) + chunk(b'IDAT', rows) + chunk(b'IEND', b'')


def zeros(count: int) -> bytes:
    """A zlib stream of zeros, made in parts."""
    packer = zlib.compressobj(9)
    parts = [packer.compress(bytes(1 << 20)) for _ in range(count >> 20)]
    return b''.join([*parts, packer.compress(bytes(count & 0xFFFFF)), packer.flush()])


def tiff_of(width: int, height: int) -> bytes:
    """A TIFF of one strip, whose header says what it likes."""
    entries = [(256, 4, width), (257, 4, height), (258, 3, 8), (259, 3, 1), (262, 3, 1), (273, 4, 8)]
    entries += [(277, 3, 1), (278, 4, height), (279, 4, 64)]
    directory = b''.join(struct.pack('<HHII', tag, kind, 1, value) for tag, kind, value in entries)
    head = b'II*\0' + struct.pack('<I', 72) + bytes(64)
    return head + struct.pack('<H', len(entries)) + directory + bytes(4)


@fault('C5.huge', 'pictures that need gigabytes, or say that they do', stock_losses=0.1)
def huge(arena: Arena) -> Iterator[Trial]:
    side = 20_000
    text = zlib.compress(bytes(100 << 20), 9)
    ztxt = b'zTXt' + b'comment\0\0' + text
    whole = encoded(PICTURE)
    bomb = (
        whole[:33]
        + struct.pack('>I', len(ztxt) - 4)
        + ztxt
        + struct.pack('>I', zlib.crc32(ztxt))
        + whole[33:]
    )
    yield from batches(
        arena,
        'C5',
        [
            image_case('20000 x 20000', 'png', png_of(side, side, zeros(side * (side + 1)))),
            image_case('header says 2^31 - 1', 'png', png_of(2**31 - 1, 2**31 - 1, zlib.compress(b'0'))),
            image_case('header says 60000 x 1000', 'png', png_of(60_000, 1000, zlib.compress(b'0'))),
            image_case('TIFF of 2^31 rows', 'tif', tiff_of(64, 2**31 - 1)),
            image_case('TIFF of 90 megapixels in 64 bytes', 'tif', tiff_of(9000, 9000)),
            image_case('100 MB of comment', 'png', bomb),
        ],
    )


def _modes() -> list[Case]:
    rgb = np.stack([speckle(1), speckle(2), speckle(3)], axis=2)
    alpha = np.full(PICTURE.shape, 255, np.uint8)
    half = np.where(MASK, 255, 0).astype(np.uint8)
    cases = {
        'gray': (PICTURE, 'PNG', PICTURE),
        'RGB': (rgb, 'PNG', rgb),
        'RGBA': (np.dstack([rgb, alpha]), 'PNG', rgb),
        'RGBA, partly clear': (np.dstack([rgb, half]), 'PNG', np.where(MASK[..., None], rgb, 0)),
        'gray with alpha': (np.dstack([PICTURE, alpha]), 'PNG', PICTURE),
        'RGB in BMP': (rgb, 'BMP', rgb),
        'RGB in TIFF': (rgb, 'TIFF', rgb),
        '32 bits of gray below 256': (PICTURE.astype(np.int32), 'TIFF', PICTURE),
        'whole numbers stored as fractions': (PICTURE.astype(np.float32), 'TIFF', PICTURE),
        '16 bits of gray below 256': (PICTURE.astype(np.uint16), 'PNG', PICTURE),
    }
    made = [
        image_case(name, kind[:3].lower(), encoded(values, kind), pixels)
        for name, (values, kind, pixels) in cases.items()
    ]
    bits, palette, cmyk = io.BytesIO(), io.BytesIO(), io.BytesIO()
    Image.fromarray(half).convert('1').save(bits, 'PNG')
    few = Image.fromarray((PICTURE // 8).astype(np.uint8), mode='L')
    few.putpalette([value for level in range(256) for value in (level * 8 % 256, 255 - level, level)])
    few.save(palette, 'PNG')
    inks = Image.fromarray(np.dstack([rgb, np.zeros_like(PICTURE)]), mode='CMYK')
    inks.save(cmyk, 'TIFF')
    return [
        *made,
        image_case('1 bit', 'png', bits.getvalue(), half),
        image_case('palette', 'png', palette.getvalue(), np.asarray(few.convert('RGB'))),
        image_case('CMYK', 'tif', cmyk.getvalue(), np.asarray(inks.convert('RGB'))),
    ]


@fault('C6.modes', 'every mode of pixels has one declared result', stock_losses=0.1)
def modes(arena: Arena) -> Iterator[Trial]:
    yield from batches(arena, 'C6', _modes())


@fault('C6.refused', 'modes of pixels whose range or choice nobody declared', stock_losses=0.5)
def undeclared_modes(arena: Arena) -> Iterator[Trial]:
    first = Image.fromarray(PICTURE)
    pages, turning = io.BytesIO(), io.BytesIO()
    first.save(pages, 'TIFF', save_all=True, append_images=[Image.fromarray(speckle(2))])
    first.save(turning, 'PNG', save_all=True, append_images=[Image.fromarray(speckle(2))])
    fractions = (PICTURE / 255).astype(np.float32)
    fractions[3, 4] = np.nan
    yield from batches(
        arena,
        'C6',
        [
            image_case('no number among fractions', 'tif', encoded(fractions, 'TIFF')),
            image_case('two pages', 'tif', pages.getvalue()),
            image_case('animated PNG', 'png', turning.getvalue()),
        ],
    )


@fault(
    'C7.orientation', 'EXIF marks that lay an image or its mask on the side, the other not', stock_losses=0.5
)
def orientation(arena: Arena) -> Iterator[Trial]:
    cases = []
    for mark in (5, 6, 8):
        exif = Image.Exif()
        exif[_EXIF_ORIENTATION] = mark
        for suffix, kind in (('jpg', 'JPEG'), ('png', 'PNG')) if mark == 6 else (('jpg', 'JPEG'),):
            cases.append(image_case(f'{mark} in {suffix}', suffix, encoded(PICTURE, kind, exif=exif)))
    exif = Image.Exif()
    exif[_EXIF_ORIENTATION] = 6
    turned = encoded(MASK.astype(np.uint8) * 255, 'PNG', exif=exif)

    def lay(folder: Path) -> None:
        save(folder / 'images/bad_mask.png', PICTURE)
        (folder / 'masks').mkdir(parents=True, exist_ok=True)
        (folder / 'masks/bad_mask.png').write_bytes(turned)

    cases.append(Case('mask', lay, 'masks/bad_mask.png'))
    yield from batches(arena, 'C7', cases)


@fault('C8.names', 'names with other letters, spaces, twins by case and by Unicode form', stock_losses=0)
def names(arena: Arena) -> Iterator[Trial]:
    composed = unicodedata.normalize('NFC', 'Läsion')
    stems = [
        'ä ö ü', '超音波', 'with  two spaces', 'x' * 200, 'A', 'a', composed, unicodedata.normalize('NFD', composed),
        '-rf', 'two\nlines', "quote'd", 'semi;colon', 'per%20cent', '{n}', '$HOME', '🩺',
    ]  # fmt: skip
    yield from batches(
        arena,
        'C8',
        [
            image_case(f'name {i}', 'png', encoded(speckle(i)), speckle(i), stem=stem)
            for i, stem in enumerate(stems)
        ],
    )


@fault('C8.bytes', 'a name that is no text', stock_losses=0)
def undecodable_name(arena: Arena) -> Iterator[Trial]:
    def lay(folder: Path) -> None:
        for place, values in (('images', PICTURE), ('masks', MASK.astype(np.uint8) * 255)):
            (folder / place).mkdir(parents=True, exist_ok=True)
            with open(os.fsencode(folder / place) + b'/bad_\xff\xfe.png', 'wb') as file:
                file.write(encoded(values))

    yield from batches(arena, 'C8b', [Case('bytes', lay, 'images/bad_')])


def _special(make: Callable[[Path], object], name: str) -> Case:
    stem = f'bad_{name.replace(" ", "_")}'

    def lay(folder: Path) -> None:
        save(folder / 'masks' / f'{stem}.png', MASK)
        (folder / 'images').mkdir(parents=True, exist_ok=True)
        make(folder / 'images' / f'{stem}.png')

    return Case(name, lay, f'images/{stem}.png')


def _listen(path: Path) -> None:
    previous = Path.cwd()
    os.chdir(path.parent)
    server = socket.socket(socket.AF_UNIX)
    server.bind(path.name)
    server.close()
    os.chdir(previous)


@fault('C9.special', 'links, pipes, sockets and devices in the source', stock_losses=0.1, budget_s=20)
def special(arena: Arena) -> Iterator[Trial]:
    outside = arena.root / 'outside' / 'secret.png'
    save(outside, PICTURE)
    cases = [
        _special(lambda path: path.symlink_to(outside), 'link to outside'),
        _special(lambda path: path.symlink_to('good0.png'), 'link to inside'),
        _special(lambda path: path.symlink_to('nothing'), 'link to nothing'),
        _special(lambda path: path.symlink_to('/dev/zero'), 'link to a device'),
        _special(_listen, 'socket'),
    ]
    if arena.ours:
        # cv2.imread would wait for ever
        cases.append(_special(os.mkfifo, 'pipe'))
        loop = _special(lambda path: path.symlink_to('..'), 'loop of folders')
        cases.append(loop)
    yield from batches(arena, 'C9', cases)


@fault('C11.values', 'pictures with values that are not finite, and pictures of one value', stock_losses=0)
def values(arena: Arena) -> Iterator[Trial]:
    infinite, undefined = PICTURE.astype(np.float32), PICTURE.astype(np.float32)
    infinite[3, 3], undefined[4, 4] = np.inf, np.nan
    flat = np.full_like(PICTURE, 77)
    yield from batches(
        arena,
        'C11',
        [
            image_case('infinite', 'tif', encoded(infinite, 'TIFF')),
            image_case('not a number', 'tif', encoded(undefined, 'TIFF')),
            image_case('one value', 'png', encoded(flat), flat),
            image_case('black', 'png', encoded(flat * 0), flat * 0),
        ],
    )
