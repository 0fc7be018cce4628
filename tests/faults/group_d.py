"""Group D: masks that are empty, full, tiny, of another size, in another code, missing, or too many."""

from __future__ import annotations

import functools
import io
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image

from tests.corpus.raw_trees.common import disc, save, speckle
from tests.faults.cases import Case, batches
from tests.faults.conversions import MASK, TINY
from tests.faults.harness import Arena, Trial, fault

PICTURE = speckle(60)


def mask_case(
    name: str,
    values: np.ndarray | bytes | None,
    masks: tuple[np.ndarray, ...] | None = None,
    *,
    suffix: str = 'png',
) -> Case:
    """A good image with the given mask file; ``masks`` are what must come out, None: it is to be refused."""
    stem = 'bad_' + ''.join(letter if letter.isalnum() else '_' for letter in name)
    mask = f'masks/{stem}.{suffix}'

    def lay(folder: Path) -> None:
        save(folder / 'images' / f'{stem}.png', PICTURE)
        if isinstance(values, bytes):
            (folder / mask).parent.mkdir(parents=True, exist_ok=True)
            (folder / mask).write_bytes(values)
        elif values is not None:
            save(folder / mask, values)

    if masks is None:
        return Case(name, lay, mask)
    return Case(name, lay, f'images/{stem}.png', PICTURE, masks, other=mask)


@fault('D1.empty', 'a mask without a pixel', stock_losses=0)
def empty(arena: Arena) -> Iterator[Trial]:
    yield from batches(arena, 'D1', [mask_case('empty', np.zeros_like(MASK), ())])


@fault('D2.full', 'a mask of the whole image', stock_losses=0)
def full(arena: Arena) -> Iterator[Trial]:
    yield from batches(arena, 'D2', [mask_case('full', np.ones_like(MASK), (np.ones_like(MASK),))])


@fault('D3.tiny', 'masks of one pixel, of a line, in a corner, touching by a corner', stock_losses=0)
def tiny(arena: Arena) -> Iterator[Trial]:
    pixel, line, corner, diagonal = (np.zeros_like(MASK) for _ in range(4))
    pixel[10, 20] = line[:, 7] = corner[-1, -1] = True
    np.fill_diagonal(diagonal[:, :64], True)
    cases = {'pixel': pixel, 'line': line, 'corner': corner, 'diagonal': diagonal}
    yield from batches(arena, 'D3', [mask_case(name, mask, (mask,)) for name, mask in cases.items()])


@fault('D4.size', 'a mask of another size than its image', stock_losses=1)
def size(arena: Arena) -> Iterator[Trial]:
    yield from batches(
        arena,
        'D4',
        [
            mask_case('a row less', MASK[:-1]),
            mask_case('a column more', np.pad(MASK, ((0, 0), (0, 1)))),
            mask_case('on its side', MASK.T),
            mask_case('half', MASK[::2, ::2]),
            mask_case('double', MASK.repeat(2, 0).repeat(2, 1)),
            mask_case('one pixel', MASK[:1, :1]),
            mask_case('empty and of another size', np.zeros((32, 40), bool)),
        ],
    )


def _indexed(mask: np.ndarray, colours: list[int]) -> bytes:
    image = Image.fromarray(mask.astype(np.uint8), mode='L')
    image.putpalette(colours)
    buffer = io.BytesIO()
    image.save(buffer, 'PNG')
    return buffer.getvalue()


