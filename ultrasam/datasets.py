"""COCO instance data sets that say what is wrong with them before a run starts."""

from __future__ import annotations

import json
import math
import os.path as osp
from collections import Counter, defaultdict
from typing import Any, ClassVar

from mmdet.datasets import CocoDataset
from mmdet.registry import DATASETS
from mmengine.fileio import get_local_path
from mmengine.logging import print_log
from pycocotools import mask as coco_mask

from ultrasam.errors import AnnotationError
from ultrasam.transforms.segmentation import compressed_rle, is_empty_segmentation, segmentation_fault

_SECTIONS = ('images', 'annotations', 'categories')
_SHOWN_FAULTS = 5


@DATASETS.register_module()
class UltraSamCocoDataset(CocoDataset):
    """mmdet's ``CocoDataset`` with checks that name the file, the fault and the remedy.

    An image without annotation is kept when testing, and when training with
    ``filter_cfg=dict(filter_empty_gt=False)``. Boxes and areas that the file
    lacks are computed from the masks. What is left out is counted in the log.

    Args:
        *args: as for ``CocoDataset``.
        class_agnostic: give every category of the file the one class of
            ``metainfo``, whatever its name. Evaluation must then take the ground
            truth from the samples: ``test_evaluator.ann_file=None``.
        check_images: look for every image on disk when the file is read.
        **kwargs: as for ``CocoDataset``.

    Raises:
        AnnotationError: an annotation file that is missing, damaged, without
            annotations, of other categories, or with records that cannot be used;
            or images that are not on disk.
    """

    METAINFO: ClassVar[dict] = dict(classes=('object',), palette=[(0, 158, 115)])

    def __init__(
        self, *args: Any, class_agnostic: bool = False, check_images: bool = True, **kwargs: Any
    ) -> None:
        self.class_agnostic = class_agnostic
        self.check_images = check_images
        super().__init__(*args, **kwargs)

    def load_data_list(self) -> list[dict]:
        """Read and check the annotation file.

        Returns:
            For each image ``img_path``, ``img_id``, ``height``, ``width`` and
            ``instances``, as ``CocoDataset`` gives them.
        """
        content = self._read()
        check_records(content, self.ann_file)
        if self.check_images and not self.backend_args:
            self._check_images(content['images'])
        self._map_categories(content)

        of_image = defaultdict(list)
        left_out: Counter[str] = Counter()
        self.cat_img_map: dict[int | str, list] = {cat_id: [] for cat_id in self.cat_ids}
        images = {image['id']: image for image in content['images']}
        for annotation in content['annotations']:
            image = images[annotation['image_id']]
            _complete(annotation, image)
            reason = self._reason_to_leave_out(annotation, image)
            if reason:
                left_out[reason] += 1
                continue
            of_image[image['id']].append(annotation)
            self.cat_img_map[annotation['category_id']].append(image['id'])
        self._report(left_out, len(content['annotations']))
        return [
            self.parse_data_info(dict(raw_img_info=dict(image, img_id=id_), raw_ann_info=of_image[id_]))
            for id_, image in images.items()
        ]

    def _read(self) -> dict:
        """Content of the annotation file, fetched first if it is remote."""
        if self.backend_args:
            with get_local_path(self.ann_file, backend_args=self.backend_args) as path:
                return read_coco_file(str(path), self.ann_file)
        if not osp.isfile(self.ann_file):
            fault = 'is a folder' if osp.isdir(self.ann_file) else 'does not exist'
            raise AnnotationError(
                f'annotation file {self.ann_file} {fault}: '
                f'set data_root (now {self.data_root!r}) and ann_file of the dataset in the config'
            )
        return read_coco_file(self.ann_file)

    def _check_images(self, images: list[dict]) -> None:
        folder = self.data_prefix.get('img', '')
        missing = [
            name
            for name in (image['file_name'] for image in images)
            if not osp.isfile(osp.join(folder, name))
        ]
        if missing:
            raise AnnotationError(
                f'{self.ann_file}: {len(missing)} of {len(images)} images are not in '
                f'{folder or "the working folder"}, first {missing[0]!r}: set data_root and data_prefix.img '
                'of the dataset in the config, or restore them'
            )

    def _map_categories(self, content: dict) -> None:
        """Set ``cat_ids`` and ``cat2label``."""
        classes = list(self.metainfo['classes'])
        if self.class_agnostic:
            if len(classes) != 1:
                raise AnnotationError(
                    f'class_agnostic=True with the classes {classes}: name exactly one in metainfo'
                )
            self.cat_ids = [category['id'] for category in content['categories']]
            self.cat2label = dict.fromkeys(self.cat_ids, 0)
            return
        # labels, here and in mmdet's metric, count the known categories in the order of the file
        known = [category for category in content['categories'] if category['name'] in classes]
        names = [category['name'] for category in known]
        if names != classes:
            found = [category['name'] for category in content['categories']]
            raise AnnotationError(
                f'{self.ann_file} has the categories {found}, the config the classes {classes}: every class '
                'must be in the file, in the same order, or labels are mixed up and metrics become 0. Set '
                "metainfo=dict(classes=...) of the dataset to the file's names, or class_agnostic=True to "
                'take all as one class'
            )
        self.cat_ids = [category['id'] for category in known]
        self.cat2label = {cat_id: label for label, cat_id in enumerate(self.cat_ids)}

    def _reason_to_leave_out(self, annotation: dict, image: dict) -> str | None:
        """Why ``CocoDataset`` would drop an annotation, or None."""
        x, y, width, height = annotation['bbox']
        if annotation.get('ignore', False):
            return "marked 'ignore'"
        if annotation['category_id'] not in self.cat2label:
            return 'of a category that the config does not name'
        if min(x + width, image['width']) <= max(x, 0) or min(y + height, image['height']) <= max(y, 0):
            return 'without area inside the image'
        if annotation['area'] <= 0 or width < 1 or height < 1:
            return 'smaller than one pixel'
        return None

    def _report(self, left_out: Counter[str], total: int) -> None:
        if sum(left_out.values()) == total:
            reasons = ', '.join(f'{count} {reason}' for reason, count in left_out.items())
            raise AnnotationError(f'{self.ann_file}: no annotation is usable ({reasons}): check the file')
        for reason, count in left_out.items():
            print_log(f'{self.ann_file}: left out {count} of {total} annotations {reason}', 'current')

    def filter_data(self) -> list[dict]:
        """Drop images as ``filter_cfg`` asks, and log how many."""
        kept: list[dict] = super().filter_data()
        total = len(self.data_list)
        if len(kept) < total:
            print_log(f'{self.ann_file}: left out {total - len(kept)} of {total} images', 'current')
        if not kept:
            raise AnnotationError(f'{self.ann_file}: filter_cfg={self.filter_cfg} leaves no image: relax it')
        return kept


