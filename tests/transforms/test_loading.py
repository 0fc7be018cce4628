"""Images as training sees them: those of prediction and conversion, upright, of any depth, and of the stated size."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from mmcv.transforms import LoadImageFromFile
from mmdet.registry import TRANSFORMS
from mmpretrain.registry import TRANSFORMS as CLASSIFICATION_TRANSFORMS
from PIL import Image

from ultrasam.coco.image_sizes import size_faults
from ultrasam.corpus.plan import SourceFile
from ultrasam.corpus.readers.image import read_image
from ultrasam.errors import AnnotationError, InputError
from ultrasam.io.readers import open_frames
from ultrasam.openmmlab.datasets import UltraSamCocoDataset
from ultrasam.openmmlab.transforms import LoadCachedImage, LoadFrame

GRAY = np.random.default_rng(0).integers(0, 256, (20, 30), np.uint8)
COLOUR = np.random.default_rng(1).integers(0, 256, (20, 30, 3), np.uint8)


def turned(path: Path, orientation: int, pixels: np.ndarray = COLOUR) -> Path:
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(pixels).save(path, exif=exif)
    return path


def saved(path: Path, pixels: np.ndarray) -> Path:
    Image.fromarray(pixels).save(path)
    return path


CASES = {
    '12 bits in a PNG': lambda at: saved(at / 'a.png', GRAY.astype(np.uint16) * 16),
    'signed TIFF': lambda at: saved(at / 'a.tif', GRAY.astype(np.int32) - 100),
    'float TIFF': lambda at: saved(at / 'a.tif', (GRAY / 300).astype(np.float32)),
    **{f'EXIF {n}': lambda at, n=n: turned(at / 'a.jpg', n) for n in range(1, 9)},
    '16 bits, turned': lambda at: turned(at / 'a.png', 6, GRAY.astype(np.uint16) * 16),
    'palette': lambda at: Image.fromarray(COLOUR).quantize(9).save(at / 'a.png') or at / 'a.png',
    'gray': lambda at: saved(at / 'a.png', GRAY),
    'alpha': lambda at: saved(at / 'a.png', np.dstack([COLOUR, GRAY])),
}


@pytest.mark.parametrize('name', CASES)
def test_prediction_training_and_conversion_see_the_same(name: str, tmp_path: Path) -> None:
    path = CASES[name](tmp_path)
    with open_frames(path) as frames:
        predicted = frames.frame(0).image
    trained = LoadFrame()(dict(img_path=str(path)))
    assert trained['img_shape'] == trained['ori_shape'] == predicted.shape[:2]
    assert np.array_equal(trained['img'][..., ::-1], predicted)
    for _ in range(2):
        cached = LoadCachedImage(folder=str(tmp_path / 'cache'))(dict(img_path=str(path)))
        assert np.array_equal(cached['img'], trained['img'])
    converted = read_image(SourceFile(path.name, path))
    assert np.array_equal(np.broadcast_to(converted.T, predicted.T.shape).T, predicted)


@pytest.mark.parametrize('suffix', ['png', 'jpg', 'bmp', 'tif'])
@pytest.mark.parametrize('pixels', [GRAY, COLOUR], ids=['gray', 'colour'])
def test_plain_files_are_as_mmcv_loads_them(suffix: str, pixels: np.ndarray, tmp_path: Path) -> None:
    path = saved(tmp_path / f'a.{suffix}', pixels)
    expected = LoadImageFromFile()(dict(img_path=str(path)))['img']
    assert np.array_equal(LoadFrame()(dict(img_path=str(path)))['img'], expected)
    assert LoadFrame(to_float32=True)(dict(img_path=str(path)))['img'].dtype == np.float32


def test_pipelines_of_both_libraries_find_it() -> None:
    for registry in (TRANSFORMS, CLASSIFICATION_TRANSFORMS):
        assert type(registry.build(dict(type='LoadFrame'))) is LoadFrame


def test_a_cut_file_is_named(tmp_path: Path) -> None:
    path = saved(tmp_path / 'a.png', COLOUR)
    path.write_bytes(path.read_bytes()[:900])
    with pytest.raises(InputError, match=r'a\.png'):
        LoadFrame()(dict(img_path=str(path)))


def build(root: Path, **options):
    settings = dict(data_root=str(root), ann_file='annotations.json', data_prefix=dict(img='images'))
    return UltraSamCocoDataset(**settings, pipeline=[], **options)


@pytest.mark.parametrize('test_mode', [False, True], ids=['training', 'evaluation'])
def test_another_size_is_refused_before_a_run(coco_content, write_set, test_mode: bool) -> None:
    """Polygons fit any size, so only the record tells."""
    for one in coco_content['annotations']:
        x, y, width, height = one['bbox']
        one['segmentation'] = [[x, y, x + width, y, x + width, y + height, x, y + height]]
        del one['area'], one['bbox']
    root = write_set(coco_content)
    build(root, test_mode=test_mode)
    saved(root / 'images/b.png', COLOUR)
    with pytest.raises(AnnotationError) as error:
        build(root, test_mode=test_mode)
    assert '1 images' not in str(error.value)
    for words in ('b.png: the file has 30 x 20 pixels', 'its record states 40 x 50', 'upright'):
        assert words in str(error.value)


def test_a_turned_file_has_the_size_that_a_viewer_shows(coco_content, write_set) -> None:
    root = write_set(coco_content)
    exif = Image.Exif()
    exif[0x0112] = 6
    stored = np.zeros((40, 50, 3), np.uint8)
    Image.fromarray(stored).save(root / 'images/b.png', exif=exif)
    build(root)
    Image.fromarray(stored.transpose(1, 0, 2).copy()).save(root / 'images/b.png', exif=exif)
    with pytest.raises(AnnotationError, match='50 x 40 pixels'):
        build(root)


@pytest.mark.parametrize('loader', [LoadFrame, LoadCachedImage])
def test_the_loader_compares_as_well(loader: type, tmp_path: Path) -> None:
    path = saved(tmp_path / 'a.png', COLOUR)
    with pytest.raises(AnnotationError, match=r'a\.png: the file has 30 x 20.*states 20 x 30'):
        loader()(dict(img_path=str(path), height=30, width=20))


def test_of_many_images_some_are_looked_at(tmp_path: Path) -> None:
    names = [f'{n}.png' for n in range(9)]
    for name in names:
        saved(tmp_path / name, GRAY)
    assert len(size_faults(str(tmp_path), names, np.full((9, 2), 5))) == 9
    assert len(size_faults(str(tmp_path), names, np.full((9, 2), 5), most=3)) == 3
    assert size_faults(str(tmp_path), names, np.array([[20, 30]] * 9)) == []
    assert size_faults(str(tmp_path), [], np.zeros((0, 2))) == []
