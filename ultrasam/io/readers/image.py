"""PNG, JPEG, TIFF and BMP, read by Pillow and only if they are whole: for prediction, training and corpora alike."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import (
    BmpImagePlugin,
    Image,
    ImageOps,
    JpegImagePlugin,
    PngImagePlugin,
    TiffImagePlugin,
    UnidentifiedImageError,
)

from ultrasam.errors import InputError
from ultrasam.io.readers.intensity import IntensityScale
from ultrasam.io.readers.source import FrameSource, as_rgb, check_frame_size, reporting
from ultrasam.masks.run_lengths import MOST_PIXELS
from ultrasam.structures.frames import Frame

# named by their classes, so that Pillow does not load its forty other formats in every process
_FORMATS = tuple(
    str(plugin.format)
    for plugin in (
        PngImagePlugin.PngImageFile,
        JpegImagePlugin.JpegImageFile,
        TiffImagePlugin.TiffImageFile,
        BmpImagePlugin.BmpImageFile,
    )
)
_GRAY_MODES = ('1', 'L', 'LA')
_WIDE_MODES = ('I', 'F')
_TIFF_BITS, _TIFF_PHOTOMETRIC, _TIFF_SAMPLES, _TIFF_SAMPLE_FORMAT = 258, 262, 277, 339
_TIFF_NUMBERS = {1: 'unsigned', 2: 'signed', 3: 'floating-point'}
_TIFF_STARTS = (b'II*\0', b'MM\0*', b'II+\0', b'MM\0+')
_WHITE_IS_ZERO = 0
_EXIF_ORIENTATION = 0x0112
_SIDEWAYS = (5, 6, 7, 8)
_PNG_MARKS = frozenset(('exif', 'Raw profile type exif', 'XML:com.adobe.xmp'))
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

    def __init__(
        self, path: Path, *, window: tuple[float, float] | None = None, max_pixels: int = MOST_PIXELS
    ) -> None:
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
            if isinstance(error.__cause__, UnidentifiedImageError):
                _refuse_tiff(path)
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
            self.stored(0)
        return self._size_hw or (0, 0)

    def stored(self, index: int) -> Image.Image:
        """Return a page upright, its values as the file has them: indices of a palette, and any depth."""
        with reporting(self.path, f'page {index} is damaged or cut short', _REMEDY):
            self._image.seek(index)
            check_frame_size(self.path, self._image.height, self._image.width, self._max_pixels)
            upright = ImageOps.exif_transpose(self._image)
        if index == 0:
            self._size_hw = upright.height, upright.width
        return upright

    def pixels(self, index: int) -> np.ndarray:
        """Return a page as gray (H, W) or RGB (H, W, 3), uint8."""
        values = self._values(index)
        if values.ndim == 3:
            self._scale.refuse_colour()
            return values
        # Pillow turns white-is-zero round for 8 bits only.
        is_negative = values.dtype != np.uint8 and self._tag(_TIFF_PHOTOMETRIC) == _WHITE_IS_ZERO
        gray = self._scale(values)
        return 255 - gray if is_negative else gray

    def _read(self, index: int) -> Frame:
        return Frame(as_rgb(self.pixels(index)), self.path, index)

    def close(self) -> None:
        """Release the file."""
        self._image.close()
        self._file.close()

    def _values(self, index: int) -> np.ndarray:
        """Gray, (H, W), of any type, or colour, (H, W, 3), uint8."""
        upright = self.stored(index)
        with reporting(self.path, f'page {index} is damaged or cut short', _REMEDY):
            if not upright.mode.startswith(_WIDE_MODES):
                return _byte_values(upright)
            values = np.array(upright)
        # Pillow holds 32 bits without a sign as if they had one
        is_unsigned = self._tag(_TIFF_BITS) == (32,) and self._tag(_TIFF_SAMPLE_FORMAT) in (None, 1, (1,))
        return values.view(np.uint32) if values.dtype == np.int32 and is_unsigned else values

    def _tag(self, number: int) -> int | tuple[int, ...] | None:
        """Return a TIFF tag of the page read last."""
        return getattr(self._image, 'tag_v2', {}).get(number)

    def _wide_pages(self) -> Iterator[np.ndarray]:
        pages = (self._values(index) for index in range(len(self)))
        return (page for page in pages if page.ndim == 2 and page.dtype != np.uint8)


def read_image(path: Path, window: tuple[float, float] | None = None) -> np.ndarray:
    """Return the one page of an image file as gray (H, W) or RGB (H, W, 3), uint8; see :class:`ImageSource`.

    Raises:
        InputError: As for :class:`ImageSource`, or several pages.
    """
    with open_page(path, window) as source:
        return source.pixels(0)


def open_page(path: Path, window: tuple[float, float] | None = None) -> ImageSource:
    """Open an image file of one page.

    Raises:
        InputError: As for :class:`ImageSource`, or several pages.
    """
    source = ImageSource(path, window=window)
    if len(source) > 1:
        source.close()
        raise InputError(f'{path}: {len(source)} pages where one image is described. Save each as a file')
    return source


def stated_size_hw(path: Path) -> tuple[int, int]:
    """Return height and width, upright, as the header of an image file states them; nothing is decoded.

    Only a PNG file whose EXIF mark stands behind its pixels has another size once it is read.

    Raises:
        InputError: The header cannot be read.
    """
    with (
        reporting(path, 'damaged, or not an image', _REMEDY),
        path.open('rb') as file,
        Image.open(file, formats=_FORMATS) as image,
    ):
        # a PNG file is decoded by getexif(), as its mark may stand at the end; that is left to whoever reads it
        may_be_turned = image.format != 'PNG' or not _PNG_MARKS.isdisjoint(image.info)
        is_sideways = may_be_turned and image.getexif().get(_EXIF_ORIENTATION) in _SIDEWAYS
        return (image.width, image.height) if is_sideways else (image.height, image.width)


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


def _refuse_tiff(path: Path) -> None:
    """Say which kind of TIFF a file is that Pillow does not know, if its header is whole."""
    with path.open('rb') as file:
        head = file.read(16)
        if not head.startswith(_TIFF_STARTS):
            return
        try:
            tags = TiffImagePlugin.ImageFileDirectory_v2(head[: 16 if head[2] == 43 or head[3] == 43 else 8])
            file.seek(tags.next)
            with warnings.catch_warnings():
                # Pillow warns of a directory that is cut, and gives what is left of it
                warnings.filterwarnings('error', module='PIL')
                tags.load(file)
            bits = max(tags.get(_TIFF_BITS, (1,)))
            samples = int(tags.get(_TIFF_SAMPLES, 1))
            numbers = _TIFF_NUMBERS.get(max(tags.get(_TIFF_SAMPLE_FORMAT, (1,))), 'other')
        # a damaged directory fails in ways that Pillow does not list; the first error stands then
        except Exception:
            return
    raise InputError(
        f'{path}: a TIFF with {samples} sample{"s" * (samples > 1)} a pixel of {bits}-bit {numbers} numbers, which '
        'cannot be read. Export it as gray of 8 or 16 bits or float32, or as RGB of 8 bits'
    ) from None


def _byte_values(upright: Image.Image) -> np.ndarray:
    is_gray = upright.mode in _GRAY_MODES
    if upright.has_transparency_data:
        black = Image.new('RGBA', upright.size, (0, 0, 0, 255))
        rgb = np.array(Image.alpha_composite(black, upright.convert('RGBA')))[..., :3]
        return np.ascontiguousarray(rgb[..., 0] if is_gray else rgb)
    return np.array(upright.convert('L' if is_gray else 'RGB'))
