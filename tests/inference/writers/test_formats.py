"""What each format writes, read back with the tools of its users."""

from __future__ import annotations

import csv
import dataclasses
import json

import cv2
import numpy as np
import pytest
from mmdet.datasets.transforms import FixScaleResize
from PIL import Image
from pycocotools import mask as coco_mask
from pycocotools.coco import COCO

from ultrasam.errors import OutputError
from ultrasam.io.writers import ResultWriter
from ultrasam.io.writers.measurements import measure
from ultrasam.io.writers.pictures import draw_overlay, instance_colour, label_map
from ultrasam.io.writers.table import COLUMNS
from ultrasam.openmmlab.datasets import UltraSamCocoDataset
from ultrasam.openmmlab.transforms import LoadInstanceAnnotations, PackPromptedInputs, SamplePrompts
from ultrasam.structures import ObjectPrompt

from .conftest import GEOMETRY, files_in, make_frame, make_segmentation


def write_all(out_dir, pairs, *formats, files=None):
    with ResultWriter(out_dir, formats=formats) as writer:
        writer.plan(files or {frame.source: False for frame, _ in pairs})
        for frame, segmentation in pairs:
            writer.write(frame, segmentation)


def expected_labels(segmentation):
    labels = np.zeros(segmentation.masks.shape[1:], int)
    best = np.full(labels.shape, -1.0)
    for number, (mask, score) in enumerate(zip(segmentation.masks, segmentation.scores, strict=True), 1):
        wins = mask & (score >= best)
        labels[wins], best[wins] = number, score
    return labels


@pytest.mark.parametrize('num_objects', [0, 1, 8])
def test_mask_with_palette(tmp_path, num_objects):
    segmentation = make_segmentation(num_objects=num_objects)
    write_all(tmp_path, [(make_frame('scan.png'), segmentation)], 'mask')
    with Image.open(tmp_path / 'mask/scan.png') as picture:
        assert picture.mode == 'P'
        np.testing.assert_array_equal(np.array(picture), expected_labels(segmentation))
        palette = np.array(picture.getpalette()).reshape(-1, 3)
    assert tuple(palette[0]) == (0, 0, 0)
    for number in range(1, num_objects + 1):
        assert tuple(palette[number]) == instance_colour(number - 1)


@pytest.mark.parametrize(('scores', 'winner'), [([0.9, 0.4], 1), ([0.4, 0.9], 2), ([0.5, 0.5], 2)])
def test_overlap(scores, winner):
    segmentation = make_segmentation(scores=scores)
    segmentation = dataclasses.replace(segmentation, masks=np.ones_like(segmentation.masks))
    assert (label_map(segmentation) == winner).all()


def test_mask_of_many_objects(tmp_path):
    segmentation = make_segmentation(num_objects=300)
    write_all(tmp_path, [(make_frame('scan.png'), segmentation)], 'mask')
    labels = cv2.imread(str(tmp_path / 'mask/scan.png'), cv2.IMREAD_UNCHANGED)
    assert labels.dtype == np.uint16 and labels.max() > 255
    np.testing.assert_array_equal(labels, expected_labels(segmentation))


@pytest.mark.parametrize('num_objects', [0, 1, 8])
def test_overlay(tmp_path, num_objects):
    frame, segmentation = (
        make_frame('scan.png', (200, 160)),
        make_segmentation((200, 160), num_objects=num_objects),
    )
    write_all(tmp_path, [(frame, segmentation)], 'overlay')
    picture = cv2.imread(str(tmp_path / 'overlay/scan.png'))[..., ::-1]
    np.testing.assert_array_equal(picture, draw_overlay(frame, segmentation))
    plain = draw_overlay(frame, make_segmentation((200, 160), num_objects=0))
    assert picture.shape == plain.shape == (800, 640, 3)
    changed = (picture != plain).any(-1)
    assert changed.any() == (num_objects > 0)
    for index in range(num_objects):
        assert (picture == instance_colour(index)).all(-1).sum() > 50


