"""Progress of a run on the terminal."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from tqdm import tqdm

from ultrasam.predict.batch import RunProgress


class ProgressBar(RunProgress):
    """A bar that counts frames, of all files, and names how many files are done.

    A file that was not opened yet counts as one frame; a video that claims nothing takes the end from the bar.

    Args:
        files: Files, and whether each may hold several frames.
        is_hidden: Show nothing; a single frame needs no bar either.
    """

    def __init__(self, files: Mapping[Path, bool], *, is_hidden: bool) -> None:
        self._files = len(files)
        self._is_hidden = is_hidden
        self._unknown = {path for path, is_series in files.items() if is_series}
        self._done = 0
        self._total: int | None = len(files)
        self._claimed: dict[Path, int] = {}
        self._bar: tqdm | None = None

    @property
    def frames(self) -> int | None:
        """Number of frames of all files; None while one that may hold several was not opened, or does not tell."""
        return None if self._unknown else self._total

    def file_begun(self, path: Path, frames: int | None) -> None:
        """Move the end of the bar by what a file claims to have."""
        self._unknown.discard(path)
        if frames is None or self._total is None:
            self._total = None
        else:
            self._claimed[path] = frames
            self._total += frames - 1
        if self._bar is None and self._total != 1:
            self._bar = tqdm(unit='frame', disable=self._is_hidden, dynamic_ncols=True)
        self._show()

    def frame_done(self, path: Path) -> None:
        """Move on by a frame."""
        if self._bar is not None:
            self._bar.update()

    def file_done(self, path: Path, frames: int) -> None:
        """Correct the end of the bar by what a file really had."""
        self._done += 1
        if self._total is not None:
            self._total += frames - self._claimed.get(path, 1)
        self._show()

    def close(self) -> None:
        """Leave the bar as it is."""
        if self._bar is not None:
            self._bar.close()

    def __enter__(self) -> ProgressBar:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def _show(self) -> None:
        if self._bar is None:
            return
        self._bar.total = self._total
        if self._files > 1:
            self._bar.set_description(f'file {self._done}/{self._files}')
        self._bar.refresh()
