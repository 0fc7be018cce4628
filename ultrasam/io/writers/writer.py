"""Writes the masks of a run in the formats that were asked for."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType, TracebackType

from ultrasam.errors import ConfigError, OutputError
from ultrasam.io.writers.coco import CocoFormat
from ultrasam.io.writers.formats import ResultFormat, refuse_existing
from ultrasam.io.writers.names import ResultFile, ResultNames
from ultrasam.io.writers.nifti import NiftiFormat
from ultrasam.io.writers.pictures import MaskFormat, OverlayFormat
from ultrasam.io.writers.table import TableFormat
from ultrasam.structures import Frame, Segmentation

FORMATS: Mapping[str, type[ResultFormat]] = MappingProxyType(
    {
        'overlay': OverlayFormat,
        'mask': MaskFormat,
        'coco': CocoFormat,
        'nifti': NiftiFormat,
        'csv': TableFormat,
    }
)


class ResultWriter:
    """Writes results of segmented frames into one folder.

    ======= ================================================== =================================
    format  files                                              content
    ======= ================================================== =================================
    overlay ``overlay/<name>.png``                             the frame with masks and prompts
    mask    ``mask/<name>.png``                                object numbers, with palette
    coco    ``coco.json``, ``images/<name>.png``               a data set that can be trained on
    nifti   ``nifti/<name>.nii.gz``                            object numbers, where the input lies
    csv     ``measurements.csv``                               sizes in px and mm, a row an object
    ======= ================================================== =================================

    Of a model that tells classes, overlay, coco and csv hold the class of each object and its probability.

    ``<name>`` is the stem of the input file, with ``_<frame>`` in four digits if the file has several
    frames; how stems that collide are told apart is said at
    :class:`~ultrasam.io.writers.names.ResultNames`. A NIfTI of a volume has no frame number.
    Files appear whole or not at all. As a context manager it closes at the end of the block; if that
    fails, the files of the whole run and an unfinished volume are not written.

    Args:
        out_dir: folder of the results, created if missing.
        formats: any of ``FORMATS``.
        overwrite: replace results that exist. Other files in the folder stay.

    Raises:
        ConfigError: no format, or an unknown one.
        OutputError: the folder cannot be written to, ``coco.json`` or ``measurements.csv`` exists, or
            SimpleITK is missing for NIfTI.
    """

    def __init__(self, out_dir: Path, *, formats: Sequence[str], overwrite: bool = False) -> None:
        if isinstance(formats, str) or not formats or not set(formats) <= set(FORMATS):
            raise ConfigError(f'formats={formats!r}: give a list of some of {list(FORMATS)}')
        self._overwrite = overwrite
        self._names = ResultNames()
        self._inputs: set[str] = set()
        self._last: tuple[ResultFile, int] | None = None
        self._begun: set[str] = set()
        self._closed = False
        self._formats: list[ResultFormat] = []
        # a file of an earlier run is refused before the first folder is made
        for name in dict.fromkeys(formats):
            if FORMATS[name].run_file_name:
                refuse_existing([Path(out_dir) / FORMATS[name].run_file_name], overwrite=overwrite)
        try:
            for name in dict.fromkeys(formats):
                self._formats.append(FORMATS[name](Path(out_dir), overwrite=overwrite))
        except BaseException:
            self.discard()
            raise
        self._real_folders = {each.folder: os.path.realpath(each.folder) for each in self._formats}

    def plan(self, files: Mapping[Path, bool]) -> None:
        """Tell which files will come, so that names and results that exist are settled before any work.

        Args:
            files: Input files, and whether each may hold several frames.

        Raises:
            OutputError: A result exists and must not be overwritten, or would replace an input.
        """
        self._names.add(files)
        self._inputs.update(os.path.realpath(path) for path in files)
        named = [self._names[path] for path in files]
        for each in self._formats:
            for file in named if each.folder_name else ():
                self._refuse_input(each.path_of(file.name))
            refuse_existing(each.existing(named), overwrite=self._overwrite)

    def begin(self, source: Path, *, is_series: bool) -> None:
        """State whether a file holds several frames, whose results are numbered; one that was not planned is now."""
        self.plan({source: is_series} if source not in self._names else {})
        self._names.settle(source, is_series=is_series)

    def write(self, frame: Frame, segmentation: Segmentation) -> None:
        """Write the masks of one frame.

        The frames of a file come one after the other, in the order of their index. A file that was not
        planned is taken for one of a single frame, unless it is a volume.

        Args:
            frame: the frame as it was segmented.
            segmentation: its masks; none is fine.

        Raises:
            OutputError: a result exists or cannot be written, masks of another size than the frame,
                frames out of order, or a second frame of a file with one.
        """
        if self._closed:
            raise OutputError('the results are closed: write all frames before')
        file = self._file_of(frame)
        self._check(file, frame, segmentation)
        for each in self._formats:
            each.write(file, frame, segmentation)

    def close(self) -> None:
        """Publish what belongs to the whole run; a second call does nothing.

        Raises:
            OutputError: a file cannot be written.
        """
        if self._closed:
            return
        self._closed = True
        try:
            for each in self._formats:
                each.close()
        except BaseException:
            self.discard()
            raise

    def discard(self) -> None:
        """End the run without the files of the whole run, as after a failure; files of frames stay."""
        self._closed = True
        for each in self._formats:
            each.discard()

    def __enter__(self) -> ResultWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self.close()
        else:
            self.discard()

    def _file_of(self, frame: Frame) -> ResultFile:
        if frame.source not in self._names:
            is_volume = frame.geometry is not None and frame.geometry.size_xyz[2 - frame.geometry.axis] > 1
            self.plan({frame.source: is_volume or frame.index > 0})
        return self._names[frame.source]

    def _refuse_input(self, target: Path) -> None:
        if os.path.join(self._real_folders[target.parent], target.name) in self._inputs:
            raise OutputError(f'{target} is an input as well: choose another output folder')

    def _check(self, file: ResultFile, frame: Frame, segmentation: Segmentation) -> None:
        """See that a frame fits to its masks and to the frames before."""
        for each in self._formats:
            for name in (file.name, file.frame_name(frame.index)):
                self._refuse_input(each.path_of(name))
        if segmentation.masks.shape[1:] != frame.size_hw:
            raise OutputError(
                f'{frame.source}: masks of {segmentation.masks.shape[1:]} pixels for a frame of {frame.size_hw}'
            )
        if frame.index and not file.is_series:
            raise OutputError(
                f'{frame.source} has a frame {frame.index}, but was planned with one frame only'
            )
        last_index = self._last[1] if self._last is not None and self._last[0] == file else None
        if file.name in self._begun and (last_index is None or frame.index <= last_index):
            raise OutputError(
                f'{frame.source}: frame {frame.index} comes twice or out of order; '
                'write the frames of a file one after the other'
            )
        self._begun.add(file.name)
        self._last = (file, frame.index)
