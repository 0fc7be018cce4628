"""Progress of a run on the terminal."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from tqdm import tqdm

from ultrasam.predict.batch import RunProgress


class ProgressBar(RunProgress):
    """A bar that counts frames, of all files, and names how many files are done.

    Args:
        stated: for each file how many frames it is said to have; the bar has no end where one is not known.
        is_hidden: show nothing; a single frame needs no bar either.
    """

    def __init__(self, stated: Mapping[Path, int | None], *, is_hidden: bool) -> None:
        known = [count for count in stated.values() if count is not None]
        total = sum(known) if len(known) == len(stated) else None
        self._stated = stated
        self._files = 0
        self._bar = tqdm(total=total, unit='frame', disable=is_hidden or total == 1, dynamic_ncols=True)
        self._show_files()

    def frame_done(self, path: Path) -> None:
        """Move on by a frame."""
        self._bar.update()

    def file_done(self, path: Path, frames: int) -> None:
        """Correct the end of the bar by what a file really had."""
        self._files += 1
        stated = self._stated[path]
        if self._bar.total is not None and stated is not None:
            self._bar.total += frames - stated
        self._show_files()

    def close(self) -> None:
        """Leave the bar as it is."""
        self._bar.close()

    def __enter__(self) -> ProgressBar:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def _show_files(self) -> None:
        if len(self._stated) > 1:
            self._bar.set_description(f'file {self._files}/{len(self._stated)}')
