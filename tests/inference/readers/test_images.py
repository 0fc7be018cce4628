from __future__ import annotations

import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.inference.readers.files import colours, ramp
from ultrasam.errors import InputError
from ultrasam.io.readers import open_frames


def read(path: Path, **options: object) -> np.ndarray:
    with open_frames(path, **options) as frames:
        assert frames.kind == 'image'
        (frame,) = frames
        assert frame.image.dtype == np.uint8 and frame.image.shape == (*frames.size_hw, 3)
        assert frame.image.flags.c_contiguous and frame.source == path and frame.spacing_mm is None
        return frame.image


def gray_rgb(gray: np.ndarray) -> np.ndarray:
    return np.repeat(gray[..., None], 3, axis=2)


@pytest.mark.parametrize('suffix', ['png', 'tif', 'bmp'])
def test_gray_and_colour_survive_as_they_are(tmp_path: Path, suffix: str) -> None:
    Image.fromarray(ramp()).save(tmp_path / f'gray.{suffix}')
    Image.fromarray(colours()).save(tmp_path / f'rgb.{suffix}')
    assert np.array_equal(read(tmp_path / f'gray.{suffix}'), gray_rgb(ramp()))
    assert np.array_equal(read(tmp_path / f'rgb.{suffix}'), colours())


def test_jpeg_in_gray_rgb_and_cmyk(tmp_path: Path) -> None:
    flat = np.full((16, 16, 3), (200, 40, 90), np.uint8)
    Image.fromarray(flat).save(tmp_path / 'rgb.jpg', quality=95)
    Image.fromarray(flat[..., 0]).save(tmp_path / 'gray.jpg', quality=95)
    ink = np.full((16, 16, 4), (0, 255, 255, 0), np.uint8)
    Image.frombytes('CMYK', (16, 16), ink.tobytes()).save(tmp_path / 'cmyk.jpg', quality=95)
    assert np.abs(read(tmp_path / 'rgb.jpg').astype(int) - flat).max() <= 3
    assert np.abs(read(tmp_path / 'gray.jpg').astype(int) - 200).max() <= 1
    assert np.abs(read(tmp_path / 'cmyk.jpg').astype(int) - (255, 0, 0)).max() <= 3


def test_one_bit_becomes_black_and_white(tmp_path: Path) -> None:
    bits = ramp() % 3 == 0
    Image.fromarray(bits).save(tmp_path / 'bits.png')
    assert np.array_equal(read(tmp_path / 'bits.png'), gray_rgb(np.where(bits, 255, 0).astype(np.uint8)))


def test_palette_gives_its_colours(tmp_path: Path) -> None:
    image = Image.fromarray((ramp() % 2).astype(np.uint8)).convert('P')
    image.putpalette([10, 20, 30, 200, 100, 50] + [0] * 762)
    image.save(tmp_path / 'palette.png')
    expected = np.array([[10, 20, 30], [200, 100, 50]], np.uint8)[ramp() % 2]
    assert np.array_equal(read(tmp_path / 'palette.png'), expected)


def test_transparency_is_laid_over_black(tmp_path: Path) -> None:
    alpha = np.zeros((12, 16), np.uint8)
    alpha[:, 4:8], alpha[:, 8:] = 128, 255
    Image.fromarray(np.dstack([colours(), alpha])).save(tmp_path / 'rgba.png')
    Image.fromarray(np.dstack([ramp(), alpha])).save(tmp_path / 'la.png')
    for name, opaque in (('rgba.png', colours()), ('la.png', gray_rgb(ramp()))):
        image = read(tmp_path / name)
        assert (image[:, :4] == 0).all()
        assert np.abs(image[:, 4:8] - opaque[:, 4:8] * (128 / 255)).max() <= 1
        assert np.array_equal(image[:, 8:], opaque[:, 8:])


