"""PNG, JPEG, TIFF and BMP, read by Pillow and only if they are whole."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from ultrasam.errors import InputError
from ultrasam.io.readers.intensity import IntensityScale
from ultrasam.io.readers.source import FrameSource, as_rgb, check_frame_size, reporting
from ultrasam.structures.frames import Frame

_FORMATS = ('PNG', 'JPEG', 'TIFF', 'BMP')
_GRAY_MODES = ('1', 'L', 'LA')
_TIFF_PHOTOMETRIC = 262
_WHITE_IS_ZERO = 0
_REMEDY = 'Copy or export it again'


class ImageSource(FrameSource):
    """An image, or the pages of a TIFF file.

    - It is turned upright as its EXIF orientation says, so that masks and
      prompts lie on the picture as a viewer shows it.
    - Palettes give their colours, CMYK becomes RGB, transparency is laid over
      black.
    - Gray of 16 or 32 bits and floating point follow the rule of
      :class:`IntensityScale`; of colours with 16 bits a channel the upper 8
      are kept.
    - Resolution tags tell the size of a print, not of tissue: there is no
      spacing.

    Args:
        path: the file.
        window: lowest and highest gray value to show, or None.
        max_pixels: the most pixels of a page.

    Raises:
        InputError: damaged, too large, animated, or in colour although a window was given.
    """

    kind = 'image'

    def __init__(self, path: Path, *, window: tuple[float, float] | None, max_pixels: int) -> None:
        super().__init__(path)
        self._max_pixels = max_pixels
        self._size_hw: tuple[int, int] | None = None
        self._scale = IntensityScale(path, window=window, all_values=self._wide_pages)
        try:
            with reporting(path, 'damaged, or not an image', _REMEDY):
                # Checks the sums that decoding skips; an image that was verified cannot be decoded any more.
                with Image.open(path, formats=_FORMATS) as image:
                    check_frame_size(path, image.height, image.width, max_pixels)
                    image.verify()
                # An open file, no name: Pillow maps a named TIFF into memory and gets it wrong if it is to be turned.
                self._file = path.open('rb')
                self._image = Image.open(self._file, formats=_FORMATS)
                self._pages = getattr(self._image, 'n_frames', 1) if self._image.format == 'TIFF' else 1
        except InputError as error:
            if isinstance(error.__cause__, Image.DecompressionBombError):
                _refuse_bomb(path, max_pixels)
            raise
        if getattr(self._image, 'is_animated', False) and self._image.format == 'PNG':
            self.close()
            raise InputError(f'{path}: an animated PNG. Save its frames as files, or as a video')

    def __len__(self) -> int:
        return self._pages

    @property
    def size_hw(self) -> tuple[int, int]:
        """Height and width in pixels of the first page, upright."""
        if self._size_hw is None:
            self._size_hw = self._values(0).shape[:2]
        return self._size_hw

    def _read(self, index: int) -> Frame:
        values = self._values(index)
        if values.ndim == 3:
            self._scale.refuse_colour()
            return Frame(as_rgb(values), self.path, index)
        # Pillow turns white-is-zero round for 8 bits only.
        is_negative = values.dtype != np.uint8 and self._tag(_TIFF_PHOTOMETRIC) == _WHITE_IS_ZERO
        gray = self._scale(values)
        return Frame(as_rgb(255 - gray if is_negative else gray), self.path, index)

    def close(self) -> None:
        """Release the file."""
        self._image.close()
        self._file.close()

    def _values(self, index: int) -> np.ndarray:
        """Gray, (H, W), of any type, or colour, (H, W, 3), uint8."""
        with reporting(self.path, f'page {index} is damaged or cut short', _REMEDY):
            self._image.seek(index)
            check_frame_size(self.path, self._image.height, self._image.width, self._max_pixels)
            is_wide = self._image.mode.startswith(('I', 'F'))
            values = (
                np.asarray(ImageOps.exif_transpose(self._image)) if is_wide else _byte_values(self._image)
            )
        if index == 0:
            self._size_hw = values.shape[:2]
        return values

    def _tag(self, number: int) -> int | None:
        """A TIFF tag of the page read last."""
        return getattr(self._image, 'tag_v2', {}).get(number)

    def _wide_pages(self) -> Iterator[np.ndarray]:
        pages = (self._values(index) for index in range(len(self)))
        return (page for page in pages if page.ndim == 2 and page.dtype != np.uint8)


def _refuse_bomb(path: Path, max_pixels: int) -> None:
    """Say how large an image is that Pillow refuses by a limit of its own, without decoding it."""
    limit = min(max_pixels, 2 * (Image.MAX_IMAGE_PIXELS or max_pixels))
    with path.open('rb') as file:
        head = file.read(16)
        for name in _FORMATS:
            factory, accept = Image.OPEN[name]
            if accept is not None and accept(head):
                file.seek(0)
                # the class itself reads the header and leaves the limit to Image.open
                with factory(file, str(path)) as image:
                    check_frame_size(path, image.height, image.width, limit)


def _byte_values(image: Image.Image) -> np.ndarray:
    is_gray = image.mode in _GRAY_MODES
    upright = ImageOps.exif_transpose(image)
    if upright.has_transparency_data:
        black = Image.new('RGBA', upright.size, (0, 0, 0, 255))
        rgb = np.asarray(Image.alpha_composite(black, upright.convert('RGBA')))[..., :3]
        return rgb[..., 0] if is_gray else rgb
    return np.asarray(upright.convert('L' if is_gray else 'RGB'))
