from __future__ import annotations

import io
import logging
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tests.inference.readers.files import (
    PATIENT,
    colours,
    dicom_dataset,
    ellipse,
    extent_mm,
    ramp,
    region,
    save_dicom,
)
from ultrasam.errors import InputError
from ultrasam.io.readers import FrameSource, open_frames

pydicom = pytest.importorskip('pydicom', reason='needs the extra dicom')
uid = pydicom.uid


def only_frame(path: Path, **options: Any) -> np.ndarray:
    with open_frames(path, **options) as frames:
        assert frames.kind == 'dicom' and len(frames) == 1
        image = frames.frame(0).image
        assert image.dtype == np.uint8 and image.shape == (*frames.size_hw, 3) and image.flags.c_contiguous
        return image


def gray_of(path: Path, **options: Any) -> np.ndarray:
    image = only_frame(path, **options)
    assert (image == image[..., :1]).all()
    return image[..., 0]


def test_monochrome2_is_kept_and_monochrome1_inverted(tmp_path: Path) -> None:
    assert np.array_equal(gray_of(save_dicom(tmp_path / 'a.dcm', ramp())), ramp())
    assert np.array_equal(gray_of(save_dicom(tmp_path / 'b.dcm', ramp(), 'MONOCHROME1')), 255 - ramp())


@pytest.mark.parametrize('planar', [0, 1])
def test_rgb(tmp_path: Path, planar: int) -> None:
    path = save_dicom(tmp_path / 'a.dcm', colours(), 'RGB', PlanarConfiguration=planar)
    if planar:
        planes = np.ascontiguousarray(colours().transpose(2, 0, 1))
        save_dicom(path, colours(), 'RGB', PlanarConfiguration=1, PixelData=planes.tobytes())
    assert np.array_equal(only_frame(path), colours())


def test_sixteen_bit_rgb_keeps_the_upper_bits(tmp_path: Path) -> None:
    wide = colours().astype(np.uint16) * 16 + 7
    path = save_dicom(tmp_path / 'a.dcm', wide, 'RGB', BitsStored=12, HighBit=11)
    assert np.array_equal(only_frame(path), colours())


def test_ybr_full(tmp_path: Path) -> None:
    flat = np.full((8, 8, 3), (180, 60, 120), np.uint8)
    ybr = np.asarray(Image.fromarray(flat).convert('YCbCr'))
    image = only_frame(save_dicom(tmp_path / 'a.dcm', ybr, 'YBR_FULL'))
    assert np.abs(image.astype(int) - flat).max() <= 2


def test_ybr_full_422_uncompressed(tmp_path: Path) -> None:
    flat = np.full((8, 8, 3), (180, 60, 120), np.uint8)
    y, cb, cr = np.asarray(Image.fromarray(flat).convert('YCbCr'))[0, 0]
    pairs = np.tile(np.array([y, y, cb, cr], np.uint8), 32)
    path = save_dicom(tmp_path / 'a.dcm', flat, 'YBR_FULL_422', PixelData=pairs.tobytes())
    assert np.abs(only_frame(path).astype(int) - flat).max() <= 2


@pytest.mark.parametrize('bits', [8, 16])
def test_palette_color(tmp_path: Path, bits: int) -> None:
    table = np.random.default_rng(0).integers(0, 256, (3, 256)).astype(np.uint16 if bits == 16 else np.uint8)
    entries = table * 257 if bits == 16 else table
    attributes: dict[str, Any] = {}
    for name, channel in zip(('Red', 'Green', 'Blue'), entries, strict=True):
        attributes[f'{name}PaletteColorLookupTableDescriptor'] = [256, 0, bits]
        attributes[f'{name}PaletteColorLookupTableData'] = channel.tobytes()
    path = save_dicom(tmp_path / 'a.dcm', ramp(), 'PALETTE COLOR', **attributes)
    assert np.array_equal(only_frame(path), table.T[ramp()])


def test_sixteen_bits_without_window_are_spread(tmp_path: Path) -> None:
    values = ramp().astype(np.uint16) * 10 + 300
    path = save_dicom(tmp_path / 'a.dcm', values, BitsStored=12, HighBit=11)
    share = (values - 300.0) / (values.max() - 300)
    assert np.array_equal(gray_of(path), np.floor(share * 255 + 0.5))


