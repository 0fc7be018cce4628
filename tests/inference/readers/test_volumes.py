from __future__ import annotations

import gzip
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.inference.readers.files import colours, ellipse, extent_mm, ramp
from ultrasam.errors import InputError
from ultrasam.io.readers import open_frames
from ultrasam.io.readers.volume_files import read_whole
from ultrasam.structures.frames import VolumeGeometry

sitk = pytest.importorskip('SimpleITK', reason='needs the extra volume')

SPACING_XYZ = (0.2, 0.3, 0.5)
ORIGIN_XYZ = (-10.0, 5.0, 30.0)
# x to the left, y up, z forward: what a turned probe gives.
DIRECTION = (0.0, 0.0, 1.0, 1.0, 0.0, 0.0, 0.0, 1.0, 0.0)


def save(path: Path, array: np.ndarray, *, is_vector: bool = False, is_packed: bool = False) -> Path:
    image = sitk.GetImageFromArray(array, isVector=is_vector)
    dimension = image.GetDimension()
    image.SetSpacing(SPACING_XYZ[:dimension] if dimension < 4 else [1.0] * dimension)
    if dimension == 3:
        image.SetOrigin(ORIGIN_XYZ)
        image.SetDirection(DIRECTION)
    sitk.WriteImage(image, str(path), useCompression=is_packed)
    return path


def block(dtype: Any = np.uint8) -> np.ndarray:
    """(5, 6, 7), values 0 to 209."""
    return np.arange(210).reshape(5, 6, 7).astype(dtype)


@pytest.mark.parametrize('suffix', ['nii', 'nii.gz', 'mha', 'mhd', 'nrrd'])
def test_slices_of_every_axis(tmp_path: Path, suffix: str) -> None:
    path = save(tmp_path / f'a.{suffix}', block())
    for axis in range(3):
        with open_frames(path, axis=axis) as frames:
            expected = np.moveaxis(block(), axis, 0)
            assert frames.kind == 'volume' and len(frames) == len(expected)
            assert frames.size_hw == expected.shape[1:]
            assert np.array_equal(np.stack([frame.image[..., 0] for frame in frames]), expected)
            assert np.array_equal(frames.frame(2).image[..., 2], expected[2])


@pytest.mark.parametrize('suffix', ['nii.gz', 'mha', 'nrrd'])
def test_geometry_and_spacing(tmp_path: Path, suffix: str) -> None:
    path = save(tmp_path / f'a.{suffix}', block())
    x, y, z = SPACING_XYZ
    for axis, spacing in ((0, (y, x)), (1, (z, x)), (2, (z, y))):
        frame = open_frames(path, axis=axis).frame(1)
        assert frame.spacing_mm == pytest.approx(spacing)
        geometry = frame.geometry
        assert isinstance(geometry, VolumeGeometry)
        assert geometry.size_xyz == (7, 6, 5) and geometry.axis == axis
        assert geometry.spacing_xyz == pytest.approx(SPACING_XYZ)
        assert geometry.origin_xyz == pytest.approx(ORIGIN_XYZ)
        assert geometry.direction == pytest.approx(DIRECTION, abs=1e-6)


def test_ellipse_drawn_in_mm_has_its_size(tmp_path: Path) -> None:
    # Cut along y: rows lie along z (0.5 mm), columns along x (0.2 mm).
    shape = ellipse((100, 200), (0.5, 0.2), axes_mm=(30.0, 20.0))
    path = save(tmp_path / 'a.nii.gz', np.repeat(shape[:, None], 3, axis=1))
    frame = open_frames(path, axis=1).frame(1)
    height, width = extent_mm(frame.image, frame.spacing_mm)
    assert height == pytest.approx(30, abs=1.0) and width == pytest.approx(20, abs=0.4)


def test_volume_without_axis_lists_its_sizes(tmp_path: Path) -> None:
    path = save(tmp_path / 'a.nii', block())
    with pytest.raises(InputError, match=r'--axis: 0 \(z\): 5 slices, 1 \(y\): 6 slices, 2 \(x\): 7 slices'):
        open_frames(path)
    with pytest.raises(InputError, match='no axis 3'):
        open_frames(path, axis=3)


def test_single_slice_needs_no_axis(tmp_path: Path) -> None:
    frames = open_frames(save(tmp_path / 'a.mha', block()[:1]))
    assert len(frames) == 1 and frames.size_hw == (6, 7)
    assert frames.frame(0).geometry is not None and frames.frame(0).geometry.axis == 0


