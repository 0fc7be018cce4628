"""Each fault of an annotation file is named before a run starts."""

from __future__ import annotations

import json
import logging
from pathlib import Path

import numpy as np
import pytest
from mmdet.evaluation import CocoMetric
from pycocotools import mask as coco_mask

from ultrasam.errors import AnnotationError
from ultrasam.openmmlab.datasets import UltraSamCocoDataset
from ultrasam.openmmlab.transforms import LoadInstanceAnnotations, PackPromptedInputs, SamplePrompts

from .conftest import rle_of


def build(root: Path, **options) -> UltraSamCocoDataset:
    settings = dict(
        data_root=str(root), ann_file='annotations.json', data_prefix=dict(img='images'), pipeline=[]
    )
    return UltraSamCocoDataset(**{**settings, **options})


@pytest.fixture
def logged(caplog, monkeypatch):
    """Messages that the data set logs."""
    logger = logging.getLogger('test-datasets')
    monkeypatch.setattr(
        'ultrasam.openmmlab.datasets.coco.print_log', lambda message, *_: logger.log(logging.WARNING, message)
    )
    return caplog


def test_good_file(coco_content, write_set):
    data = build(write_set(coco_content))
    assert [len(data.get_data_info(i)['instances']) for i in range(len(data))] == [2, 1]
    assert data.get_data_info(0)['img_path'].endswith('images/a.png')


def test_text_ids_of_annotations(coco_content, write_set):
    for annotation in coco_content['annotations']:
        annotation['id'] = str(annotation['id'])
    assert len(build(write_set(coco_content))) == 2


@pytest.mark.parametrize('encoding', ['utf-8', 'utf-8-sig'])
def test_ids_as_pandas_writes_them_and_the_mark_of_windows(coco_content, write_set, encoding):
    root = write_set(coco_content)
    expected = [build(root).get_data_info(i) for i in range(2)]
    for section in ('images', 'annotations', 'categories'):
        for one in coco_content[section]:
            one.update({key: float(one[key]) for key in ('id', 'image_id', 'category_id') if key in one})
    (root / 'annotations.json').write_text(json.dumps(coco_content), encoding=encoding)
    data = build(root)
    found = [data.get_data_info(i) for i in range(2)]
    assert [type(one['img_id']) for one in found] == [int, int]
    assert found == expected


def test_images_without_annotation(coco_content, write_set):
    coco_content['images'].append(dict(id=3, file_name='c.png', height=10, width=12))
    root = write_set(coco_content)
    assert len(build(root, test_mode=True)) == 3
    assert len(build(root, filter_cfg=dict(filter_empty_gt=False))) == 3
    assert len(build(root, filter_cfg=dict(filter_empty_gt=True))) == 2


def test_boxes_and_areas_from_the_mask(coco_content, write_set):
    expected = [a['bbox'] for a in coco_content['annotations']]
    for annotation in coco_content['annotations']:
        del annotation['bbox'], annotation['area']
    data = build(write_set(coco_content))
    x, y, width, height = expected[0]
    assert data.get_data_info(0)['instances'][0]['bbox'] == [x, y, x + width, y + height]


def test_box_without_segmentation(coco_content, write_set):
    del coco_content['annotations'][0]['segmentation'], coco_content['annotations'][0]['area']
    assert len(build(write_set(coco_content)).get_data_info(0)['instances']) == 2


def test_left_out_annotations_are_counted(coco_content, write_set, logged):
    coco_content['categories'].append(dict(id=2, name='caliper'))
    extra = coco_content['annotations'][0]
    changes = [
        dict(category_id=2),
        dict(ignore=1),
        dict(bbox=[100, 100, 5, 5], segmentation=None),
        dict(bbox=[5, 5, 0.5, 5], segmentation=None),
        dict(area=0, segmentation=None),
    ]
    coco_content['annotations'] += [dict(extra, id=10 + i, **change) for i, change in enumerate(changes)]
    data = build(write_set(coco_content))
    assert len(data.get_data_info(0)['instances']) == 2
    text = logged.text
    assert 'left out 1 of 8 annotations of a category' in text
    assert "left out 1 of 8 annotations marked 'ignore'" in text
    assert 'left out 1 of 8 annotations without area inside' in text
    assert 'left out 2 of 8 annotations smaller than one pixel' in text