def read_coco_file(path: str, name: str | None = None) -> dict:
    """Parse a COCO file and check its outline.

    Args:
        path: the file.
        name: how errors call it, by default its path.

    Returns:
        Its content, with the lists ``images``, ``annotations`` and ``categories``.

    Raises:
        AnnotationError: not JSON, not COCO, or without images, annotations or
            categories.
    """
    name = name or path
    try:
        with open(path, encoding='utf-8') as file:
            content = json.load(file)
    except OSError as error:
        raise AnnotationError(f'annotation file {name} cannot be read: {error.strerror}') from error
    except ValueError as error:
        fault = 'is empty' if not osp.getsize(path) else f'is not valid JSON ({error})'
        raise AnnotationError(f'annotation file {name} {fault}: write or fetch it again') from error
    if not isinstance(content, dict):
        raise AnnotationError(
            f'annotation file {name} holds a {type(content).__name__}, not a COCO object: export COCO'
        )
    for section in _SECTIONS:
        records = content.get(section)
        if not isinstance(records, list) or not all(isinstance(record, dict) for record in records):
            raise AnnotationError(
                f'annotation file {name} has no list of records {section!r}: export it as COCO instances'
            )
        if not records:
            raise AnnotationError(
                f'annotation file {name} has no {section}: nothing can be learned or tested with it'
            )
    return content


