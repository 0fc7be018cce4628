"""DICOM images and cine loops, decoded by pydicom."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
from pydicom import pixels as pixel_functions

from ultrasam.errors import InputError
from ultrasam.io.readers.dicom_header import (
    attribute,
    detector_spacing_mm,
    is_resized,
    region_spacing_mm,
    rescaling,
    voi_window,
)
from ultrasam.io.readers.intensity import IntensityScale, spread
from ultrasam.io.readers.source import (
    FrameSource,
    as_rgb,
    check_frame_size,
    reporting,
)
from ultrasam.structures.frames import Frame

_MONOCHROME = ('MONOCHROME1', 'MONOCHROME2')
_COLOUR = ('RGB', 'YBR_FULL', 'YBR_FULL_422', 'YBR_PARTIAL_420', 'YBR_ICT', 'YBR_RCT')
_PALETTE = 'PALETTE COLOR'
_REMEDY = 'Export it again from the archive'
# Larger elements, which are pixels, stay on disk until a frame is asked for.
_DEFER_BYTES = 2**20


class DicomSource(FrameSource):
    """A DICOM image, or the frames of a multi-frame one.

    Gray values pass the rescaling and the VOI LUT or else the window that the
    file states, unless a window is given; without any, the rule of :class:`IntensityScale`.
    MONOCHROME1 is inverted, palettes and YBR become RGB. The spacing is that of the
    largest calibrated 2-D region, else PixelSpacing, else ImagerPixelSpacing;
    it may differ between rows and columns. There is none where a region does
    not fit the frame. Messages never
    quote what the file says about the patient.

    Args:
        path: the file.
        window: lowest and highest gray value to show, after rescaling, or None.
        max_pixels: the most pixels of a frame.

    Raises:
        InputError: damaged, without pixels, compressed in a way for which no decoder is installed, too large or in
            colour although a window was given.
    """

    kind = 'dicom'

    def __init__(self, path: Path, *, window: tuple[float, float] | None, max_pixels: int) -> None:
        super().__init__(path)
        self._has_own_window = window is not None
        self._scale = IntensityScale(path, window=window, all_values=self._all_values, states_bits=True)
        with _private(path, 'damaged, or not a DICOM file', _REMEDY):
            self._header = self._read_header()
        if 'PixelData' not in self._header:
            raise InputError(f'{path}: a DICOM file without pixel data (a report or a plan). Leave it out')
        with _private(path, 'its header lacks what describes the pixels', _REMEDY):
            self._size_hw = int(self._header.Rows), int(self._header.Columns)
            self._frames = int(self._header.get('NumberOfFrames') or 1)
            self._photometric = str(self._header.PhotometricInterpretation)
            self._bits_stored = int(self._header.BitsStored)
            self._syntax = self._transfer_syntax(self._header)
            self._is_resized = is_resized(self._header, path)
            self._region_spacing = None if self._is_resized else region_spacing_mm(self._header, path)
        self._check(max_pixels)

    def __len__(self) -> int:
        return self._frames

    @property
    def size_hw(self) -> tuple[int, int]:
        """Height and width in pixels."""
        return self._size_hw

    def __iter__(self) -> Iterator[Frame]:
        for index, pixels in enumerate(self._decoded()):
            yield self._frame(pixels, index)

    def _read(self, index: int) -> Frame:
        with _private(self.path, f'frame {index} is damaged or cut short', _REMEDY):
            pixels = pixel_functions.pixel_array(
                self._pixel_source(), index=index, transfer_syntax_uid=self._syntax
            )
        return self._frame(pixels, index)

    def _decoded(self) -> Iterator[np.ndarray]:
        frames = pixel_functions.iter_pixels(self._pixel_source(), transfer_syntax_uid=self._syntax)
        for index in range(len(self)):
            with _private(self.path, f'frame {index} is damaged or cut short', _REMEDY):
                pixels = next(frames)
            yield pixels

    def _pixel_source(self) -> Any:
        # pydicom decodes from the file frame by frame, unless all of it was deflated.
        return self._header if self._syntax.is_deflated else self.path

    def _frame(self, pixels: np.ndarray, index: int) -> Frame:
        with _private(self.path, f'frame {index} does not fit its header', _REMEDY):
            image = self._to_rgb(pixels, index)
            spacing = self._region_spacing or (
                None if self._is_resized else detector_spacing_mm(self._header, index)
            )
        return Frame(image, self.path, index, spacing)

    def _to_rgb(self, pixels: np.ndarray, index: int) -> np.ndarray:
        if self._photometric in _MONOCHROME:
            return as_rgb(self._gray(pixels, index))
        if self._photometric == _PALETTE:
            pixels = pixel_functions.apply_color_lut(pixels, self._header)[..., :3]
            bits = 8 * pixels.dtype.itemsize
        else:
            bits = self._bits_stored
        return as_rgb((pixels >> max(bits - 8, 0)).astype(np.uint8))

    def _gray(self, pixels: np.ndarray, index: int) -> np.ndarray:
        values = self._rescaled(pixels, index)
        gray = self._shown(values, index)
        return 255 - gray if self._photometric == 'MONOCHROME1' else gray

    def _shown(self, values: np.ndarray, index: int) -> np.ndarray:
        """Return gray values, uint8, as the window of the user, the VOI LUT or the window of the file says."""
        if not self._has_own_window:
            if lut := attribute(self._header, index, 'FrameVOILUTSequence', 'VOILUTSequence'):
                return self._through_lut(values, lut[0])
            if window := voi_window(self._header, index):
                return self._windowed(values, *window)
        return self._scale(values)

    def _through_lut(self, values: np.ndarray, item: Any) -> np.ndarray:
        """Apply a VOI LUT (PS3.3, C.11.2), which is applied to whole numbers, and spread its bits over 8."""
        entries, first, bits = (int(value) for value in item.LUTDescriptor)
        table = item.LUTData
        if isinstance(table, bytes):
            order = '<' if self._syntax.is_little_endian else '>'
            table = np.frombuffer(
                table, 'u1' if len(table) == (entries or 1 << 16) else f'{order}u2'
            ).tolist()
        dataset = pydicom.Dataset()
        dataset.VOILUTSequence = [pydicom.Dataset()]
        # 16 bits an entry whatever is stated: pydicom counts places in the type of the entries, which wraps in 8 bits
        dataset.VOILUTSequence[0].add_new('LUTDescriptor', 'SS', [entries, first, 16])
        dataset.VOILUTSequence[0].add_new('LUTData', 'US', table)
        places = np.rint(values).astype(np.int64).clip(first, first + (entries or 1 << 16) - 1)
        return spread(pixel_functions.apply_voi_lut(places, dataset), 0, 2**bits - 1)

    def _windowed(self, values: np.ndarray, center: float, width: float, function: str) -> np.ndarray:
        """Apply a window (PS3.3, C.11.2.1.2) to values that are rescaled already, onto 8 bits."""
        dataset = pydicom.Dataset()
        dataset.PhotometricInterpretation, dataset.BitsStored, dataset.PixelRepresentation = (
            'MONOCHROME2',
            8,
            0,
        )
        dataset.WindowCenter, dataset.WindowWidth, dataset.VOILUTFunction = center, width, function
        return spread(pixel_functions.apply_windowing(values, dataset), 0, 255)

    def _rescaled(self, pixels: np.ndarray, index: int) -> np.ndarray:
        if 'ModalityLUTSequence' in self._header:
            return pixel_functions.apply_modality_lut(pixels, self._header)
        slope, intercept = rescaling(self._header, index)
        if (slope, intercept) != (1, 0):
            return pixels * slope + intercept
        # Fewer bits than 8 do not fill a byte: they are to be spread.
        return pixels.astype(np.uint16) if self._bits_stored < 8 else pixels

    def _all_values(self) -> Iterator[np.ndarray]:
        return (self._rescaled(pixels, index) for index, pixels in enumerate(self._decoded()))

    def _check(self, max_pixels: int) -> None:
        check_frame_size(self.path, *self._size_hw, max_pixels)
        if self._frames < 1:
            raise InputError(f'{self.path}: a DICOM file of {self._frames} frames. {_REMEDY}')
        if self._photometric not in (*_MONOCHROME, *_COLOUR, _PALETTE):
            raise InputError(
                f'{self.path}: a photometric interpretation that cannot be read. Export it as RGB'
            )
        if self._photometric not in _MONOCHROME:
            self._scale.refuse_colour()
        self._check_decoder()

    def _check_decoder(self) -> None:
        try:
            decoder = pixel_functions.get_decoder(self._syntax)
        except NotImplementedError:
            raise InputError(
                f'{self.path}: compressed as {self._syntax.name}, which cannot be decoded. Export it uncompressed'
            ) from None
        if not decoder.is_available:
            # JPEG-LS and JPEG 2000 come with the first; the second has another licence (GPL).
            raise InputError(
                f'{self.path}: compressed as {self._syntax.name}, for which no decoder is installed. '
                'Install one with: pip install "ultrasam[dicom]", or, for lossless and 12-bit JPEG, '
                '"ultrasam[dicom-gpl]" (its decoder is under the GPL)'
            )

    def close(self) -> None:
        """Nothing stays open between frames."""

    def _read_header(self) -> Any:
        # force: files of old systems lack the mark, and kind_of has told them by their suffix.
        header = pydicom.dcmread(self.path, defer_size=_DEFER_BYTES, force=True)
        is_deflated = bool(header.file_meta) and self._transfer_syntax(header).is_deflated
        return pydicom.dcmread(self.path) if is_deflated else header

    def _transfer_syntax(self, header: Any) -> Any:
        stated = header.file_meta.get('TransferSyntaxUID')
        if stated:
            return pydicom.uid.UID(stated)
        is_implicit, is_little = header.original_encoding
        if is_implicit:
            return pydicom.uid.ImplicitVRLittleEndian
        return pydicom.uid.ExplicitVRLittleEndian if is_little else pydicom.uid.ExplicitVRBigEndian


@contextmanager
def _private(path: Path, fault: str, remedy: str) -> Iterator[None]:
    """Report what pydicom raises, and silence its warnings: both may quote names of patients."""
    logger = logging.getLogger('pydicom')
    level = logger.level
    logger.setLevel(logging.CRITICAL + 1)
    try:
        with reporting(path, fault, remedy, private=True), warnings.catch_warnings():
            warnings.simplefilter('ignore')
            yield
    finally:
        logger.setLevel(level)
