"""Readers of volumes, videos, arrays, HDF5 files, polygons and pickled objects."""

from __future__ import annotations

import gzip
import json
import pickle
import struct
import zlib
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import Image

from tests.corpus.raw_trees.common import box, disc, save_video, save_volume, smooth, speckle
from tests.corpus.test_sweep import DESCRIPTIONS
from ultrasam.corpus import RawFrame
from ultrasam.corpus.errors import RawFileError
from ultrasam.corpus.loading import load_spec
from ultrasam.corpus.plan import Item, SourceFile
from ultrasam.corpus.readers import open_annotation, open_stack
from ultrasam.corpus.readers.base import as_bytes
from ultrasam.corpus.readers.image import read_image, read_mask
from ultrasam.corpus.readers.pickled import read_object_array
from ultrasam.corpus.readers.polygons import polygon_mask
from ultrasam.corpus.readers.volume import read_volume
from ultrasam.corpus.words import (
    LabelVolumes,
    MaskFiles,
    Nonzero,
    PolygonFiles,
    TracedRows,
    ViaRegions,
    VideoFiles,
    VolumeFiles,
)
from ultrasam.errors import InputError
from ultrasam.io.readers import volume_files

MASK = disc(30, 40, 10)


def item(path: Path, **rows: Any) -> Item:
    return Item(SourceFile(path.name, path), {}, rows=rows)


def read(
    word: Any, at: Item, number: int = 0, files: tuple[SourceFile, ...] = (), frames: Any = None
) -> dict:
    annotation = open_annotation(word, files, at, frames=frames, stray=0.005)
    structures, _ = annotation.read(number, MASK.shape)  # type: ignore[arg-type]
    return {structure.category: structure.mask for structure in structures}


@pytest.mark.parametrize('axis', [0, 1, 2])
def test_volume_is_cut_along_an_axis_and_so_are_its_labels(axis: int, tmp_path: Path) -> None:
    pytest.importorskip('SimpleITK')
    values = np.random.default_rng(0).integers(0, 255, (5, 6, 7), dtype=np.uint8)
    save_volume(tmp_path / 'v.nii.gz', values)
    save_volume(tmp_path / 'l.nii.gz', values)
    word = VolumeFiles('v.nii.gz', axis=axis)
    with open_stack(word, item(tmp_path / 'v.nii.gz')) as stack:
        assert list(stack.numbers) == list(range(values.shape[axis]))
        plane = stack.read(3)
    assert np.array_equal(plane, np.take(values, 3, axis=axis))
    labels = open_annotation(
        LabelVolumes('l.nii.gz', Nonzero('a')),
        (SourceFile('l.nii.gz', tmp_path / 'l.nii.gz'),),
        item(tmp_path / 'v.nii.gz'),
        frames=word,
        stray=0,
    )
    assert np.array_equal(labels.read(3, plane.shape)[0][0].mask, plane > 0)  # type: ignore[arg-type]
    with pytest.raises(RawFileError, match='rows x columns'):
        labels.read(3, (4, 4))


@pytest.mark.parametrize('slices, word', [(5, 'fewer'), (7, 'more')])
def test_labels_of_another_number_of_frames_are_refused(slices: int, word: str, tmp_path: Path) -> None:
    labels = np.zeros((slices, 8, 9), np.uint8)
    at = item(tmp_path / 'v.nii.gz')
    pytest.importorskip('SimpleITK')
    save_volume(tmp_path / 'l.nii.gz', labels)
    files = (SourceFile('l.nii.gz', tmp_path / 'l.nii.gz'),)
    volume = VolumeFiles('v.nii.gz', axis=0)
    stored = open_annotation(LabelVolumes('l', Nonzero('a')), files, at, frames=volume, stray=0)
    with pytest.raises(RawFileError, match=f'{word} than the 6'):
        stored.check_length(6)