def check_records(content: dict, name: str) -> None:
    """Check every image, category and annotation of a COCO file.

    Raises:
        AnnotationError: with the number of faulty records and the first of them.
    """
    faults = [
        *_duplicates(content),
        *_image_faults(content['images']),
        *_category_faults(content['categories']),
    ]
    if not faults:
        images = {image['id']: image for image in content['images']}
        categories = {category['id'] for category in content['categories']}
        for annotation in content['annotations']:
            fault = _annotation_fault(annotation, images, categories)
            if fault:
                faults.append(f'annotation {annotation.get("id")!r}: {fault}')
    if faults:
        shown = ''.join(f'\n  {fault}' for fault in faults[:_SHOWN_FAULTS])
        more = f'\n  ... and {len(faults) - _SHOWN_FAULTS} more' if len(faults) > _SHOWN_FAULTS else ''
        raise AnnotationError(f'{name}: {len(faults)} faulty records, mend or remove them:{shown}{more}')


def _duplicates(content: dict) -> list[str]:
    faults = []
    for section in _SECTIONS:
        ids = Counter(repr(record.get('id')) for record in content[section])
        faults += [f'{count} {section} share the id {id_}' for id_, count in ids.items() if count > 1]
    return faults


def _image_faults(images: list[dict]) -> list[str]:
    faults = []
    for image in images:
        sizes = (image.get('height'), image.get('width'))
        if not _is_id(image.get('id')) or not isinstance(image.get('file_name'), str):
            faults.append(f'image {image.get("id", image.get("file_name"))!r}: no id or no file_name')
        elif not all(isinstance(size, int) and size > 0 for size in sizes):
            faults.append(f'image {image["id"]!r}: height and width {sizes} must be positive integers')
    return faults


def _category_faults(categories: list[dict]) -> list[str]:
    return [
        f'category {c.get("id")!r}: no id or no name'
        for c in categories
        if not _is_id(c.get('id')) or 'name' not in c
    ]


def _is_id(value: Any) -> bool:
    return isinstance(value, (int, str))


def _annotation_fault(annotation: dict, images: dict, categories: set) -> str | None:
    """What is wrong with one annotation, or None."""
    image_id, category_id = annotation.get('image_id'), annotation.get('category_id')
    if not _is_id(annotation.get('id')):
        return 'no id'
    if not _is_id(image_id) or image_id not in images:
        return f'its image_id {image_id!r} is not among the images'
    if not _is_id(category_id) or category_id not in categories:
        return f'its category_id {category_id!r} is not among the categories'
    image = images[image_id]
    segmentation, box = annotation.get('segmentation'), annotation.get('bbox')
    if box is None and is_empty_segmentation(segmentation):
        return 'neither bbox nor segmentation'
    if box is not None and not _is_box(box):
        return f'its bbox {box} is not x, y, width, height'
    area = annotation.get('area', 0)
    if not isinstance(area, (int, float)) or not math.isfinite(area):
        return f'its area {area!r} is not a number'
    return segmentation_fault(segmentation, image['height'], image['width'])


def _is_box(box: Any) -> bool:
    return (
        isinstance(box, list)
        and len(box) == 4
        and all(isinstance(value, (int, float)) and math.isfinite(value) for value in box)
    )


def _complete(annotation: dict, image: dict) -> None:
    """Add the box and the area that an annotation lacks."""
    if annotation.get('bbox') is not None and 'area' in annotation:
        return
    if is_empty_segmentation(annotation.get('segmentation')):
        annotation.setdefault('area', annotation['bbox'][2] * annotation['bbox'][3])
        return
    rle = compressed_rle(annotation['segmentation'], image['height'], image['width'])
    annotation.setdefault('area', float(coco_mask.area(rle)))
    if annotation.get('bbox') is None:
        annotation['bbox'] = coco_mask.toBbox(rle).tolist()