def test_overlay_of_an_empty_mask_and_a_mask_prompt():
    segmentation = make_segmentation()
    prompts = (segmentation.prompts[0], ObjectPrompt(mask_logits=np.zeros((1, 16, 16), np.float32)))
    empty = dataclasses.replace(segmentation, masks=np.zeros_like(segmentation.masks), prompts=prompts)
    assert draw_overlay(make_frame('scan.png'), empty).shape == (600, 800, 3)


@pytest.fixture
def coco_run(tmp_path):
    """Two frames of a video without spacing, one picture, one frame without object; the output folder."""
    pairs = [
        (make_frame('cine.avi', index=0, seed=1), make_segmentation(seed=1)),
        (make_frame('cine.avi', index=1, seed=2), make_segmentation(seed=2, num_objects=0)),
        (
            make_frame('b/scan.jpg', (50, 40), seed=3, spacing_mm=(0.1, 0.2)),
            make_segmentation((50, 40), seed=3),
        ),
    ]
    write_all(tmp_path, pairs, 'coco', files={pairs[0][0].source: True, pairs[2][0].source: False})
    return tmp_path, pairs


def test_coco_opens_in_pycocotools(coco_run):
    root, pairs = coco_run
    coco = COCO(str(root / 'coco.json'))
    assert [image['file_name'] for image in coco.imgs.values()] == [
        'cine_0000.png',
        'cine_0001.png',
        'scan.png',
    ]
    assert files_in(root / 'images') == ['cine_0000.png', 'cine_0001.png', 'scan.png']
    for image, (frame, segmentation) in zip(coco.imgs.values(), pairs, strict=True):
        stored = cv2.imread(str(root / 'images' / image['file_name']))[..., ::-1]
        np.testing.assert_array_equal(stored, frame.image)
        assert (image['source'], image['frame']) == (frame.source.as_posix(), frame.index)
        annotations = coco.loadAnns(coco.getAnnIds(imgIds=image['id']))
        assert len(annotations) == len(segmentation)
        for index, annotation in enumerate(annotations):
            mask, prompt = segmentation.masks[index], segmentation.prompts[index]
            np.testing.assert_array_equal(coco.annToMask(annotation), mask)
            rows, columns = np.nonzero(mask)
            left, top = columns.min(), rows.min()
            assert annotation['bbox'] == [left, top, columns.max() - left + 1, rows.max() - top + 1]
            assert annotation['area'] == mask.sum()
            assert annotation['score'] == pytest.approx(segmentation.scores[index], abs=1e-6)
            assert annotation['predicted_iou'] == annotation['score']
            assert annotation['prompt']['points_xy'] == prompt.points_xy.tolist()
            assert annotation['prompt']['point_labels'] == prompt.point_labels.tolist()
            box = None if prompt.box_xyxy is None else prompt.box_xyxy.tolist()
            assert annotation['prompt']['box_xyxy'] == box
    assert coco.imgs[3]['spacing_mm'] == [0.1, 0.2]
    assert coco.imgs[1]['spacing_mm'] is None


def test_coco_is_a_training_set(coco_run):
    root, pairs = coco_run
    data = UltraSamCocoDataset(
        data_root=str(root),
        ann_file='coco.json',
        data_prefix=dict(img='images'),
        filter_cfg=dict(filter_empty_gt=True),
        pipeline=[
            dict(type='LoadImageFromFile'),
            dict(type=LoadInstanceAnnotations, with_bbox=True, with_mask=True),
            dict(type=FixScaleResize, scale=(64, 64), keep_ratio=True),
            dict(type=SamplePrompts, prompt_probabilities=dict(point=0.5, box=0.5)),
            dict(type=PackPromptedInputs),
        ],
    )
    assert len(data) == 2
    for position, (_, segmentation) in enumerate((pairs[0], pairs[2])):
        sample = data[position]
        assert len(sample['data_samples'].gt_instances) == len(segmentation)
        assert sample['inputs'].shape[0] == 3
        assert len(sample['data_samples'].gt_instances.prompts) == len(segmentation)