def test_rescale_and_window_of_the_file(tmp_path: Path) -> None:
    values = np.arange(192, dtype=np.int16).reshape(12, 16) - 96
    path = save_dicom(
        tmp_path / 'a.dcm',
        values,
        RescaleSlope=2,
        RescaleIntercept=10,
        WindowCenter=[10, 99],
        WindowWidth=[101, 1],
    )
    rescaled = values * 2.0 + 10
    expected = ((rescaled - 9.5) / 100 + 0.5).clip(0, 1) * 255
    assert np.array_equal(gray_of(path), np.floor(expected + 0.5))


def test_window_given_stands_above_that_of_the_file(tmp_path: Path) -> None:
    path = save_dicom(tmp_path / 'a.dcm', ramp().astype(np.uint16), WindowCenter=10, WindowWidth=5)
    assert np.array_equal(gray_of(path, window=(0, 255)), ramp())


def test_eight_bit_window_that_shows_all_changes_nothing(tmp_path: Path) -> None:
    path = save_dicom(tmp_path / 'a.dcm', ramp(), WindowCenter=128, WindowWidth=256)
    assert np.array_equal(gray_of(path), ramp())


def lut_item(table: np.ndarray, first: int, bits: int, vr: str) -> Any:
    item = pydicom.Dataset()
    item.add_new('LUTDescriptor', 'SS' if first < 0 else 'US', [len(table) % 65536, first, bits])
    data = table.tolist() if vr == 'US' else table.astype('u1' if vr == 'OB' else '<u2').tobytes()
    item.add_new('LUTData', 'US' if vr == 'US' else 'OW', data)
    return item


@pytest.mark.parametrize('vr', ['US', 'OW', 'OB'])
@pytest.mark.parametrize('bits', [8, 12, 16])
@pytest.mark.parametrize('shape', ['inverting', 'square root'])
def test_voi_lut_of_the_file(tmp_path: Path, vr: str, bits: int, shape: str) -> None:
    """12 bits through 4096 entries: the picture that a viewer shows."""
    if vr == 'OB' and bits > 8:
        pytest.skip('a byte holds 8 bits')
    shares = np.linspace(0, 1, 4096)
    table = np.rint((1 - shares if shape == 'inverting' else np.sqrt(shares)) * (2**bits - 1)).astype(
        np.uint16
    )
    values = (ramp().astype(np.uint16) * 21 + 5).clip(0, 4095)
    options = dict(BitsStored=12, HighBit=11, VOILUTSequence=[lut_item(table, 0, bits, vr)])
    path = save_dicom(tmp_path / 'a.dcm', values, WindowCenter=9, WindowWidth=2, **options)
    expected = np.floor(table[values] / (2**bits - 1) * 255 + 0.5)
    assert np.array_equal(gray_of(path), expected)
    if bits > 8 and vr == 'US':
        theirs = pydicom.pixels.apply_voi_lut(values, pydicom.dcmread(path))
        assert np.array_equal(gray_of(path), np.floor(theirs / (2**bits - 1) * 255 + 0.5))
    # a window of the user stands above it
    assert np.array_equal(gray_of(path, window=(0, 4095)), np.floor(values / 4095 * 255 + 0.5))


def test_voi_lut_takes_values_beyond_its_ends_for_the_last(tmp_path: Path) -> None:
    values = np.arange(192, dtype=np.int16).reshape(12, 16) - 96
    table = np.arange(0, 256, 4, dtype=np.uint16)
    path = save_dicom(tmp_path / 'a.dcm', values, VOILUTSequence=[lut_item(table, -32, 8, 'US')])
    assert np.array_equal(gray_of(path), table[np.clip(values + 32, 0, 63)])


def test_voi_lut_of_a_functional_group(tmp_path: Path) -> None:
    group = pydicom.Dataset()
    inner = pydicom.Dataset()
    inner.VOILUTSequence = [lut_item(np.arange(255, -1, -1), 0, 8, 'US')]
    group.FrameVOILUTSequence = [inner]
    path = save_dicom(tmp_path / 'a.dcm', ramp(), SharedFunctionalGroupsSequence=[group])
    assert np.array_equal(gray_of(path), 255 - ramp())


