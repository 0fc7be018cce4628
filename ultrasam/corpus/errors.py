"""What can go wrong with a data set, and the exit code that says so."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ultrasam.coco.file_names import UnsafeNameError as UnsafeNameError
from ultrasam.errors import ConfigError, InputError, OutputError, UltraSamError

EXIT_OK = 0
EXIT_USAGE = 2
EXIT_DATA = 3
EXIT_REFUSED = 4
EXIT_ENVIRONMENT = 5
_SHOWN = 12


class RawFileError(InputError):
    """A file of a data set that cannot be used: damaged, of another size, with values that no rule names."""


class ArchiveError(InputError):
    """An archive that is damaged, or that asks for more than unpacking files into its folder."""


class IntegrityError(UltraSamError, RuntimeError):
    """A published data set whose files are not those that its manifest lists."""


class EnvironmentFault(OutputError):  # noqa: N818 - the error is the surroundings', not the user's
    """The disk, its permissions or a missing program: nothing is wrong with the data."""


@dataclass(frozen=True)
class Fault:
    """One thing that is wrong with one source file.

    Args:
        file: path inside the data set.
        reason: what is wrong.
    """

    file: str
    reason: str

    def __str__(self) -> str:
        return self.reason if self.file in self.reason else f'{self.file}: {self.reason}'


class DataFaultsError(UltraSamError, ValueError):
    """Files of a data set that cannot be used, all of them; nothing was published."""

    def __init__(self, dataset: str, faults: Sequence[Fault], remedy: str) -> None:
        self.faults = tuple(faults)
        noun = 'file' if len(faults) == 1 else 'files'
        lines = [f'  {fault}' for fault in faults[:_SHOWN]]
        if len(faults) > _SHOWN:
            lines.append(f'  ... and {len(faults) - _SHOWN} more')
        first = f'{dataset}: {len(faults)} {noun} could not be converted, nothing was written'
        super().__init__('\n'.join([first, *lines, remedy]))


def exit_code_of(error: BaseException) -> int:
    """The exit code of a command that ends with this error."""
    if isinstance(error, DataFaultsError):
        return EXIT_DATA
    if isinstance(error, ArchiveError | IntegrityError | UnsafeNameError):
        return EXIT_REFUSED
    if isinstance(error, OutputError | OSError):
        return EXIT_ENVIRONMENT
    if isinstance(error, ConfigError):
        return EXIT_USAGE
    return EXIT_DATA
