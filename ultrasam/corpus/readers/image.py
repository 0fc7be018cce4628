"""PNG, JPEG, TIFF and BMP, read by Pillow, whole or not at all."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
from PIL import BmpImagePlugin, Image, JpegImagePlugin, PngImagePlugin, TiffImagePlugin

from ultrasam.corpus.errors import RawFileError
from ultrasam.corpus.frames import Structure
from ultrasam.corpus.labels import Labelled, read_labels
from ultrasam.corpus.plan import Item, SourceFile
from ultrasam.corpus.readers.base import Annotation, FrameStack, as_bytes, check_size
from ultrasam.corpus.words import ImageFiles, MaskFiles, Values

# named, so that Pillow does not load its forty other formats in every process
_FORMATS = tuple(
    str(plugin.format)
    for plugin in (
        PngImagePlugin.PngImageFile,
        JpegImagePlugin.JpegImageFile,
        TiffImagePlugin.TiffImageFile,
        BmpImagePlugin.BmpImageFile,
    )
)
_EXIF_ORIENTATION = 0x0112
# the largest ultrasound mosaics stay below a tenth
_MOST_PIXELS = 100_000_000
_GRAY_MODES = ('1', 'L', 'LA', 'La')
_WIDE_MODES = ('I', 'F')


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
    """An image file as 8 bits.

    Transparency is laid over black; palettes and CMYK become RGB; more than 8 bits need a window.

    Returns:
        (H, W) or (H, W, 3) RGB, uint8.

    Raises:
        RawFileError: damaged, of several pages, turned by an EXIF mark, too large, or too deep without a window.
    """
    image = _load(file)
    if image.mode.startswith(_WIDE_MODES):
        return as_bytes(np.asarray(image), window, file.name)
    if image.has_transparency_data:
        black = Image.new('RGBA', image.size, (0, 0, 0, 255))
        rgb = np.asarray(Image.alpha_composite(black, image.convert('RGBA')))[..., :3]
        return np.ascontiguousarray(rgb[..., 0] if image.mode in _GRAY_MODES else rgb)
    return np.array(image.convert('L' if image.mode in _GRAY_MODES else 'RGB'))


def read_mask(file: SourceFile, *, as_index: bool = False) -> np.ndarray:
    """A mask file as it is stored.

    Args:
        file: the file.
        as_index: give the indices of a palette, not its colours.

    Returns:
        (H, W) of any number type, or (H, W, 3) RGB, uint8.

    Raises:
        RawFileError: as for images, or with transparency that is not the same everywhere.
    """
    image = _load(file)
    if image.mode in ('P', 'PA') and not as_index:
        image = image.convert('RGBA' if image.has_transparency_data else 'RGB')
    if image.mode in ('RGBA', 'LA'):
        alpha = np.asarray(image.getchannel('A'))
        if alpha.min() != alpha.max():
            raise RawFileError(f'{file.name}: a mask whose transparency differs from pixel to pixel')
        image = image.convert(image.mode[:-1])
    if image.mode == '1':
        image = image.convert('L')
    return np.array(image if image.mode.startswith((*_WIDE_MODES, 'L', 'P')) else image.convert('RGB'))


def nearest_fit(values: np.ndarray, size_hw: tuple[int, int]) -> np.ndarray:
    """A mask resized to (H, W) by taking the nearest pixel."""
    rows, columns = (
        ((np.arange(new) + 0.5) * old / new).astype(int)
        for new, old in zip(size_hw, values.shape, strict=False)
    )
    return values[rows[:, None], columns]


def _load(file: SourceFile) -> Any:
    """Decode a file once its sums were checked, which decoding alone does not do."""
    try:
        with Image.open(file.path, formats=_FORMATS) as image:
            if image.width * image.height > _MOST_PIXELS:
                raise RawFileError(f'{file.name}: {image.width} x {image.height} pixels are too many')
            pages = getattr(image, 'n_frames', 1)
            if pages > 1:
                raise RawFileError(f'{file.name}: {pages} pages where one image is described')
            image.verify()
        with Image.open(file.path, formats=_FORMATS) as image:
            image.load()
            if image.getexif().get(_EXIF_ORIENTATION, 1) != 1:
                raise RawFileError(f'{file.name}: an EXIF mark turns it; save it upright, with its mask')
            return image.copy()
    except RawFileError:
        raise
    # Pillow raises errors of many kinds for damaged files
    except Exception as error:
        raise RawFileError(f'{file.name}: damaged, or no image ({error})') from error