@pytest.mark.parametrize(
    ('window', 'expected'),
    [
        ((50, 100, 'LINEAR_EXACT'), [0, 0, 128, 255]),
        ((50, 100, 'SIGMOID'), [5, 30, 128, 250]),
        ((51, 1, 'LINEAR'), [0, 0, 0, 255]),
    ],
)
def test_window_functions(tmp_path: Path, window: tuple[float, float, str], expected: list[int]) -> None:
    center, width, function = window
    stored = np.array([[0, 50, 100, 200]], np.uint8)
    path = save_dicom(
        tmp_path / 'a.dcm',
        stored,
        RescaleSlope=1,
        RescaleIntercept=-50,
        WindowCenter=center,
        WindowWidth=width,
        VOILUTFunction=function,
    )
    assert gray_of(path)[0].tolist() == expected


def test_modality_table(tmp_path: Path) -> None:
    item = pydicom.Dataset()
    item.LUTDescriptor = [256, 0, 16]
    item.LUTData = np.arange(255, -1, -1, dtype=np.uint16).tobytes()
    item.ModalityLUTType = 'US'
    dataset = dicom_dataset(ramp(), ModalityLUTSequence=[item])
    dataset['ModalityLUTSequence'].value[0]['LUTDescriptor'].VR = 'US'
    dataset['ModalityLUTSequence'].value[0]['LUTData'].VR = 'OW'
    dataset.save_as(tmp_path / 'a.dcm', enforce_file_format=True)
    spread_out = 255 - ramp().astype(float)
    expected = np.floor((spread_out - spread_out.min()) / np.ptp(spread_out) * 255 + 0.5)
    assert np.array_equal(gray_of(tmp_path / 'a.dcm').astype(float), expected)


def test_one_bit(tmp_path: Path) -> None:
    bits = np.random.default_rng(1).integers(0, 2, (8, 16), np.uint8)
    packed = np.packbits(bits, bitorder='little')
    path = save_dicom(
        tmp_path / 'a.dcm', bits, BitsAllocated=1, BitsStored=1, HighBit=0, PixelData=packed.tobytes()
    )
    assert np.array_equal(gray_of(path), bits * 255)


def test_frames_of_a_loop_share_one_scale(tmp_path: Path) -> None:
    loop = np.stack([np.full((6, 8), value, np.uint16) for value in (100, 150, 200)])
    with open_frames(save_dicom(tmp_path / 'a.dcm', loop)) as frames:
        assert len(frames) == 3 and frames.size_hw == (6, 8)
        assert [(frame.index, int(frame.image[0, 0, 0])) for frame in frames] == [(0, 0), (1, 128), (2, 255)]
        assert frames.frame(2).image[0, 0, 0] == 255
        with pytest.raises(InputError, match='no frame 3'):
            frames.frame(3)


def encapsulated(path: Path, syntax: Any, parts: list[bytes], pixels: np.ndarray, photometric: str) -> Path:
    dataset = dicom_dataset(pixels, photometric)
    dataset.file_meta.TransferSyntaxUID = syntax
    dataset.PixelData = pydicom.encaps.encapsulate(parts)
    dataset['PixelData'].VR = 'OB'
    dataset.save_as(path, enforce_file_format=True)
    return path


def jpeg(pixels: np.ndarray, **options: Any) -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, **{'format': 'JPEG', 'quality': 95, **options})
    return file.getvalue()


def test_jpeg_loop_in_ybr(tmp_path: Path) -> None:
    loop = np.stack([np.full((16, 16, 3), colour, np.uint8) for colour in ((200, 40, 90), (20, 240, 10))])
    parts = [jpeg(frame) for frame in loop]
    path = encapsulated(tmp_path / 'a.dcm', uid.JPEGBaseline8Bit, parts, loop, 'YBR_FULL_422')
    with open_frames(path) as frames:
        images = np.stack([frame.image for frame in frames])
        assert np.abs(images.astype(int) - loop).max() <= 4
        assert np.array_equal(frames.frame(1).image, images[1])


def test_jpeg_2000(tmp_path: Path) -> None:
    part = jpeg(colours(), format='JPEG2000', irreversible=False, no_jp2=True, mct=0)
    path = encapsulated(tmp_path / 'a.dcm', uid.JPEG2000Lossless, [part], colours(), 'RGB')
    assert np.array_equal(only_frame(path), colours())


