"""Image files and mask images of a dataset; :mod:`ultrasam.io.readers.image` reads them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np

from ultrasam.corpus.errors import RawFileError
from ultrasam.corpus.frames import Structure
from ultrasam.corpus.labels import Labelled, read_labels
from ultrasam.corpus.plan import Item, SourceFile
from ultrasam.corpus.readers.base import Annotation, FrameStack, check_size, naming
from ultrasam.corpus.words import ImageFiles, MaskFiles, Values
from ultrasam.io.readers import image as reader


class ImageStack(FrameStack):
    """The one frame of an image file."""

    is_single = True
    numbers: Sequence[int] = (0,)

    def __init__(self, word: ImageFiles, item: Item) -> None:
        self._word = word
        self._file = item.frames

    def read(self, number: int) -> np.ndarray:
        """The image."""
        return read_image(self._file, self._word.window)


class MaskImages(Annotation):
    """Mask images of an item: all of its image, or each of one frame of its video."""

    def __init__(self, word: MaskFiles, files: tuple[SourceFile, ...], item: Item, stray: float) -> None:
        self._word = word
        self._item = item
        self._stray = stray
        self._resized: Counter[int] = Counter()
        self._files: dict[int, list[SourceFile]] = {}
        for file in files:
            self._files.setdefault(int(file.groups[word.frame]) if word.frame else 0, []).append(file)

    def numbers(self) -> set[int] | None:
        """Frames of a video that have masks."""
        return set(self._files) if self._word.frame else None

    def read(self, number: int, size_hw: tuple[int, int]) -> Labelled:
        """Structures of each mask file."""
        structures: list[Structure] = []
        stray: Counter[str] = Counter()
        for file in self._files.get(number, []):
            values = read_mask(file, as_index=isinstance(self._word.rule, Values))
            if self._word.fit == 'nearest' and values.shape[:2] != size_hw:
                values = nearest_fit(values, size_hw)
                self._resized[number] += 1
            check_size(values.shape[:2], size_hw, file.name)
            found, unknown = read_labels(
                self._word.rule,
                values,
                {**file.groups, **self._item.groups},
                name=file.name,
                stray_share=self._stray,
            )
            structures += found
            stray += unknown
        return structures, stray

    def changes(self, number: int) -> Counter[str]:
        """How many masks were resized."""
        return +Counter({'resized to its image': self._resized[number]})


def read_image(file: SourceFile, window: tuple[float, float] | None = None) -> np.ndarray:
    """Return an image file as gray (H, W) or RGB (H, W, 3), uint8, as prediction and training see it.

    Raises:
        RawFileError: Damaged, of several pages, or too large.
    """
    with naming(file):
        return reader.read_image(file.path, window)


def read_mask(file: SourceFile, *, as_index: bool = False) -> np.ndarray:
    """Return a mask file as it is stored, upright.

    Args:
        file: The file.
        as_index: Give the indices of a palette, not its colours.

    Returns:
        (H, W) of any number type, or (H, W, 3) RGB, uint8.

    Raises:
        RawFileError: As for images, or with transparency that is not the same everywhere.
    """
    with naming(file), reader.open_page(file.path) as source:
        image = source.stored(0)
    if image.mode in ('P', 'PA') and not as_index:
        image = image.convert('RGBA' if image.has_transparency_data else 'RGB')
    if image.mode in ('RGBA', 'LA'):
        alpha = np.asarray(image.getchannel('A'))
        if alpha.min() != alpha.max():
            raise RawFileError(f'{file.name}: a mask whose transparency differs from pixel to pixel')
        image = image.convert(image.mode[:-1])
    if image.mode == '1':
        image = image.convert('L')
    return np.array(image if image.mode.startswith(('I', 'F', 'L', 'P')) else image.convert('RGB'))


def nearest_fit(values: np.ndarray, size_hw: tuple[int, int]) -> np.ndarray:
    """A mask resized to (H, W) by taking the nearest pixel."""
    rows, columns = (
        ((np.arange(new) + 0.5) * old / new).astype(int)
        for new, old in zip(size_hw, values.shape, strict=False)
    )
    return values[rows[:, None], columns]
