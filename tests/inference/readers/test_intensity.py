from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from ultrasam.errors import InputError
from ultrasam.io.readers.intensity import IntensityScale, spread


def test_spread_rounds_and_cuts_off() -> None:
    assert spread(np.array([-5, 0, 50, 100, 200]), 0, 100).tolist() == [0, 0, 128, 255, 255]
    assert spread(np.array([np.nan, -np.inf, np.inf]), 0, 1).tolist() == [0, 0, 255]


def test_interval_without_width_is_a_threshold() -> None:
    assert spread(np.array([3, 4, 5]), 4, 4).tolist() == [0, 0, 255]


def test_range_is_that_of_all_values_and_measured_once() -> None:
    calls = []

    def all_values() -> list[np.ndarray]:
        calls.append(1)
        return [np.array([0, 10]), np.array([200, 1000])]

    scale = IntensityScale(Path('x'), window=None, all_values=all_values)
    assert scale(np.array([0, 200])).tolist() == [0, 51]
    assert scale(np.array([1000])).tolist() == [255]
    assert len(calls) == 1


def test_bytes_are_kept_without_measuring() -> None:
    scale = IntensityScale(Path('x'), window=None, all_values=lambda: pytest.fail('measured'))
    assert scale(np.array([7, 9], np.uint8)).tolist() == [7, 9]


@pytest.mark.parametrize('odd', [np.nan, np.inf])
def test_values_that_are_not_finite_need_a_window(odd: float) -> None:
    values = np.array([0, odd, 1])
    with pytest.raises(InputError, match=r'x: .*not finite.*--window'):
        IntensityScale(Path('x'), window=None, all_values=lambda: [values])(values)


def test_large_integers_keep_their_order() -> None:
    values = np.array([2**31, 2**31 + 1, 2**32 - 1], np.uint32)
    assert spread(values, 2.0**31, 2.0**32 - 1).tolist() == [0, 0, 255]


@pytest.mark.parametrize('dtype', ['u2', 'i2', 'i4', 'f4', 'f8'])
def test_bytes_in_a_wider_type_stay_as_they_are(dtype: str) -> None:
    values = np.array([[7, 200], [30, 90]], dtype)

    def scale(*frames: np.ndarray, **options: bool) -> IntensityScale:
        return IntensityScale(Path('a.nii'), window=None, all_values=lambda: frames, **options)

    assert scale(values)(values).tolist() == values.tolist()
    # one frame that is no such frame, or a file that states its bits
    for others in ({'frames': (values, values + 100)}, {'frames': (values,), 'states_bits': True}):
        frames = others.pop('frames')
        assert scale(*frames, **others)(values).min() == 0
    if dtype != 'u2':
        assert scale(values - 8)(values - 8).max() == 255
    if dtype.startswith('f'):
        assert scale(values / 2)(values / 2).max() == 255