@fault('D5.code', 'masks in another code than the rule says', stock_losses=0.4)
def code(arena: Arena) -> Iterator[Trial]:
    red = np.where(MASK[..., None], np.array([255, 0, 0]), 0).astype(np.uint8)
    white = np.where(MASK[..., None], np.array([255, 255, 255]), 0).astype(np.uint8)
    noise = np.where(MASK, 255, np.random.default_rng(0).integers(0, 140, MASK.shape)).astype(np.uint8)
    lines = MASK | disc(10, 10, 5)
    labels = np.where(MASK, 1, 0) + np.where(disc(10, 10, 5), 2, 0)
    drawing = np.repeat(PICTURE[..., None], 3, axis=2)
    drawing[MASK] = (255, 255, 0)
    transparent = np.dstack([np.full((*MASK.shape, 3), 255, np.uint8), MASK.astype(np.uint8) * 255])
    yield from batches(
        arena,
        'D5',
        [
            mask_case('0 and 1', MASK.astype(np.uint8)),
            mask_case('labels 1 and 2', labels.astype(np.uint8)),
            mask_case('0 and 127', MASK.astype(np.uint8) * 127),
            mask_case('palette of red', _indexed(MASK, [0, 0, 0, 200, 0, 0])),
            mask_case('red', red),
            mask_case('gray noise around', noise),
            mask_case('a picture', PICTURE),
            mask_case('a drawing on the image', drawing),
            mask_case('16 bits', MASK.astype(np.uint16) * 100),
            mask_case('in transparency', transparent),
            mask_case(
                'palette of black and white',
                _indexed(lines, [0, 0, 0, 255, 255, 255]),
                (disc(10, 10, 5), MASK),
            ),
            mask_case('white in RGB', white, (MASK,)),
            mask_case('JPEG where none is described', _jpeg(MASK), suffix='jpg'),
            mask_case('one bit', _one_bit(MASK), (MASK,)),
        ],
    )


def _one_bit(mask: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(mask.astype(np.uint8) * 255).convert('1').save(buffer, 'PNG')
    return buffer.getvalue()


def _jpeg(mask: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(mask.astype(np.uint8) * 255).save(buffer, 'JPEG', quality=90)
    return buffer.getvalue()


@fault('D5.slack', 'masks where the rule allows for the blur of JPEG', stock_losses=0.3)
def slack(arena: Arena) -> Iterator[Trial]:
    jpeg = _jpeg(MASK)
    inside = np.asarray(Image.open(io.BytesIO(jpeg))) >= 150
    cases = [
        mask_case('JPEG', jpeg, (inside,), suffix='jpg'),
        mask_case('0 and 1', MASK.astype(np.uint8)),
        mask_case('0 and 16', MASK.astype(np.uint8) * 16),
    ]
    yield from batches(arena, 'D5s', cases, text=TINY.replace("'lesion')),", "'lesion', slack=16)),"))


@fault('D6.pairs', 'masks and images that are missing, double, or overlap', stock_losses=0.2)
def pairs(arena: Arena) -> Iterator[Trial]:
    first, second = disc(30, 30, 10), disc(30, 42, 10)

    def lone(place: str, folder: Path) -> None:
        save(folder / place / 'bad_lone.png', PICTURE if place == 'images' else MASK)

    def twice(folder: Path) -> None:
        save(folder / 'images/bad_twice.png', PICTURE)
        save(folder / 'masks/bad_twice.png', MASK)
        save(folder / 'copy/images/bad_twice.png', speckle(3))

    def two_images(folder: Path) -> None:
        save(folder / 'images/bad_two.png', PICTURE)
        save(folder / 'images/bad_two.bmp', PICTURE)
        save(folder / 'masks/bad_two.png', MASK)

    def two_masks(folder: Path) -> None:
        save(folder / 'images/bad_masks.png', PICTURE)
        save(folder / 'masks/bad_masks.png', MASK)
        save(folder / 'copy/masks/bad_masks.png', MASK)

    def overlap(folder: Path) -> None:
        save(folder / 'images/bad_overlap.png', PICTURE)
        save(folder / 'masks/bad_overlap.png', first)
        save(folder / 'masks/bad_overlap#2.png', second)

    yield from batches(
        arena,
        'D6',
        [
            Case('image without a mask', functools.partial(lone, 'images'), 'images/bad_lone.png'),
            Case('image twice', twice, 'images/bad_twice.png'),
            Case('two images of a mask', two_images, 'masks/bad_two.png'),
            Case('mask twice', two_masks, 'masks/bad_masks.png'),
            Case(
                'overlapping',
                overlap,
                'images/bad_overlap.png',
                PICTURE,
                (second, first),
                'masks/bad_overlap.png',
            ),
        ],
    )


@fault('D6.orphan', 'a mask without an image', stock_losses=0)
def orphan(arena: Arena) -> Iterator[Trial]:
    def lay(folder: Path) -> None:
        save(folder / 'masks/bad_orphan.png', MASK)

    yield from batches(arena, 'D6o', [Case('orphan', lay, 'masks/bad_orphan.png')])