@pytest.mark.parametrize('axis', [None, 2])
def test_two_dimensions_need_no_axis(tmp_path: Path, axis: int | None) -> None:
    (frame,) = open_frames(save(tmp_path / 'a.mha', ramp()), axis=axis)
    assert np.array_equal(frame.image[..., 0], ramp())
    assert frame.spacing_mm == pytest.approx((0.3, 0.2)) and frame.geometry is None


def test_wide_values_share_one_scale(tmp_path: Path) -> None:
    path = save(tmp_path / 'a.nii.gz', block(np.int16) * 10 - 500)
    images = np.stack([frame.image[..., 0] for frame in open_frames(path, axis=0)])
    assert np.array_equal(images, np.floor(block(np.float64) / 209 * 255 + 0.5))
    images = np.stack([frame.image[..., 0] for frame in open_frames(path, axis=0, window=(-500, 0))])
    assert np.array_equal(images, np.floor((block(np.float64) / 50).clip(0, 1) * 255 + 0.5))


def test_bytes_are_kept_unless_a_window_is_given(tmp_path: Path) -> None:
    path = save(tmp_path / 'a.nii', block() // 4)
    assert np.array_equal(open_frames(path, axis=0).frame(4).image[..., 0], block()[4] // 4)
    assert open_frames(path, axis=0, window=(0, 52)).frame(4).image.max() == 255


@pytest.mark.parametrize('suffix', ['mha', 'nrrd'])
def test_nan_needs_a_window(tmp_path: Path, suffix: str) -> None:
    values = block(np.float32)
    values[0, 0, 0] = np.nan
    path = save(tmp_path / f'a.{suffix}', values)
    with pytest.raises(InputError, match=rf'a\.{suffix}: .*not finite.*--window'):
        open_frames(path, axis=0).frame(3)
    assert open_frames(path, axis=0, window=(-9, 209)).frame(0).image[0, 0, 0] == 0


@pytest.mark.parametrize('suffix', ['nii', 'nii.gz'])
@pytest.mark.parametrize('dtype', [np.float32, np.float64])
@pytest.mark.parametrize('odd', [np.nan, np.inf])
def test_nifti_with_values_that_are_not_finite(tmp_path: Path, suffix: str, dtype: Any, odd: float) -> None:
    values = block(dtype)[:, :5]  # an odd number of voxels
    values[-1, -1, -1] = odd
    path = save(tmp_path / f'a.{suffix}', values)
    for window in (None, (-9, 209)):
        with pytest.raises(InputError, match=rf'a\.{suffix}: .*not finite.*Replace'):
            open_frames(path, axis=0, window=window).frame(3)
    values[-1, -1, -1] = 7
    assert len(list(open_frames(save(path, values), axis=0))) == 5


def test_nifti_of_other_byte_order_and_version(tmp_path: Path) -> None:
    array = block(np.float32)
    header = bytearray(540)
    header[:8] = (540).to_bytes(4, 'big') + b'n+2\0'
    header[12:14] = (16).to_bytes(2, 'big')
    header[16:80] = np.array([3, 7, 6, 5, 1, 1, 1, 1], '>i8').tobytes()
    header[168:176] = (544).to_bytes(8, 'big')
    path = tmp_path / 'a.nii'
    path.write_bytes(bytes(header) + bytes(4) + array.astype('>f4').tobytes())
    read_whole(path, lambda: np.zeros(1))
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(InputError, match='839 of 840 bytes'):
        read_whole(path, lambda: np.zeros(1))


def test_flipped_bit_in_a_zipped_nifti_is_noticed(tmp_path: Path) -> None:
    path = save(tmp_path / 'a.nii.gz', np.full((4, 300, 400), 7, np.uint8))
    path.write_bytes(gzip.compress(gzip.decompress(path.read_bytes()), compresslevel=0))
    data = bytearray(path.read_bytes())
    data[-40] ^= 1
    path.write_bytes(data)
    with pytest.raises(InputError, match=r'damaged.*CRC'):
        open_frames(path, axis=0).frame(0)


def test_flipped_bit_in_a_packed_meta_image_is_noticed(tmp_path: Path) -> None:
    """ITK takes a damaged stream as it comes."""
    noise = np.random.default_rng(0).integers(0, 256, (20, 30, 40), np.uint8)
    path = save(tmp_path / 'a.mha', noise, is_packed=True)
    data = bytearray(path.read_bytes())
    data[-5000] ^= 1
    path.write_bytes(data)
    with pytest.raises(InputError, match=r'a\.mha: its voxels are damaged'):
        open_frames(path, axis=0).frame(0)


def test_a_header_names_no_file_elsewhere(tmp_path: Path) -> None:
    (tmp_path / 'in').mkdir()
    path = save(tmp_path / 'in/a.mhd', block())
    (tmp_path / 'in/a.raw').rename(tmp_path / 'a.raw')
    path.write_text(path.read_text().replace('a.raw', '../a.raw'))
    with pytest.raises(InputError, match='no file beside it'):
        open_frames(path, axis=0).frame(0)


@pytest.mark.parametrize('suffix', ['nii.gz', 'mha', 'nrrd'])
def test_colour_volume(tmp_path: Path, suffix: str) -> None:
    stack = np.stack([colours(), 255 - colours()])
    path = save(tmp_path / f'a.{suffix}', stack, is_vector=True)
    images = [frame.image for frame in open_frames(path, axis=0)]
    assert np.array_equal(np.stack(images), stack)
    across = open_frames(path, axis=2).frame(3).image
    assert np.array_equal(across, stack[:, :, 3])
    with pytest.raises(InputError, match='in colour'):
        open_frames(path, axis=0, window=(0, 9)).frame(0)


def test_alpha_is_laid_over_black(tmp_path: Path) -> None:
    rgba = np.dstack([colours(), np.full((12, 16), 128, np.uint8)])
    frame = open_frames(save(tmp_path / 'a.mha', rgba, is_vector=True)).frame(0)
    assert np.abs(frame.image - colours() * (128 / 255)).max() <= 0.51


def test_frame_outlives_its_volume(tmp_path: Path) -> None:
    with open_frames(save(tmp_path / 'a.mha', np.stack([colours()] * 2), is_vector=True), axis=0) as frames:
        frame = frames.frame(1)
    assert frame.image.flags.owndata and np.array_equal(frame.image, colours())


@pytest.mark.parametrize('suffix', ['nii', 'nii.gz', 'mha', 'nrrd'])
@pytest.mark.parametrize('share', [0.02, 0.5, 0.99])
@pytest.mark.parametrize('is_packed', [False, True])
def test_truncated(tmp_path: Path, suffix: str, share: float, is_packed: bool) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (20, 30, 40), np.uint8)
    path = save(tmp_path / f'a.{suffix}', noise, is_packed=is_packed)
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * share)])
    with pytest.raises(InputError, match=rf'a\.{suffix}: .*(damaged|no format)'):
        list(open_frames(path, axis=0))


