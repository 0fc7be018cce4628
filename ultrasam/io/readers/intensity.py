"""The one rule by which values of any type become 8 bits.

1. A window, if one is given: its lowest value becomes 0, its highest 255,
   values between are spread evenly, values outside are cut off.
2. Without one, 8-bit values stay as they are, also if a wider type holds them: whole numbers from 0 to 255
   throughout the file. (A DICOM file states how many bits it uses; what it says counts there.)
3. All else is spread from the smallest to the largest value of the whole file
   (all frames or slices alike, so that they can be compared). A file with a
   single value becomes black.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np

from ultrasam.errors import InputError

_BYTE = 255


class IntensityScale:
    """Turns values of one file into 8 bits.

    Args:
        path: the file, for messages.
        window: lowest and highest value to show, or None.
        all_values: gives the values of every frame; called at most once, and only for a wider type than 8 bits.
        states_bits: the file states how many bits it uses, so that a wider type is no accident.

    Raises:
        InputError: a window that is not an interval.
    """

    def __init__(
        self,
        path: Path,
        *,
        window: tuple[float, float] | None,
        all_values: Callable[[], Iterable[np.ndarray]],
        states_bits: bool = False,
    ) -> None:
        if window is not None and not (all(map(math.isfinite, window)) and window[0] < window[1]):
            raise InputError(f'{path}: a window from {window[0]} to {window[1]}. Give the lowest value first')
        self._path = path
        self._window = window
        self._all_values = all_values
        self._states_bits = states_bits
        self._range: tuple[float, float] | None = None

    def __call__(self, values: np.ndarray) -> np.ndarray:
        """Scale values.

        Args:
            values: any shape, any real type.

        Returns:
            uint8, of the same shape; values that are not numbers become 0 under a window.

        Raises:
            InputError: without a window, values that are not finite.
        """
        if self._window is not None:
            return spread(values, *self._window)
        if values.dtype == np.uint8:
            return values
        if self._range is None:
            self._range = self._measure()
        return spread(values, *self._range)

    def refuse_colour(self) -> None:
        """Refuse a window for colours.

        Raises:
            InputError: a window was given.
        """
        if self._window is not None:
            raise InputError(
                f'{self._path}: a window is for gray values, and this is in colour. Leave it out'
            )

    def _measure(self) -> tuple[float, float]:
        lowest, highest = math.inf, -math.inf
        are_bytes = not self._states_bits
        for values in self._all_values():
            low, high = float(values.min()), float(values.max())
            if not (math.isfinite(low) and math.isfinite(high)):
                raise InputError(
                    f'{self._path}: holds values that are not finite numbers (NaN or infinity). '
                    'Give a window (--window LOWEST HIGHEST), under which NaN becomes black'
                )
            lowest, highest = min(lowest, low), max(highest, high)
            are_bytes = are_bytes and low >= 0 and high <= _BYTE and bool((values == np.rint(values)).all())
        return (0, _BYTE) if are_bytes else (lowest, highest)


def spread(values: np.ndarray, lowest: float, highest: float) -> np.ndarray:
    """Spread an interval over 0 to 255, as uint8; an interval without width parts what is above it from the rest.

    Example:
        >>> spread(np.array([-5, 0, 50, 100, 200]), 0, 100)
        array([  0,   0, 128, 255, 255], dtype=uint8)
    """
    if highest <= lowest:
        return np.where(values > highest, 255, 0).astype(np.uint8)
    shares = (values.astype(np.float64) - lowest) / (highest - lowest)
    return np.floor(np.nan_to_num(shares, nan=0.0).clip(0, 1) * 255 + 0.5).astype(np.uint8)
