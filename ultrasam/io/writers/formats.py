"""What every output format can do, and the folders and files that it writes to."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO

from ultrasam.errors import OutputError
from ultrasam.io.writers.names import NUMBERED, ResultFile
from ultrasam.structures import Frame, Segmentation

_CHUNK = 1 << 20


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

    def existing(self, files: Iterable[ResultFile]) -> Iterator[Path]:
        """Give the results of input files that an earlier run left."""
        if not self.folder_name:
            return
        names = (path.name for path in self.folder.iterdir() if path.name.endswith(self.suffix))
        present = {name.removesuffix(self.suffix): self.folder / name for name in sorted(names)}
        of_series = {NUMBERED.sub('', name): path for name, path in present.items()}
        for file in files:
            found = (of_series if file.is_series else present).get(file.name)
            if found is not None:
                yield found

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


def refuse_existing(targets: Iterable[Path], *, overwrite: bool) -> None:
    """See that results are not there yet.

    Raises:
        OutputError: one exists, and ``overwrite`` is false.
    """
    if overwrite:
        return
    for target in targets:
        if os.path.lexists(target):
            raise OutputError(
                f'{target} exists already: choose another output folder, remove it, '
                'or allow it to be overwritten (--overwrite)'
            )


def make_folder(folder: Path) -> None:
    """Create a folder, with those above it, and see that files can be written into it.

    Raises:
        OutputError: it cannot be created or written to.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise OutputError(
            f'no results can be written to {folder} ({error.strerror or error}): '
            'choose another output folder, or mend its permissions'
        ) from error


class Spool:
    """Text that grows on disk, nameless and gone with the process, until it is copied into a file.

    Args:
        folder: of the file that it will go to.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        # the file lives as long as the spool, so no block can hold it
        self._file: IO[str] = tempfile.TemporaryFile('w+', encoding='utf-8', newline='', dir=folder)  # noqa: SIM115

    def add(self, text: str) -> None:
        """Append ``text``.

        Raises:
            OutputError: the disk is full, or fails.
        """
        with explained(self._folder):
            self._file.write(text)

    def copy_to(self, file: IO[str]) -> None:
        """Append everything to an open file."""
        self._file.seek(0)
        shutil.copyfileobj(self._file, file, _CHUNK)

    def close(self) -> None:
        """Forget the text."""
        with contextlib.suppress(OSError):
            self._file.close()


def path_text(path: Path) -> str:
    """A path with forward slashes, as text that any file can hold: bytes that are no UTF-8 are replaced."""
    return os.fsencode(path.as_posix()).decode('utf-8', 'replace')


@contextlib.contextmanager
def explained(target: Path) -> Iterator[None]:
    """Raise OutputError, which names the target, for an OSError of the block."""
    try:
        yield
    except OSError as error:
        raise OutputError(
            f'{target} cannot be written ({error.strerror or error}): see to the disk, then run again'
        ) from error