def test_channel_of_a_label_volume_of_four_axes(tmp_path: Path) -> None:
    pytest.importorskip('SimpleITK')
    labels = np.stack([MASK[None] * np.uint8(1), ~MASK[None] * np.uint8(1)])
    save_volume(tmp_path / 'l.nii.gz', labels)
    file = SourceFile('l.nii.gz', tmp_path / 'l.nii.gz')
    frames = VolumeFiles('v.nii.gz')
    at = item(tmp_path / 'v.nii.gz')
    assert np.array_equal(
        read(LabelVolumes('l', Nonzero('a'), channel=1), at, files=(file,), frames=frames)['a'], ~MASK
    )
    with pytest.raises(RawFileError, match='no channel 2'):
        read(LabelVolumes('l', Nonzero('a'), channel=2), at, files=(file,), frames=frames)


def test_one_frame_a_file_with_channels_in_front(tmp_path: Path) -> None:
    pytest.importorskip('SimpleITK')
    picture = np.stack([speckle(1), speckle(2), speckle(3)])
    save_volume(tmp_path / 'v.mha', picture)
    with open_stack(VolumeFiles('v.mha', axis=None, channel=0), item(tmp_path / 'v.mha')) as stack:
        assert stack.is_single
        assert np.array_equal(stack.read(0), speckle(1))
    with pytest.raises(RawFileError, match='one frame is described'):
        open_stack(VolumeFiles('v.mha', axis=None), item(tmp_path / 'v.mha'))


@pytest.mark.parametrize('share', [0.3, 0.95])
@pytest.mark.parametrize('suffix', ['nii', 'nii.gz', 'mha'])
def test_volume_cut_short(suffix: str, share: float, tmp_path: Path) -> None:
    pytest.importorskip('SimpleITK')
    path = tmp_path / f'v.{suffix}'
    save_volume(path, np.random.default_rng(0).integers(0, 255, (5, 60, 70), dtype=np.uint8))
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * share)])
    with pytest.raises(RawFileError, match='cut short'):
        open_stack(VolumeFiles('v'), item(path))


def meta_image(
    path: Path, *, data_file: str = 'LOCAL', packed: bytes | None = None, size: int | None = None
) -> SourceFile:
    """A MetaImage of 2 x 4 x 6 bytes, written by hand."""
    voxels = np.arange(48, dtype=np.uint8).tobytes()
    head = 'ObjectType = Image\nNDims = 3\nDimSize = 6 4 2\nElementType = MET_UCHAR\n'
    head += f'BinaryData = True\nCompressedData = {packed is not None}\n'
    if packed is not None:
        head += f'CompressedDataSize = {len(packed) if size is None else size}\n'
    head += f'ElementDataFile = {data_file}\n'
    path.write_bytes(head.encode() + (voxels if packed is None else packed))
    return SourceFile(path.name, path)