class TestFile:
    def test_missing(self, tmp_path):
        with pytest.raises(AnnotationError, match=r'annotations\.json does not exist.*data_root'):
            build(tmp_path)

    def test_folder(self, tmp_path):
        (tmp_path / 'annotations.json').mkdir()
        with pytest.raises(AnnotationError, match='is a folder'):
            build(tmp_path)

    @pytest.mark.parametrize(
        ('text', 'message'),
        [
            ('', 'is empty'),
            ('{"images": [', 'not valid JSON'),
            ('[]', 'not a COCO object'),
            ('{}', 'has no images'),
            ('{"images": [1], "annotations": [], "categories": []}', "no list of records 'images'"),
            ('{"images": [], "annotations": [], "categories": []}', 'has no images'),
        ],
    )
    def test_not_coco(self, tmp_path, text, message):
        (tmp_path / 'annotations.json').write_text(text)
        with pytest.raises(AnnotationError, match=message):
            build(tmp_path)

    def test_bytes_that_are_no_text(self, tmp_path):
        (tmp_path / 'annotations.json').write_bytes(b'\x89PNG\xff\xfe')
        with pytest.raises(AnnotationError, match='not valid JSON'):
            build(tmp_path)

    def test_no_annotations(self, coco_content, write_set):
        coco_content['annotations'] = []
        with pytest.raises(AnnotationError, match='has no annotations'):
            build(write_set(coco_content))

    def test_no_usable_annotation(self, coco_content, write_set):
        for annotation in coco_content['annotations']:
            annotation['ignore'] = 1
        with pytest.raises(AnnotationError, match=r"no annotation is usable .3 marked 'ignore'"):
            build(write_set(coco_content))

    def test_filter_that_leaves_nothing(self, coco_content, write_set):
        with pytest.raises(AnnotationError, match='leaves no image'):
            build(write_set(coco_content), filter_cfg=dict(min_size=1000))

    def test_missing_images(self, coco_content, write_set):
        root = write_set(coco_content)
        (root / 'images' / 'b.png').unlink()
        with pytest.raises(
            AnnotationError, match=r"1 of 2 images are not in .*images, first 'b\.png'.*data_prefix"
        ):
            build(root)
        assert len(build(root, check_images=False)) == 2


class TestCategories:
    def test_another_name(self, coco_content, write_set):
        coco_content['categories'][0]['name'] = 'lesion'
        root = write_set(coco_content)
        with pytest.raises(AnnotationError, match=r"\['lesion'\].*\['object'\].*class_agnostic=True"):
            build(root)
        assert len(build(root, class_agnostic=True)) == 2
        assert len(build(root, metainfo=dict(classes=('lesion',)))) == 2

    def test_another_order(self, coco_content, write_set):
        coco_content['categories'] = [dict(id=2, name='b'), dict(id=1, name='a')]
        root = write_set(coco_content)
        with pytest.raises(AnnotationError, match='same order'):
            build(root, metainfo=dict(classes=('a', 'b')))
        labels = [
            i['bbox_label']
            for i in build(root, metainfo=dict(classes=('b', 'a'))).get_data_info(0)['instances']
        ]
        assert labels == [1, 1]

    def test_class_agnostic_maps_all_to_one(self, coco_content, write_set):
        coco_content['categories'] = [dict(id=1, name='cyst'), dict(id=5, name='mass')]
        coco_content['annotations'][1]['category_id'] = 5
        data = build(write_set(coco_content), class_agnostic=True)
        assert [i['bbox_label'] for i in data.get_data_info(0)['instances']] == [0, 0]
        with pytest.raises(AnnotationError, match='exactly one'):
            build(write_set(coco_content), class_agnostic=True, metainfo=dict(classes=('cyst', 'mass')))


