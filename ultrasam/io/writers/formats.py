"""What every output format can do."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from pathlib import Path

from ultrasam.io.writers.files import make_folder
from ultrasam.io.writers.names import ResultFile
from ultrasam.structures import Frame, Segmentation


class ResultFormat(ABC):
    """One kind of result, in a folder of its own or in one file for the whole run.

    Args:
        out_dir: folder of all results.
        overwrite: whether files that exist are replaced.

    Raises:
        OutputError: the folder cannot be written to.
    """

    # folder of the files for single frames, '' for none
    folder_name = ''
    suffix = '.png'
    # file for the whole run, '' for none
    run_file_name = ''

    def __init__(self, out_dir: Path, *, overwrite: bool) -> None:
        self.folder = out_dir / self.folder_name
        self.run_file = out_dir / self.run_file_name
        self.overwrite = overwrite
        make_folder(out_dir)
        make_folder(self.folder)

    def targets(self, file: ResultFile) -> Iterator[Path]:
        """The files that the frames of an input file lead to, as far as they are known beforehand."""
        if self.folder_name:
            yield from (self.path_of(name) for name in file.frame_names())

    def path_of(self, name: str) -> Path:
        """File for results of the given name."""
        return self.folder / f'{name}{self.suffix}'

    @abstractmethod
    def write(self, file: ResultFile, frame: Frame, segmentation: Segmentation) -> None:
        """Write the masks of one frame, or keep what is needed to write them later."""

    def close(self) -> None:  # noqa: B027  formats that write at once have nothing left to do
        """Write what was kept, and let go of it."""

    def discard(self) -> None:  # noqa: B027
        """Let go of what was kept without writing it."""