def test_coco_of_an_empty_mask(tmp_path):
    segmentation = make_segmentation(num_objects=1)
    segmentation.masks[:] = False
    write_all(tmp_path, [(make_frame('scan.png'), segmentation)], 'coco')
    (annotation,) = json.loads((tmp_path / 'coco.json').read_text())['annotations']
    assert annotation['area'] == 0 and not coco_mask.decode(annotation['segmentation']).any()


def test_coco_without_any_frame(tmp_path):
    write_all(tmp_path, [], 'coco', files={})
    content = json.loads((tmp_path / 'coco.json').read_text())
    assert content['images'] == content['annotations'] == []
    assert [category['name'] for category in content['categories']] == ['object']


def test_table(tmp_path):
    pairs = [
        (make_frame('scan.png', spacing_mm=(0.2, 0.1)), make_segmentation()),
        (make_frame('a,"b".png', seed=1), make_segmentation(num_objects=1, seed=1)),
        (make_frame('none.png'), make_segmentation(num_objects=0)),
    ]
    pairs[1][1].masks[:] = False
    write_all(tmp_path, pairs, 'csv')
    with (tmp_path / 'measurements.csv').open(newline='', encoding='utf-8') as file:
        rows = list(csv.DictReader(file))
    assert [(row['file'], row['object']) for row in rows] == [
        ('scan.png', '1'),
        ('scan.png', '2'),
        ('a,"b".png', '1'),
    ]
    for index in range(2):
        mask, row = pairs[0][1].masks[index], rows[index]
        for unit, spacing in (('mm', (0.2, 0.1)), ('px', None)):
            sizes = measure(mask, spacing)
            for name in ('perimeter', 'longest_axis', 'perpendicular_axis', 'ellipse_major', 'ellipse_minor'):
                assert float(row[f'{name}_{unit}']) == pytest.approx(getattr(sizes, name), abs=1e-4)
            area = row['area_mm2' if unit == 'mm' else 'area_px']
            assert float(area) == pytest.approx(sizes.area, abs=1e-4)
            centroid = [float(row[f'centroid_{axis}_{unit}']) for axis in 'xy']
            assert centroid == pytest.approx(sizes.centroid_xy, abs=1e-4)
            box = [float(row[f'box_{name}_{unit}']) for name in ('x', 'y', 'width', 'height')]
            assert box == pytest.approx(sizes.box_xywh, abs=1e-4)
        angle = measure(mask, (0.2, 0.1)).ellipse_angle_deg
        assert float(row['ellipse_angle_deg']) == pytest.approx(angle, abs=1e-4)
        assert float(row['predicted_iou']) == pytest.approx(pairs[0][1].scores[index], abs=1e-4)
    empty = rows[2]
    assert [empty[name] for name in ('area_mm2', 'area_px', 'centroid_x_px', 'ellipse_angle_deg')] == [
        '', '0.0', '', '',
    ]  # fmt: skip


def test_every_number_of_the_table_says_its_unit():
    plain = {'file', 'frame', 'object', 'predicted_iou'}
    assert {name.rsplit('_', 1)[1] for name in COLUMNS if name not in plain} == {'mm', 'mm2', 'px', 'deg'}