def test_missing_raw_file_of_a_header(tmp_path: Path) -> None:
    path = save(tmp_path / 'a.mhd', block())
    (tmp_path / 'a.raw').unlink()
    with pytest.raises(InputError, match=r'a\.mhd: .*damaged'):
        list(open_frames(path, axis=0))


def test_four_dimensions_are_explained(tmp_path: Path) -> None:
    path = save(tmp_path / 'a.nii.gz', np.zeros((2, 3, 4, 5), np.uint8))
    with pytest.raises(InputError, match=r'4 dimensions \(5 x 4 x 3 x 2\).*each time point'):
        open_frames(path, axis=0)


@pytest.mark.parametrize('dtype', [np.complex64])
def test_complex_values_are_refused(tmp_path: Path, dtype: Any) -> None:
    with pytest.raises(InputError, match='complex'):
        open_frames(save(tmp_path / 'a.mha', block(dtype)), axis=0)


def test_two_channels_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match='2 channels'):
        open_frames(save(tmp_path / 'a.mha', np.zeros((4, 5, 2), np.uint8), is_vector=True))


def test_size_is_checked_before_voxels_are_read(tmp_path: Path) -> None:
    path = save(tmp_path / 'a.nii.gz', block())
    with pytest.raises(InputError, match='7 x 6 pixels are more than the 41'):
        open_frames(path, axis=0, max_pixels=41)
    header = bytearray(gzip.decompress(path.read_bytes()))
    header[42:48] = np.array([2000, 2000, 2000], '<i2').tobytes()
    path.write_bytes(gzip.compress(bytes(header)))
    with pytest.raises(InputError, match='8,000,000,000 voxels are more than the 2,000,000,000'):
        open_frames(path, axis=0)


def test_garbage_named_nifti(tmp_path: Path) -> None:
    (tmp_path / 'a.nii').write_bytes(np.random.default_rng(0).bytes(2000))
    with pytest.raises(InputError, match='not a volume'):
        open_frames(tmp_path / 'a.nii', axis=0)


def test_missing_simpleitk_names_the_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = save(tmp_path / 'a.mha', block())
    monkeypatch.setitem(sys.modules, 'SimpleITK', None)
    with pytest.raises(InputError, match=r'needs SimpleITK.*pip install "ultrasam\[volume\]"'):
        open_frames(path, axis=0)