@pytest.mark.parametrize(
    ('syntax', 'module'),
    [('RLELossless', 'numpy'), ('JPEGLSLossless', 'jpeg_ls'), ('JPEG2000Lossless', 'openjpeg')],
)
def test_lossless_compression_of_pydicom(tmp_path: Path, syntax: str, module: str) -> None:
    pytest.importorskip(module, reason='needs the extra dicom')
    values = ramp(64, 64).astype(np.uint16) * 16
    dataset = dicom_dataset(values, BitsStored=12, HighBit=11, WindowCenter=2048, WindowWidth=4096)
    dataset.compress(getattr(uid, syntax), generate_instance_uid=False)
    dataset.save_as(tmp_path / 'a.dcm', enforce_file_format=True)
    assert np.array_equal(gray_of(tmp_path / 'a.dcm'), np.floor(values / 4095 * 255 + 0.5))


@pytest.mark.parametrize(
    'syntax', ['DeflatedExplicitVRLittleEndian', 'ImplicitVRLittleEndian', 'ExplicitVRBigEndian']
)
def test_uncompressed_transfer_syntaxes(tmp_path: Path, syntax: str) -> None:
    dataset = dicom_dataset(ramp())
    dataset.file_meta.TransferSyntaxUID = getattr(uid, syntax)
    dataset['PixelData'].VR = 'OB'
    dataset.save_as(tmp_path / 'a.dcm', enforce_file_format=True)
    assert np.array_equal(gray_of(tmp_path / 'a.dcm'), ramp())


def test_file_without_preamble(tmp_path: Path) -> None:
    dataset = dicom_dataset(ramp())
    del dataset.file_meta
    dataset.save_as(tmp_path / 'old.dcm', implicit_vr=True, little_endian=True)
    assert np.array_equal(gray_of(tmp_path / 'old.dcm'), ramp())


def test_large_pixel_data_is_read_by_frame(tmp_path: Path) -> None:
    loop = np.random.default_rng(0).integers(0, 256, (5, 600, 700), np.uint8)
    with open_frames(save_dicom(tmp_path / 'a.dcm', loop)) as frames:
        assert np.array_equal(np.stack([frame.image[..., 0] for frame in frames]), loop)


# --- spacing


def spacing_of(path: Path, **attributes: Any) -> tuple[float, float] | None:
    with open_frames(save_dicom(path, np.zeros((60, 80), np.uint8), **attributes)) as frames:
        return frames.frame(0).spacing_mm


def test_ellipse_drawn_in_mm_has_its_size(tmp_path: Path) -> None:
    spacing = (0.25, 0.4)
    pixels = ellipse((200, 180), spacing, axes_mm=(30.0, 50.0))
    whole = region(corners=(0, 0, 179, 199), delta_cm=(0.04, 0.025))
    with open_frames(save_dicom(tmp_path / 'a.dcm', pixels, SequenceOfUltrasoundRegions=[whole])) as frames:
        frame = frames.frame(0)
    assert frame.spacing_mm == pytest.approx(spacing)
    height, width = extent_mm(frame.image, frame.spacing_mm)
    assert height == pytest.approx(30, abs=0.5) and width == pytest.approx(50, abs=0.8)


@pytest.mark.parametrize(
    ('corners', 'fits'),
    [
        ((0, 0, 79, 59), True),
        ((0, 0, 80, 60), True),
        ((84, 31, 595, 414), False),
        ((0, 0, 81, 59), False),
        ((0, 0, 79, 61), False),
    ],
)
def test_a_region_of_another_frame_gives_no_millimetres(
    tmp_path: Path, corners: tuple[int, int, int, int], fits: bool, caplog: pytest.LogCaptureFixture
) -> None:
    """The file was cut or made smaller after it was calibrated."""
    regions = [region(corners=corners, delta_cm=(0.02, 0.02))]
    with caplog.at_level(logging.WARNING):
        spacing = spacing_of(tmp_path / 'a.dcm', SequenceOfUltrasoundRegions=regions, PixelSpacing=[0.2, 0.2])
    assert spacing == (pytest.approx((0.2, 0.2)) if fits else None)
    warned = [
        one.message for one in caplog.records if 'does not fit its frame of 80 x 60 pixels' in one.message
    ]
    assert bool(warned) is not fits