class TestRecords:
    @pytest.mark.parametrize(
        ('section', 'change', 'message'),
        [
            ('images', dict(id=2), 'image 2: another has the same id'),
            ('images', dict(file_name=None), 'no file_name'),
            ('images', dict(file_name='b.png'), "another has the file_name 'b.png'"),
            ('images', dict(file_name='../a.png'), 'leaves the folder'),
            ('images', dict(file_name='/etc/passwd'), 'leaves the folder'),
            ('images', dict(file_name='./a.png'), 'not written plainly'),
            ('images', dict(id=True), 'no id'),
            ('images', dict(height='60'), 'positive integers'),
            ('images', dict(height=True), 'positive integers'),
            ('images', dict(width=0), 'positive integers'),
            ('categories', dict(id=None), 'no id or no name'),
            ('annotations', dict(id=2), '2 annotations share the id 2'),
            ('annotations', dict(id=None), 'no id'),
            ('annotations', dict(image_id=99), 'image_id 99 is not among'),
            ('annotations', dict(image_id=[1]), 'is not among the images'),
            ('annotations', dict(category_id=99), 'category_id 99 is not among'),
            ('annotations', dict(bbox=[1, 2, 3]), 'not x, y, width, height'),
            ('annotations', dict(bbox=[1, 2, 3, float('nan')]), 'not x, y, width, height'),
            ('annotations', dict(area='big'), 'not a number'),
            ('annotations', dict(area=0), 'its mask has'),
            ('annotations', dict(bbox=[True, 2, 3, 4]), 'not x, y, width, height'),
            ('annotations', dict(bbox=[-4, -4, -9, -9]), 'not that of its mask'),
            ('annotations', dict(bbox=[500, 500, 9, 9]), 'not that of its mask'),
            ('annotations', dict(bbox=[1, 1, 25, 25]), 'not that of its mask'),
            (
                'annotations',
                dict(bbox=[1, 1, 25, 25], segmentation=[[20, 20, 40, 20, 40, 40]]),
                'of its mask',
            ),
            ('annotations', dict(bbox=None, segmentation=None), 'neither bbox nor segmentation'),
            ('annotations', dict(segmentation=rle_of(np.ones((80, 60)))), r'size \[80, 60\]'),
        ],
    )
    def test_faults(self, coco_content, write_set, section, change, message):
        root = write_set(coco_content)
        coco_content[section][0].update(change)
        (root / 'annotations.json').write_text(json.dumps(coco_content))
        with pytest.raises(AnnotationError, match=message) as error:
            build(root)
        assert 'annotations.json: 1 faulty record, mend' in str(error.value)

    def test_many_faults_are_counted(self, coco_content, write_set):
        bad = dict(coco_content['annotations'][0], image_id=99)
        coco_content['annotations'] += [dict(bad, id=100 + i) for i in range(20)]
        with pytest.raises(AnnotationError, match='20 faulty records') as error:
            build(write_set(coco_content))
        assert str(error.value).count('image_id 99') == 5
        assert 'and 15 more' in str(error.value)


def test_truth_from_the_samples_scores_one(coco_content, write_set):
    """Class-agnostic evaluation needs no file: the truth as prediction has mAP 1."""
    coco_content['categories'][0]['name'] = 'lesion'
    data = build(write_set(coco_content), class_agnostic=True, test_mode=True)
    metric = CocoMetric(ann_file=None, metric=['bbox', 'segm'])
    metric.dataset_meta = data.metainfo
    load = LoadInstanceAnnotations(with_bbox=True, with_mask=True)
    prompt = SamplePrompts(prompt_probabilities=dict(point=1.0), point='centre', stage='test')
    pack = PackPromptedInputs(meta_keys=('img_id', 'ori_shape', 'img_shape', 'instances'))
    for i in range(len(data)):
        info = data.get_data_info(i)
        shape = (info['height'], info['width'])
        sample = pack(prompt(load(dict(info, ori_shape=shape, img_shape=shape, scale_factor=(1.0, 1.0)))))[
            'data_samples'
        ]
        masks = sample.gt_instances.masks.masks
        result = sample.to_dict()
        result['pred_instances'] = dict(
            bboxes=sample.gt_instances.bboxes.tensor,
            labels=sample.gt_instances.labels,
            scores=sample.gt_instances.labels + 0.9,
            masks=[coco_mask.encode(np.asfortranarray(mask)) for mask in masks],
        )
        metric.process({}, [result])
    scores = metric.evaluate(len(data))
    assert scores['coco/segm_mAP'] == scores['coco/bbox_mAP'] == 1.0