@pytest.mark.parametrize('suffix', ['png', 'tif'])
def test_sixteen_bits_are_spread_over_the_range_or_the_window(tmp_path: Path, suffix: str) -> None:
    values = np.linspace(1000, 3000, 192).reshape(12, 16).astype(np.uint16)
    Image.fromarray(values).save(tmp_path / f'wide.{suffix}')
    whole = read(tmp_path / f'wide.{suffix}')[..., 0]
    expected = np.floor((values - 1000.0) / 2000 * 255 + 0.5)
    assert np.array_equal(whole, expected)
    cut = read(tmp_path / f'wide.{suffix}', window=(1500, 2000))[..., 0]
    assert (cut[values <= 1500] == 0).all() and (cut[values >= 2000] == 255).all()
    assert 120 <= cut[np.unravel_index(np.abs(values.astype(int) - 1750).argmin(), cut.shape)] <= 135


def test_window_holds_for_eight_bits_too(tmp_path: Path) -> None:
    Image.fromarray(ramp()).save(tmp_path / 'gray.png')
    image = read(tmp_path / 'gray.png', window=(50, 101))[..., 0]
    assert np.array_equal(image, np.clip((ramp().astype(int) - 50) * 5, 0, 255))


def test_float_tiff(tmp_path: Path) -> None:
    values = np.linspace(-1, 1, 192, dtype=np.float32).reshape(12, 16)
    Image.fromarray(values).save(tmp_path / 'float.tif')
    image = read(tmp_path / 'float.tif')
    assert image.min() == 0 and image.max() == 255 and (np.diff(image[..., 0].ravel().astype(int)) >= 0).all()
    values[3, 4] = np.nan
    Image.fromarray(values).save(tmp_path / 'nan.tif')
    with pytest.raises(InputError, match=r'nan\.tif: .*not finite.*window'):
        read(tmp_path / 'nan.tif')
    image = read(tmp_path / 'nan.tif', window=(-1, 1))
    assert image[3, 4, 0] == 0 and image[3, 5, 0] > 0


def test_constant_wide_image_is_black(tmp_path: Path) -> None:
    Image.fromarray(np.full((4, 4), 900, np.uint16)).save(tmp_path / 'flat.png')
    assert (read(tmp_path / 'flat.png') == 0).all()


def test_white_is_zero(tmp_path: Path) -> None:
    # Pillow stores the negative of 8 bits under this tag, and 16 bits as they are.
    Image.fromarray(ramp()).save(tmp_path / 'narrow.tif', tiffinfo={262: 0})
    assert np.array_equal(read(tmp_path / 'narrow.tif')[..., 0], ramp())
    pages = [Image.fromarray(ramp().astype(np.uint16) * factor) for factor in (100, 255)]
    pages[0].save(tmp_path / 'wide.tif', tiffinfo={262: 0}, save_all=True, append_images=pages[1:])
    with open_frames(tmp_path / 'wide.tif', window=(0, 255 * 255)) as frames:
        first, second = (frame.image[..., 0] for frame in frames)
    assert np.array_equal(second, 255 - ramp())
    assert np.array_equal(first, 255 - np.floor(ramp() * (100 / 255) + 0.5))


def test_pages_of_a_tiff_are_frames_on_one_scale(tmp_path: Path) -> None:
    pages = [np.full((6, 8), value, np.uint16) for value in (0, 500, 1000)]
    first, *others = map(Image.fromarray, pages)
    first.save(tmp_path / 'pages.tif', save_all=True, append_images=others)
    with open_frames(tmp_path / 'pages.tif') as frames:
        assert len(frames) == 3
        assert [(frame.index, frame.image[0, 0, 0]) for frame in frames] == [(0, 0), (1, 128), (2, 255)]
        assert frames.frame(1).image[0, 0, 0] == 128
        with pytest.raises(InputError, match=r'no frame 3.*from 0 to 2'):
            frames.frame(3)