def test_largest_calibrated_image_region_counts(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    regions = [
        region(corners=(0, 0, 79, 59), delta_cm=(1, 1), RegionSpatialFormat=3),  # a spectrum
        region(corners=(0, 0, 79, 59), delta_cm=(1, 1), PhysicalUnitsXDirection=4),  # seconds
        region(corners=(0, 0, 79, 59), delta_cm=(0, 0)),
        region(corners=(0, 0, 20, 20), delta_cm=(0.05, 0.06)),
        region(corners=(20, 0, 70, 50), delta_cm=(0.01, -0.02)),
    ]
    with caplog.at_level(logging.WARNING):
        spacing = spacing_of(tmp_path / 'a.dcm', SequenceOfUltrasoundRegions=regions, PixelSpacing=[9, 9])
    assert spacing == pytest.approx((0.2, 0.1))
    assert [record.message for record in caplog.records if 'different scale' in record.message] != []


def test_regions_of_one_scale_warn_of_nothing(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    twice = [
        region(corners=(0, 0, 40, 59), delta_cm=(0.01, 0.01)),
        region(corners=(41, 0, 79, 59), delta_cm=(0.01, 0.01)),
    ]
    with caplog.at_level(logging.WARNING):
        assert spacing_of(tmp_path / 'a.dcm', SequenceOfUltrasoundRegions=twice) == pytest.approx((0.1, 0.1))
    assert not caplog.records


def test_pixel_spacing_then_imager_spacing_then_none(tmp_path: Path) -> None:
    path = tmp_path / 'a.dcm'
    assert spacing_of(path, PixelSpacing=[0.3, 0.2], ImagerPixelSpacing=[1, 1]) == (0.3, 0.2)
    assert spacing_of(path, ImagerPixelSpacing=[0.5, 0.6]) == (0.5, 0.6)
    assert spacing_of(path, PixelSpacing=[0, 0]) is None
    assert spacing_of(path) is None


def test_functional_groups(tmp_path: Path) -> None:
    def nested(**sequences: Any) -> Any:
        group = pydicom.Dataset()
        for keyword, attributes in sequences.items():
            item = pydicom.Dataset()
            item.update(pydicom.Dataset())
            for name, value in attributes.items():
                setattr(item, name, value)
            setattr(group, keyword, [item])
        return group

    loop = np.stack([ramp(), ramp()]).astype(np.uint16)
    path = save_dicom(
        tmp_path / 'a.dcm',
        loop,
        SharedFunctionalGroupsSequence=[nested(PixelMeasuresSequence={'PixelSpacing': [0.7, 0.8]})],
        PerFrameFunctionalGroupsSequence=[
            nested(FrameVOILUTSequence={'WindowCenter': 128, 'WindowWidth': 256}),
            nested(
                FrameVOILUTSequence={'WindowCenter': 128, 'WindowWidth': 256},
                PixelValueTransformationSequence={'RescaleSlope': 0.5, 'RescaleIntercept': 0},
            ),
        ],
    )
    first, second = open_frames(path)
    assert first.spacing_mm == second.spacing_mm == (0.7, 0.8)
    assert np.array_equal(first.image[..., 0], ramp())
    # halves fall to either side
    assert np.abs(second.image[..., 0] - ramp() / 2).max() <= 0.5


# --- what cannot be read


def refuse(path: Path, match: str, **options: Any) -> None:
    with pytest.raises(InputError, match=match) as caught:
        list(open_frames(path, **options))
    assert path.name in str(caught.value) and 'DOE' not in str(caught.value)
    assert caught.value.__suppress_context__ or caught.value.__context__ is None


def test_report_without_pixels(tmp_path: Path) -> None:
    dataset = dicom_dataset(ramp())
    del dataset.PixelData
    dataset.save_as(tmp_path / 'a.dcm', enforce_file_format=True)
    refuse(tmp_path / 'a.dcm', 'without pixel data')


@pytest.mark.parametrize('share', [0.05, 0.3, 0.6, 0.95])
@pytest.mark.parametrize('is_jpeg', [False, True])
def test_truncated(tmp_path: Path, share: float, is_jpeg: bool) -> None:
    loop = np.random.default_rng(0).integers(0, 256, (3, 64, 64), np.uint8)
    path = tmp_path / 'a.dcm'
    if is_jpeg:
        encapsulated(path, uid.JPEGBaseline8Bit, [jpeg(frame) for frame in loop], loop, 'MONOCHROME2')
    else:
        save_dicom(path, loop)
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * share)])
    refuse(path, 'damaged|cut short|without pixel data|header')


