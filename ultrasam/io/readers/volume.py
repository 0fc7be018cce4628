"""NIfTI, MetaImage and NRRD volumes, read by SimpleITK and cut along an axis."""

from __future__ import annotations

from math import prod
from pathlib import Path
from typing import Any

import numpy as np

from ultrasam.errors import InputError
from ultrasam.io.readers.intensity import IntensityScale
from ultrasam.io.readers.source import (
    FrameSource,
    as_rgb,
    check_frame_size,
    reporting,
)
from ultrasam.io.readers.volume_files import read_whole
from ultrasam.optional import optional_module
from ultrasam.structures.frames import Frame, VolumeGeometry

# Two gigavoxels at the limit of a frame of 100 megapixels: eight times the largest whole-breast scan.
_VOXELS_PER_PIXEL = 20
_AXIS_NAMES = 'zyx'
_RGB, _RGBA = 3, 4


class VolumeSource(FrameSource):
    """The slices of a volume, or a single image in a format of volumes.

    Slice ``i`` of axis ``k`` is index ``i`` of array axis ``k`` of what
    ``SimpleITK.GetArrayFromImage`` gives, in that order of rows and columns.
    The voxels are read with the first slice and held until :meth:`close`.

    Args:
        path: the file.
        axis: 0 (z), 1 (y) or 2 (x); needed for three dimensions, unless just one of them has a single voxel.
        window: lowest and highest gray value to show, or None.
        max_pixels: the most pixels of a slice; a volume may have twenty times as many voxels.

    Raises:
        InputError: damaged, not of two or three dimensions, without an axis, too large, complex values, values
            that are not finite, or SimpleITK is missing.
    """

    kind = 'volume'

    def __init__(
        self,
        path: Path,
        *,
        axis: int | None,
        window: tuple[float, float] | None,
        max_pixels: int,
    ) -> None:
        super().__init__(path)
        self._sitk = optional_module(
            'SimpleITK', need=f'{path}: reading this format', extra='volume', error=InputError
        )
        self._scale = IntensityScale(path, window=window, all_values=lambda: [self._array()])
        self._reader: Any = self._sitk.ImageFileReader()
        with reporting(path, 'damaged, or not a volume', 'Export it again'):
            self._reader.SetFileName(str(path))
            self._reader.ReadImageInformation()
        self._channels = self._check_channels()
        size_xyz = tuple(int(size) for size in self._reader.GetSize())
        if len(size_xyz) not in (2, 3):
            raise InputError(
                f'{path}: {len(size_xyz)} dimensions ({" x ".join(map(str, size_xyz))}). '
                'Only two or three can be read: save each time point as a file of its own'
            )
        self._axis = None if len(size_xyz) == 2 else _chosen_axis(path, size_xyz[::-1], axis)
        self._shape = size_xyz[::-1]
        check_frame_size(path, *self.size_hw, max_pixels)
        if prod(self._shape) > max_pixels * _VOXELS_PER_PIXEL:
            raise InputError(
                f'{path}: {prod(self._shape):,} voxels are more than the {max_pixels * _VOXELS_PER_PIXEL:,} allowed. '
                'Crop it, or raise max_pixels if you trust the file'
            )
        self._image: Any = None

    def __len__(self) -> int:
        return 1 if self._axis is None else self._shape[self._axis]

    @property
    def size_hw(self) -> tuple[int, int]:
        """Height and width in pixels of a slice."""
        height, width = (size for axis, size in enumerate(self._shape) if axis != self._axis)
        return height, width

    def close(self) -> None:
        """Release the voxels."""
        self._image = None

    def _read(self, index: int) -> Frame:
        values = self._array() if self._axis is None else np.take(self._array(), index, axis=self._axis)
        if self._channels > 1 and values.dtype == np.uint8:
            self._scale.refuse_colour()
        pixels = self._scale(values)
        if self._channels == _RGBA:
            pixels = _over_black(pixels)
        spacing_zyx = tuple(float(step) for step in self._reader.GetSpacing())[::-1]
        spacing_mm = tuple(step for axis, step in enumerate(spacing_zyx) if axis != self._axis)
        # A copy: the frame may outlive the volume.
        image = as_rgb(pixels).copy()
        return Frame(image, self.path, index, (spacing_mm[0], spacing_mm[1]), self._geometry())

    def _array(self) -> np.ndarray:
        """(Z, Y, X) or (Y, X), and channels last if there are any; a view."""
        if self._image is None:
            read_whole(self.path, self._execute)
        return self._sitk.GetArrayViewFromImage(self._image)

    def _execute(self) -> np.ndarray:
        self._image = self._reader.Execute()
        return self._sitk.GetArrayViewFromImage(self._image)

    def _check_channels(self) -> int:
        kind = self._sitk.GetPixelIDValueAsString(self._reader.GetPixelID())
        channels = int(self._reader.GetNumberOfComponents())
        if 'complex' in kind or 'label' in kind or channels not in (1, _RGB, _RGBA):
            raise InputError(
                f'{self.path}: {channels} channels of {kind}. Only gray and RGB can be read: convert it first'
            )
        return channels

    def _geometry(self) -> VolumeGeometry | None:
        if self._axis is None:
            return None
        depth, height, width = self._shape
        x, y, z = (float(step) for step in self._reader.GetSpacing())
        x0, y0, z0 = (float(place) for place in self._reader.GetOrigin())
        direction = tuple(float(cosine) for cosine in self._reader.GetDirection())
        return VolumeGeometry((width, height, depth), (x, y, z), (x0, y0, z0), direction, self._axis)


def _chosen_axis(path: Path, shape: tuple[int, ...], axis: int | None) -> int:
    """The axis to cut, given or evident.

    Args:
        path: the file, for messages.
        shape: (Z, Y, X).
        axis: what the user chose, or None.
    """
    if axis in (0, 1, 2):
        return axis
    sizes = ', '.join(f'{number} ({_AXIS_NAMES[number]}): {size} slices' for number, size in enumerate(shape))
    if axis is not None:
        raise InputError(f'{path}: no axis {axis}. Choose one with --axis: {sizes}')
    if shape.count(1) == 1:
        return shape.index(1)
    raise InputError(f'{path}: a volume, and no axis to cut it along. Choose one with --axis: {sizes}')


def _over_black(rgba: np.ndarray) -> np.ndarray:
    shares = rgba[..., 3:].astype(np.uint16)
    return ((rgba[..., :3] * shares + 127) // 255).astype(np.uint8)