@pytest.mark.parametrize('axis', [0, 1, 2])
def test_nifti_of_a_volume(tmp_path, axis):
    itk = pytest.importorskip('SimpleITK', reason='the extra "volume" is not installed')
    geometry = dataclasses.replace(GEOMETRY, axis=axis)
    source = itk.Image(geometry.size_xyz, itk.sitkInt16)
    source.SetSpacing(geometry.spacing_xyz)
    source.SetOrigin(geometry.origin_xyz)
    source.SetDirection(geometry.direction)
    itk.WriteImage(source, str(tmp_path / 'liver.nii.gz'))
    source = itk.ReadImage(str(tmp_path / 'liver.nii.gz'))

    size_hw = tuple(side for each, side in enumerate(geometry.size_xyz[::-1]) if each != axis)
    expected = np.zeros(geometry.size_xyz[::-1], int)
    pairs = []
    for index in (1, 3):
        segmentation = make_segmentation((32, 40), seed=index)
        segmentation = dataclasses.replace(
            segmentation, masks=segmentation.masks[:, : size_hw[0], : size_hw[1]]
        )
        np.moveaxis(expected, axis, 0)[index] = expected_labels(segmentation)
        pairs.append((make_frame('liver.nii.gz', size_hw, index=index, geometry=geometry), segmentation))
    write_all(tmp_path / 'out', pairs, 'nifti', files={pairs[0][0].source: True})
    assert expected.any() and files_in(tmp_path / 'out') == ['nifti/liver.nii.gz']
    labels = itk.ReadImage(str(tmp_path / 'out/nifti/liver.nii.gz'))
    assert (
        labels.GetSize() == source.GetSize() and labels.GetPixelIDTypeAsString() == '8-bit unsigned integer'
    )
    for name in ('GetOrigin', 'GetSpacing', 'GetDirection'):
        np.testing.assert_allclose(getattr(labels, name)(), getattr(source, name)(), atol=1e-6)
    np.testing.assert_array_equal(itk.GetArrayFromImage(labels), expected)


def test_nifti_of_volumes_in_turn_and_many_objects(tmp_path):
    itk = pytest.importorskip('SimpleITK', reason='the extra "volume" is not installed')
    with ResultWriter(tmp_path, formats=['nifti']) as writer:
        for name, counts in (('a.mha', (1, 300)), ('b.mha', (2, 2))):
            for index, count in enumerate(counts):
                writer.write(
                    make_frame(name, (32, 40), index=index, geometry=GEOMETRY),
                    make_segmentation((32, 40), num_objects=count),
                )
        assert files_in(tmp_path) == ['nifti/a.nii.gz']
    first, second = (itk.ReadImage(str(tmp_path / f'nifti/{name}.nii.gz')) for name in 'ab')
    assert first.GetPixelIDTypeAsString() == '16-bit unsigned integer'
    assert itk.GetArrayFromImage(first)[0].max() == 1 and itk.GetArrayFromImage(first)[1].max() > 255
    assert itk.GetArrayFromImage(second)[:2].any((1, 2)).all() and not itk.GetArrayFromImage(second)[2:].any()


@pytest.mark.parametrize(('spacing', 'expected'), [((0.2, 0.5), (0.5, 0.2)), (None, (1, 1))])
def test_nifti_of_plain_frames(tmp_path, spacing, expected):
    itk = pytest.importorskip('SimpleITK', reason='the extra "volume" is not installed')
    pairs = [
        (make_frame('cine.dcm', index=index, spacing_mm=spacing), make_segmentation(seed=index))
        for index in (0, 1)
    ]
    write_all(tmp_path, pairs, 'nifti', files={pairs[0][0].source: True})
    assert files_in(tmp_path) == ['nifti/cine_0000.nii.gz', 'nifti/cine_0001.nii.gz']
    for index, (_, segmentation) in enumerate(pairs):
        image = itk.ReadImage(str(tmp_path / f'nifti/cine_{index:04d}.nii.gz'))
        assert image.GetDimension() == 2
        assert image.GetSpacing() == pytest.approx(expected)
        np.testing.assert_array_equal(itk.GetArrayFromImage(image), expected_labels(segmentation))


def test_nifti_slice_that_does_not_fit(tmp_path):
    pytest.importorskip('SimpleITK', reason='the extra "volume" is not installed')
    frame = make_frame('a.mha', (32, 40), index=5, geometry=GEOMETRY)
    with (
        pytest.raises(OutputError, match='slice 5'),
        ResultWriter(tmp_path, formats=['nifti']) as writer,
    ):
        writer.write(frame, make_segmentation((32, 40)))


def test_nifti_without_simpleitk(tmp_path, monkeypatch):
    monkeypatch.setitem(__import__('sys').modules, 'SimpleITK', None)
    with pytest.raises(OutputError, match=r'ultrasam\[volume\]'):
        ResultWriter(tmp_path, formats=['overlay', 'nifti'])