def test_more_frames_stated_than_there_are(tmp_path: Path) -> None:
    refuse(save_dicom(tmp_path / 'a.dcm', np.zeros((2, 8, 8), np.uint8), NumberOfFrames=5), 'cut short')


def test_missing_rows(tmp_path: Path) -> None:
    dataset = dicom_dataset(ramp())
    del dataset.Rows
    dataset.save_as(tmp_path / 'a.dcm', enforce_file_format=True)
    refuse(tmp_path / 'a.dcm', 'header lacks')


def test_garbage_named_dcm(tmp_path: Path) -> None:
    (tmp_path / 'a.dcm').write_bytes(np.random.default_rng(0).bytes(2000))
    refuse(tmp_path / 'a.dcm', 'DICOM file')


def test_too_large_and_empty_frames(tmp_path: Path) -> None:
    refuse(save_dicom(tmp_path / 'a.dcm', ramp()), '16 x 12 pixels are more', max_pixels=100)
    refuse(save_dicom(tmp_path / 'b.dcm', ramp(), Rows=60_000, Columns=60_000), '60000 x 60000')
    refuse(save_dicom(tmp_path / 'c.dcm', ramp(), Rows=0), '16 x 0 pixels')


def test_window_on_colours(tmp_path: Path) -> None:
    refuse(save_dicom(tmp_path / 'a.dcm', colours(), 'RGB'), 'in colour', window=(0, 1))


def test_unknown_photometric_interpretation(tmp_path: Path) -> None:
    refuse(save_dicom(tmp_path / 'a.dcm', colours(), 'HSV'), 'photometric')


def test_video_inside_dicom(tmp_path: Path) -> None:
    path = encapsulated(tmp_path / 'a.dcm', uid.MPEG4HP41, [b'\0' * 64], colours(), 'YBR_PARTIAL_420')
    refuse(path, 'cannot be decoded')


def test_missing_decoder_names_the_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from pydicom.pixels.decoders import JPEGLosslessSV1Decoder

    monkeypatch.setattr(JPEGLosslessSV1Decoder, '_available', {})
    path = encapsulated(tmp_path / 'a.dcm', uid.JPEGLosslessSV1, [b'\xff\xd8\xff\xd9'], ramp(), 'MONOCHROME2')
    refuse(path, r'JPEG Lossless.*ultrasam\[dicom\].*ultrasam\[dicom-gpl\]')


@pytest.mark.parametrize(('keyword', 'vr'), [('RescaleSlope', 'DS'), ('NumberOfFrames', 'IS')])
def test_nothing_of_the_patient_is_said(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, recwarn: Any, keyword: str, vr: str
) -> None:
    # A number that is none is quoted by what fails on it, and pydicom warns of it.
    dataset = dicom_dataset(ramp())
    tag = pydicom.tag.Tag(keyword)
    dataset.add(pydicom.dataelem.RawDataElement(tag, vr, 8, PATIENT.encode(), 0, False, True))
    dataset.save_as(tmp_path / 'a.dcm', enforce_file_format=True)
    caplog.clear()
    recwarn.clear()
    with caplog.at_level(logging.DEBUG):
        refuse(tmp_path / 'a.dcm', 'header')
    assert PATIENT not in caplog.text
    assert not [warning for warning in recwarn if PATIENT in str(warning.message)]


def test_damaged_frame_does_not_hide_the_others(tmp_path: Path) -> None:
    loop = np.zeros((2, 16, 16), np.uint8)
    parts = [jpeg(loop[0]), b'\xff\xd8' + b'\x55' * 100]
    frames: FrameSource = open_frames(
        encapsulated(tmp_path / 'a.dcm', uid.JPEGBaseline8Bit, parts, loop, 'MONOCHROME2')
    )
    assert (frames.frame(0).image == 0).all()
    with pytest.raises(InputError, match='frame 1 is damaged'):
        frames.frame(1)