@pytest.mark.parametrize('suffix', ['jpg', 'png', 'tif'])
@pytest.mark.parametrize('orientation', [1, 3, 6, 8])
def test_exif_orientation_turns_the_image_upright(tmp_path: Path, suffix: str, orientation: int) -> None:
    gray = np.zeros((16, 32), np.uint8)
    gray[:8, :8] = 255
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = tmp_path / f'turned.{suffix}'
    Image.fromarray(gray).save(path, exif=exif)
    image = read(path)[..., 0] > 127
    quarter_turns = {1: 0, 3: 2, 6: 3, 8: 1}[orientation]
    assert np.array_equal(image, np.rot90(gray > 127, quarter_turns))


def test_sixteen_bit_image_is_turned_as_well(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(np.arange(6, dtype=np.uint16).reshape(2, 3) * 51).save(tmp_path / 'a.png', exif=exif)
    assert np.array_equal(read(tmp_path / 'a.png')[..., 0], np.rot90(np.arange(6).reshape(2, 3) * 51, 3))


@pytest.mark.parametrize('suffix', ['png', 'jpg', 'tif', 'bmp'])
@pytest.mark.parametrize('share', [0.3, 0.9, 0.99])
def test_truncated_file_is_refused(tmp_path: Path, suffix: str, share: float) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (200, 200, 3), np.uint8)
    Image.fromarray(noise).save(tmp_path / f'whole.{suffix}')
    data = (tmp_path / f'whole.{suffix}').read_bytes()
    path = tmp_path / f'cut.{suffix}'
    path.write_bytes(data[: int(len(data) * share)])
    with pytest.raises(InputError, match=rf'cut\.{suffix}: .*(damaged|cut short).*again'):
        read(path)