def test_meta_image_is_read_to_its_end(tmp_path: Path) -> None:
    pytest.importorskip('SimpleITK')
    whole = zlib.compress(bytes(range(48)))
    assert read_volume(meta_image(tmp_path / 'a.mha')).shape == (2, 4, 6)
    assert read_volume(meta_image(tmp_path / 'b.mha', packed=whole)).max() == 47
    damaged = bytearray(whole)
    damaged[len(whole) // 2] ^= 0x10
    for packed in (bytes(damaged), whole[:-6], zlib.compress(bytes(40))):
        with pytest.raises(RawFileError, match='damaged or cut short'):
            read_volume(meta_image(tmp_path / 'c.mha', packed=packed))
    with pytest.raises(RawFileError, match='of 99 compressed bytes'):
        read_volume(meta_image(tmp_path / 'd.mha', packed=whole, size=99))


@pytest.mark.parametrize('kind', ['u1', 'i2', 'f4', 'f8'])
@pytest.mark.parametrize('suffix', ['nii', 'nii.gz', 'mha'])
@pytest.mark.parametrize('shape', [(3, 5, 7), (2, 3, 5, 7), (5, 7)])
def test_whole_volume_is_known_by_its_sum(
    kind: str, suffix: str, shape: tuple[int, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    itk = pytest.importorskip('SimpleITK')
    values = np.arange(np.prod(shape)).reshape(shape).astype(kind)
    path = tmp_path / f'v.{suffix}'
    itk.WriteImage(itk.GetImageFromArray(values, isVector=False), str(path), useCompression=True)
    if suffix != 'nii':
        monkeypatch.setattr(volume_files, '_check_nifti', lambda *_: pytest.fail('unpacked again'))
        monkeypatch.setattr(volume_files, '_check_meta_image', lambda *_: pytest.fail('unpacked again'))
    assert np.array_equal(read_volume(SourceFile(path.name, path)), values)


def big_endian_nifti(slope: float) -> bytes:
    """A NIfTI file of 2 x 3 x 5 two-byte numbers, most significant byte first, scaled."""
    head = bytearray(352)
    struct.pack_into('>i', head, 0, 348)
    struct.pack_into('>8h', head, 40, 3, 5, 3, 2, 1, 1, 1, 1)
    struct.pack_into('>2h', head, 70, 4, 16)
    struct.pack_into('>8f', head, 76, 1, 1, 1, 1, 1, 1, 1, 1)
    struct.pack_into('>3f', head, 108, 352, slope, 0)
    head[344:348] = b'n+1\0'
    return bytes(head) + np.arange(30).astype('>i2').tobytes()


@pytest.mark.parametrize('slope', [1, 2])
def test_volume_that_its_sum_cannot_prove_is_unpacked_and_taken(slope: int, tmp_path: Path) -> None:
    pytest.importorskip('SimpleITK')
    path = tmp_path / 'v.nii.gz'
    path.write_bytes(gzip.compress(big_endian_nifti(slope)))
    found = read_volume(SourceFile('v.nii.gz', path))
    assert np.array_equal(found, slope * np.arange(30).reshape(2, 3, 5))
    path.write_bytes(gzip.compress(big_endian_nifti(slope)[:-4]))
    with pytest.raises(RawFileError, match='56 of 60 bytes'):
        read_volume(SourceFile('v.nii.gz', path))


def test_resized_masks_are_counted(tmp_path: Path) -> None:
    for name, values in (('a', disc(30, 30, 9)), ('b', disc(30, 30, 9)[:-1])):
        Image.fromarray(values).save(tmp_path / f'{name}.png')
    files = tuple(SourceFile(f'{name}.png', tmp_path / f'{name}.png') for name in 'ab')
    word = MaskFiles('m', Nonzero('a'), fit='nearest')
    masks = open_annotation(word, files, item(tmp_path / 'v'), frames=None, stray=0)
    assert len(masks.read(0, (64, 80))[0]) == 2
    assert masks.changes(0) == {'resized to its image': 1}


def test_meta_image_names_no_file_elsewhere(tmp_path: Path) -> None:
    pytest.importorskip('SimpleITK')
    secret = tmp_path / 'secret'
    secret.write_bytes(bytes(48))
    inside = tmp_path / 'source'
    inside.mkdir()
    (inside / 'link.raw').symlink_to(secret)
    for name in (str(secret), '../secret', 'LIST', 'link.raw', ''):
        with pytest.raises(RawFileError, match='no file beside it'):
            read_volume(meta_image(inside / 'v.mha', data_file=name))


def test_images_follow_the_rule_of_prediction(tmp_path: Path) -> None:
    values = np.linspace(-1, 1, 48, dtype=np.float32).reshape(6, 8)
    file = SourceFile('f.tif', tmp_path / 'sub' / 'f.tif')
    file.path.parent.mkdir()
    Image.fromarray(values).save(file.path)
    found = read_image(file)
    assert (found.dtype, found.min(), found.max()) == (np.uint8, 0, 255)
    assert read_image(file, (-1, 0)).tolist()[-1] == [255] * 8
    values[2, 2] = np.inf
    Image.fromarray(values).save(file.path)
    with pytest.raises(RawFileError, match=r'^f\.tif: .*not finite'):
        read_image(file)


@pytest.mark.parametrize('window', [(5, 5), (9, 1), (0, float('nan'))])
def test_a_window_without_width_is_refused(window: tuple[float, float], tmp_path: Path) -> None:
    Image.fromarray(speckle(1)).save(tmp_path / 'f.png')
    with pytest.raises(RawFileError, match='a window from'):
        read_image(SourceFile('f.png', tmp_path / 'f.png'), window)
    with pytest.raises(InputError, match='a window from'):
        as_bytes(np.arange(9), window, 'a.nii')


def test_turned_images_and_masks_are_made_upright(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    for name, values in (('i', speckle(3)), ('m', MASK.astype(np.uint8) * 255)):
        Image.fromarray(values).save(tmp_path / f'{name}.png', exif=exif)
    image, mask = SourceFile('i.png', tmp_path / 'i.png'), SourceFile('m.png', tmp_path / 'm.png')
    assert np.array_equal(read_image(image), np.rot90(speckle(3), -1))
    assert np.array_equal(read_mask(mask) > 0, np.rot90(MASK, -1))


def test_voxels_missing_inside_a_whole_gzip_file(tmp_path: Path) -> None:
    pytest.importorskip('SimpleITK')
    save_volume(tmp_path / 'v.nii', np.ones((5, 60, 70), np.uint8))
    (tmp_path / 'v.nii.gz').write_bytes(gzip.compress((tmp_path / 'v.nii').read_bytes()[:-500]))
    with pytest.raises(RawFileError, match='bytes'):
        open_stack(VolumeFiles('v'), item(tmp_path / 'v.nii.gz'))


def test_values_beyond_8_bits_need_a_window(tmp_path: Path) -> None:
    pytest.importorskip('SimpleITK')
    values = np.linspace(-10, 500, 5 * 6 * 7).reshape(5, 6, 7)
    save_volume(tmp_path / 'v.nii.gz', values)
    with (
        open_stack(VolumeFiles('v'), item(tmp_path / 'v.nii.gz')) as stack,
        pytest.raises(RawFileError, match='window'),
    ):
        stack.read(0)
    with open_stack(VolumeFiles('v', window=(0, 500)), item(tmp_path / 'v.nii.gz')) as stack:
        assert stack.read(0).min() == 0
        assert stack.read(4).max() == 255
    values[0, 0, 0] = np.nan
    save_volume(tmp_path / 'n.nii.gz', values)
    with pytest.raises(RawFileError, match='finite'):
        open_stack(VolumeFiles('v'), item(tmp_path / 'n.nii.gz'))


def test_video_frames_are_those_of_their_numbers(tmp_path: Path) -> None:
    frames = [np.full((64, 64), 20 + 20 * k, np.uint8) for k in range(8)]
    save_video(tmp_path / 'v.avi', frames)
    with open_stack(VideoFiles('v.avi', 'all'), item(tmp_path / 'v.avi')) as stack:
        assert list(stack.numbers) == list(range(8))
        for number in (0, 3, 7):
            assert abs(stack.read(number).astype(int) - frames[number][..., None]).max() <= 3
        assert [number for number, _ in stack.frames([])] == list(range(8))
    (tmp_path / 'bad.avi').write_bytes(b'RIFF')
    with pytest.raises(RawFileError, match='video'):
        open_stack(VideoFiles('v.avi'), item(tmp_path / 'bad.avi'))


class Counted:
    """OpenCV's video reader, with a count of the frames that all of them decode."""

    decoded = 0

    def __init__(self, *args: Any) -> None:
        self._capture = CAPTURE(*args)

    def grab(self) -> bool:
        Counted.decoded += 1
        return self._capture.grab()

    def read(self) -> Any:
        Counted.decoded += 1
        return self._capture.read()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._capture, name)


CAPTURE = cv2.VideoCapture


@pytest.mark.parametrize('which', ['all', 'annotated'])
def test_a_clip_is_decoded_once(which: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save_video(tmp_path / 'v.avi', [np.full((64, 64), 20 + 20 * k, np.uint8) for k in range(8)])
    monkeypatch.setattr(cv2, 'VideoCapture', Counted)
    Counted.decoded = 0
    with open_stack(VideoFiles('v.avi', which), item(tmp_path / 'v.avi')) as stack:
        numbers = [number for number, _ in stack.frames([2, 5])]
    assert numbers == ([2, 5] if which == 'annotated' else list(range(8)))
    # one frame tells the size, one call that there is no more
    assert Counted.decoded <= 8 + 2
    with (
        open_stack(VideoFiles('v.avi', which), item(tmp_path / 'v.avi')) as stack,
        pytest.raises(RawFileError, match=r'v\.avi: frame 8 is annotated, but there are 8'),
    ):
        list(stack.frames([2, 8]))


def test_arrays_of_a_scan(tmp_path: Path) -> None:
    read_scan = load_spec(DESCRIPTIONS['asus']).read
    for name, values in {
        'v': np.stack([smooth(1), smooth(2)])[..., None] / 255,
        'l': np.stack([MASK, ~MASK])[..., None].astype(np.float32),
        'short': MASK[None],
        'objects': np.array([{}], dtype=object),
    }.items():
        np.save(tmp_path / f'{name}.npy', values, allow_pickle=True)

    def frames_of(*names: str) -> list[RawFrame]:
        image, *labels = (SourceFile(f'{name}.npy', tmp_path / f'{name}.npy') for name in names)
        return list(read_scan(Item(image, {}, (tuple(labels),))))

    frames = frames_of('v', 'l')
    assert abs(frames[1].image.astype(int) - smooth(2)).max() <= 1
    assert np.array_equal(frames[1].structures[0].mask, ~MASK)
    with pytest.raises(RawFileError, match=r'short\.npy: labels of 1 frames, fewer than the 2'):
        frames_of('v', 'short')
    with pytest.raises(RawFileError, match='not an array of numbers'):
        frames_of('objects', 'l')
    with pytest.raises(RawFileError, match='0 label files where one'):
        frames_of('v')


def test_hdf5(tmp_path: Path) -> None:
    h5py = pytest.importorskip('h5py')
    spec = load_spec(DESCRIPTIONS['thyroid_us_cineclip'])
    path = tmp_path / 'd.hdf5'
    file = SourceFile('d.hdf5', path)

    def write(**changed: Any) -> None:
        path.unlink(missing_ok=True)
        columns = {
            'image': np.stack([speckle(k) for k in range(3)]),
            'mask': np.stack([MASK * np.uint8(255)] * 3),
            'annot_id': [b'a_', b'a_', b'b_'],
        }
        with h5py.File(path, 'w') as hdf5:
            for key, value in {**columns, **changed}.items():
                if value is not None:
                    hdf5[key] = value

    write()
    assert spec.spans(file) == [(0, 3)]
    *_, last = spec.read(Item(file, {}, span=(1, 3)))
    assert (last.index, last.groups) == (2, {'clip': 'b'})
    assert np.array_equal(last.image, speckle(2)) and np.array_equal(last.structures[0].mask, MASK)
    for change in ({'mask': None}, {'mask': h5py.ExternalLink('other.hdf5', '/mask')}):
        write(**change)
        with pytest.raises(RawFileError, match="no column 'mask'"):
            spec.spans(file)
    write(annot_id=[b'a_'])
    with pytest.raises(RawFileError, match='not as many'):
        spec.spans(file)
    write()
    path.write_bytes(path.read_bytes()[:2000])
    with pytest.raises(RawFileError, match='damaged'):
        spec.spans(file)


def test_polygon_rounds_and_is_cut_at_the_border() -> None:
    corners = [(9.6, 10.4), (20.4, 10.4), (20.4, 19.6), (9.6, 19.6)]
    assert np.array_equal(polygon_mask(corners, (64, 80), 'p'), box(10, 10, 20, 20))
    assert np.array_equal(polygon_mask([(-9, -9), (5, -9), (5, 5), (-9, 5)], (64, 80), 'p'), box(0, 0, 5, 5))


@pytest.mark.parametrize(
    'points', [[], [(1, 1), (2, 2)], [(1, 1), (2, 2), (np.nan, 3)], [(0, 0), (1e9, 0), (0, 1)], 'x']
)
def test_polygon_that_is_none(points: Any) -> None:
    with pytest.raises(RawFileError, match=r'p\.json'):
        polygon_mask(points, (64, 80), 'p.json')


def shape(label: str, kind: str = 'polygon') -> dict:
    return {'label': label, 'shape_type': kind, 'points': [[10, 10], [20, 10], [20, 20], [10, 20]]}


def test_labelme_in_another_encoding(tmp_path: Path) -> None:
    path = tmp_path / 'a.json'
    file = (SourceFile('a.json', path),)
    word = PolygonFiles('a', 'labelme', names={'shenjing': 'nerve'}, encodings=('utf-8', 'gbk'))
    text = json.dumps({'imagePath': '神经.jpg', 'shapes': [shape('shenjing')]}, ensure_ascii=False)
    path.write_bytes(text.encode('gbk'))
    assert np.array_equal(read(word, item(path), files=file)['nerve'], box(10, 10, 19, 19))
    path.write_text(json.dumps({'shapes': [shape('unknown')]}))
    with pytest.raises(RawFileError, match="label 'unknown'"):
        read(word, item(path), files=file)
    path.write_text(json.dumps({'shapes': [shape('shenjing', 'line')]}))
    with pytest.raises(RawFileError, match='a line of label'):
        read(word, item(path), files=file)
    path.write_text('{"shapes": [')
    with pytest.raises(RawFileError, match='cut short'):
        read(word, item(path), files=file)


def test_list_of_points(tmp_path: Path) -> None:
    path = tmp_path / 'a.json'
    path.write_text('[[10, 10], [20, 10], [20, 20], [10, 20]]')
    found = read(
        PolygonFiles('a', 'points', category='liver'), item(path), files=(SourceFile('a.json', path),)
    )
    assert np.array_equal(found['liver'], box(10, 10, 20, 20))


def test_traced_points_from_frame_one_on(tmp_path: Path) -> None:
    corners = [(10, 10), (20, 10), (20, 20), (10, 20)]
    rows = [{'X': str(x), 'Y': str(y), 'Frame': '46'} for x, y in corners]
    rows.append({'X': '0', 'Y': '0', 'Frame': 'No Systolic'})
    word = TracedRows('t', 'lv', points=('X', 'Y'), first_frame=1, untraced=('No Systolic',))
    at = item(tmp_path / 'v.avi', t=rows)
    assert open_annotation(word, (), at, frames=None, stray=0).numbers() == {45}
    assert np.array_equal(read(word, at, 45)['lv'], box(10, 10, 20, 20))
    for frame in ('0', '1.5', 'later'):
        with pytest.raises(RawFileError):
            read(word, item(tmp_path / 'v.avi', t=[{**rows[0], 'Frame': frame}]))


@pytest.mark.parametrize('column', ['X', 'Y', 'Frame'])
def test_a_tracing_without_a_column_is_a_fault_of_its_file(column: str, tmp_path: Path) -> None:
    row = {'X': '1', 'Y': '2', 'Frame': '1'}
    del row[column]
    word = TracedRows('t', 'lv', points=('X', 'Y'), first_frame=1)
    with pytest.raises(RawFileError, match=rf"v\.avi: its table has no column '{column}' \(columns: "):
        read(word, item(tmp_path / 'v.avi', t=[row]))


def test_shapes_of_the_image_annotator(tmp_path: Path) -> None:
    def row(anatomy: str, **values: Any) -> dict:
        shape_text = json.dumps(values)
        return {'region_shape_attributes': shape_text, 'region_attributes': json.dumps({'Anatomy': anatomy})}

    word = ViaRegions('r', 'Anatomy', {'Capsule': 'kidney'}, ignored=('Cortex',))
    rows = [row('Capsule', name='rect', x=10, y=10, width=10, height=10), row('Cortex', name='rect'), row('')]
    assert np.array_equal(read(word, item(tmp_path / 'a', r=rows))['kidney'], box(10, 10, 20, 20))
    circle = read(word, item(tmp_path / 'a', r=[row('Capsule', name='circle', cx=40, cy=30, r=10)]))['kidney']
    assert np.mean(circle != MASK) < 0.01
    for bad in (
        row('Medulla', name='rect'),
        row('Capsule', name='point', cx=1, cy=1),
        row('Capsule', name='rect'),
    ):
        with pytest.raises(RawFileError):
            read(word, item(tmp_path / 'a', r=[bad]))


def test_coco_objects(tmp_path: Path) -> None:
    read_objects = load_spec(DESCRIPTIONS['gist514_db']).read
    Image.fromarray(smooth(1)).save(tmp_path / 'a.png')
    square = [10, 10, 20, 10, 20, 20, 10, 20]
    other = [30.0, 30.0, 40.0, 30.0, 40.0, 40.0, 30.0, 40.0]
    (frame,) = read_objects(
        item(tmp_path / 'a.png', objects=[{'category_id': '2', 'segmentation': [square, other]}])
    )
    assert [one.category for one in frame.structures] == ['gist', 'gist']
    # as pycocotools draws it, not with the far border
    assert np.array_equal(frame.structures[1].mask, box(30, 30, 39, 39))
    for bad in (
        [],
        [{'category_id': '3', 'segmentation': [square]}],
        [{'category_id': '1', 'segmentation': [square[:-1]]}],
        [{'category_id': '1', 'segmentation': [3]}],
        [{'category_id': '1', 'segmentation': [[float('nan')] * 6]}],
        [{'category_id': '1', 'segmentation': {'counts': [1]}}],
    ):
        with pytest.raises(RawFileError):
            list(read_objects(item(tmp_path / 'a.png', objects=bad)))


def pickled(path: Path, value: Any) -> SourceFile:
    np.save(path, np.array(value, dtype=object), allow_pickle=True)
    return SourceFile(path.name, path)


def test_pickled_arrays_are_read_without_unpickling(tmp_path: Path) -> None:
    value = {
        'image': speckle(1),
        'structures': {'liver': MASK.astype(np.int64), 'vein': MASK.T.copy(order='F')},
    }
    value['share'] = np.float64(0.5)
    found = read_object_array(pickled(tmp_path / 'a.npy', value))
    assert np.array_equal(found['image'], value['image'])
    assert np.array_equal(found['structures']['liver'], MASK)
    assert np.array_equal(found['structures']['vein'], MASK.T)
    assert found['share'] == 0.5


class Payload:
    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self) -> tuple:
        return (open, (str(self.target), 'w'))


def test_payload_does_not_run(tmp_path: Path) -> None:
    canary = tmp_path / 'canary'
    file = pickled(tmp_path / 'a.npy', {'image': speckle(1), 'evil': Payload(canary)})
    with pytest.raises(RawFileError, match='was not run'):
        read_object_array(file)
    assert not canary.exists()
    np.load(file.path, allow_pickle=True)
    assert canary.exists(), 'the payload works, so the test can fail'


@pytest.mark.parametrize('data', [b'', b'\x93NUMPY', pickle.dumps({})])
def test_damaged_pickle(data: bytes, tmp_path: Path) -> None:
    (tmp_path / 'a.npy').write_bytes(data)
    with pytest.raises(RawFileError, match=r'a\.npy'):
        read_object_array(SourceFile('a.npy', tmp_path / 'a.npy'))
