"""Label volumes that lie where the input volume lies."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from ultrasam.atomic import publish_file
from ultrasam.errors import OutputError
from ultrasam.io.writers.formats import ResultFormat
from ultrasam.io.writers.names import ResultFile
from ultrasam.io.writers.pictures import label_map
from ultrasam.optional import optional_module
from ultrasam.structures import Frame, Segmentation, VolumeGeometry


class NiftiFormat(ResultFormat):
    """``nifti/<name>.nii.gz``: the value of a voxel is the number of its object, from 1, and 0 off all of them.

    Slices of a volume go back to their place in one label volume of the same size, origin, spacing and
    direction; slices that were not segmented stay 0. The volume is held in memory, one byte a voxel,
    until a frame of another file comes or the run ends. Any other frame becomes a NIfTI of two
    dimensions, with its spacing or, if that is unknown, a spacing of 1.

    Raises:
        OutputError: SimpleITK is not installed.
    """

    folder_name = 'nifti'
    suffix = '.nii.gz'

    def __init__(self, out_dir: Path, *, overwrite: bool) -> None:
        self._itk = optional_module('SimpleITK', need='writing NIfTI', extra='volume', error=OutputError)
        super().__init__(out_dir, overwrite=overwrite)
        self._file: ResultFile | None = None
        self._geometry: VolumeGeometry | None = None
        self._labels = np.zeros((0, 0, 0), np.uint8)

    def write(self, file: ResultFile, frame: Frame, segmentation: Segmentation) -> None:
        """Write a frame, or put a slice into its volume."""
        if self._file is not None and self._file != file:
            self._publish_volume()
        labels = label_map(segmentation)
        if frame.geometry is None:
            image = self._itk.GetImageFromArray(labels)
            if frame.spacing_mm is not None:
                image.SetSpacing([float(value) for value in reversed(frame.spacing_mm)])
            self._publish(image, self.path_of(file.frame_name(frame.index)))
            return
        if self._file is None:
            self._file, self._geometry = file, frame.geometry
            self._labels = np.zeros(frame.geometry.size_xyz[::-1], labels.dtype)
        self._insert(frame, frame.geometry, labels)

    def close(self) -> None:
        """Publish the last volume."""
        if self._file is not None:
            self._publish_volume()

    def discard(self) -> None:
        """Let go of the volume."""
        self._file, self._labels = None, np.zeros((0, 0, 0), np.uint8)

    def _insert(self, frame: Frame, geometry: VolumeGeometry, labels: np.ndarray) -> None:
        if labels.itemsize > self._labels.itemsize:
            self._labels = self._labels.astype(labels.dtype)
        slices = np.moveaxis(self._labels, geometry.axis, 0)
        if geometry != self._geometry or frame.index >= len(slices) or labels.shape != slices.shape[1:]:
            raise OutputError(
                f'{frame.source}: slice {frame.index} of {labels.shape} pixels does not fit into the volume '
                f'of {geometry.size_xyz} voxels that was sliced along axis {geometry.axis}'
            )
        slices[frame.index] = labels

    def _publish_volume(self) -> None:
        if self._file is None or self._geometry is None:
            return
        image = self._itk.GetImageFromArray(self._labels)
        image.SetSpacing([float(value) for value in self._geometry.spacing_xyz])
        image.SetOrigin([float(value) for value in self._geometry.origin_xyz])
        image.SetDirection([float(value) for value in self._geometry.direction])
        target = self.path_of(self._file.name)
        self.discard()
        self._publish(image, target)

    def _publish(self, image: Any, target: Path) -> None:
        with publish_file(target, overwrite=self.overwrite) as path:
            try:
                self._itk.WriteImage(image, str(path))
            except RuntimeError as error:
                reason = str(error).strip().splitlines()[-1]
                raise OutputError(f'{target} cannot be written by SimpleITK: {reason}') from error