def test_flipped_bit_in_a_png_is_noticed(tmp_path: Path) -> None:
    Image.fromarray(colours()).save(tmp_path / 'a.png', compress_level=0)
    data = bytearray((tmp_path / 'a.png').read_bytes())
    data[len(data) // 2] ^= 1
    (tmp_path / 'a.png').write_bytes(data)
    with pytest.raises(InputError, match='damaged'):
        read(tmp_path / 'a.png')


def test_bomb_is_refused_before_memory_is_used(tmp_path: Path) -> None:
    Image.fromarray(ramp()).save(tmp_path / 'huge.png')
    data = bytearray((tmp_path / 'huge.png').read_bytes())
    data[16:24] = struct.pack('>II', 40_000, 40_000)
    data[29:33] = struct.pack('>I', zlib.crc32(data[12:29]))
    (tmp_path / 'huge.png').write_bytes(data)
    with pytest.raises(InputError, match=r'40000 x 40000 pixels are more than the 100,000,000 allowed'):
        open_frames(tmp_path / 'huge.png')


def test_max_pixels(tmp_path: Path) -> None:
    Image.fromarray(ramp()).save(tmp_path / 'a.png')
    with pytest.raises(InputError, match='16 x 12 pixels are more than the 191 allowed'):
        open_frames(tmp_path / 'a.png', max_pixels=191)
    assert open_frames(tmp_path / 'a.png', max_pixels=192).size_hw == (12, 16)


def test_large_later_page_is_refused(tmp_path: Path) -> None:
    small, large = Image.new('L', (4, 4)), Image.new('L', (40, 40))
    small.save(tmp_path / 'a.tif', save_all=True, append_images=[large])
    frames = open_frames(tmp_path / 'a.tif', max_pixels=100)
    assert frames.frame(0).size_hw == (4, 4)
    with pytest.raises(InputError, match='40 x 40'):
        frames.frame(1)


def test_image_without_pixels_is_refused(tmp_path: Path) -> None:
    Image.fromarray(ramp()).save(tmp_path / 'a.bmp')
    data = bytearray((tmp_path / 'a.bmp').read_bytes())
    data[18:26] = bytes(8)
    (tmp_path / 'a.bmp').write_bytes(data)
    with pytest.raises(InputError, match=r'a\.bmp'):
        read(tmp_path / 'a.bmp')


def test_animated_png_is_refused(tmp_path: Path) -> None:
    Image.fromarray(ramp()).save(
        tmp_path / 'a.png', save_all=True, append_images=[Image.fromarray(255 - ramp())]
    )
    with pytest.raises(InputError, match='animated PNG'):
        open_frames(tmp_path / 'a.png')


@pytest.mark.parametrize('window', [(5, 5), (6, 5), (0, float('nan')), (float('-inf'), 3)])
def test_window_must_be_an_interval(tmp_path: Path, window: tuple[float, float]) -> None:
    Image.fromarray(ramp()).save(tmp_path / 'a.png')
    with pytest.raises(InputError, match='lowest value first'):
        open_frames(tmp_path / 'a.png', window=window)


def test_window_on_colours_is_refused(tmp_path: Path) -> None:
    Image.fromarray(colours()).save(tmp_path / 'a.png')
    with pytest.raises(InputError, match='in colour'):
        read(tmp_path / 'a.png', window=(0, 100))


def tiff_of(path: Path, values: np.ndarray, sample_format: int, samples: int = 1, order: str = '<') -> Path:
    """A TIFF of any kind of numbers, written by hand: Pillow does not write these."""
    data = values.astype(values.dtype.newbyteorder(order)).tobytes()
    height, width = values.shape[:2]
    bits = 8 * values.dtype.itemsize
    tags = {
        256: width,
        257: height,
        258: bits,
        259: 1,
        262: 1,
        273: 8,
        277: samples,
        278: height,
        279: len(data),
    }
    tags[339] = sample_format
    entries = b''.join(
        struct.pack(f'{order}HHI', tag, 4, 1) + struct.pack(f'{order}I', value)
        for tag, value in sorted(tags.items())
    )
    mark = b'II*\0' if order == '<' else b'MM\0*'
    head = mark + struct.pack(f'{order}I', 8 + len(data))
    path.write_bytes(head + data + struct.pack(f'{order}H', len(tags)) + entries + bytes(4))
    return path


@pytest.mark.parametrize('order', '<>')
def test_large_numbers_without_a_sign_ascend(tmp_path: Path, order: str) -> None:
    values = np.linspace(0, 2**32 - 1, 192).reshape(12, 16).astype(np.uint32)
    path = tiff_of(tmp_path / 'a.tif', values, 1, order=order)
    if order == '>':
        with pytest.raises(InputError, match='32-bit unsigned numbers, which cannot be read'):
            read(path)
    else:
        image = read(path)[..., 0]
        assert (np.diff(image.ravel().astype(int)) >= 0).all() and image[0, 0] == 0 and image[-1, -1] == 255
    signed = np.linspace(-(2**31), 2**31 - 1, 192).reshape(12, 16).astype(np.int32)
    image = read(tiff_of(tmp_path / 'b.tif', signed, 2, order=order))[..., 0]
    assert (np.diff(image.ravel().astype(int)) >= 0).all() and image[0, 0] == 0 and image[-1, -1] == 255


@pytest.mark.parametrize(
    ('values', 'sample_format', 'samples', 'words'),
    [
        (np.ones((6, 8)), 3, 1, '1 sample a pixel of 64-bit floating-point numbers'),
        (np.ones((6, 8), np.float16), 3, 1, '1 sample a pixel of 16-bit floating-point numbers'),
        (np.ones((6, 8, 5), np.uint16), 1, 5, '5 samples a pixel of 16-bit unsigned numbers'),
        (np.ones((6, 8), np.uint64), 1, 1, '1 sample a pixel of 64-bit unsigned numbers'),
    ],
)
def test_kinds_that_cannot_be_read_are_named(
    tmp_path: Path, values: np.ndarray, sample_format: int, samples: int, words: str
) -> None:
    path = tiff_of(tmp_path / 'a.tif', values, sample_format, samples)
    with pytest.raises(InputError, match=rf'a\.tif: a TIFF with {words}.*Export it as'):
        read(path)
    path.write_bytes(path.read_bytes()[:-60])
    with pytest.raises(InputError, match='damaged'):
        read(path)
