"""One COCO file for all frames of a run, with the frames beside it."""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from pycocotools import mask as coco_mask

from ultrasam.atomic import publish_bytes, publish_file
from ultrasam.io.writers.coco_stream import CocoWriter
from ultrasam.io.writers.formats import ResultFormat, explained, path_text
from ultrasam.io.writers.names import ResultFile
from ultrasam.io.writers.pictures import png_bytes
from ultrasam.structures import Frame, ObjectPrompt, Segmentation

_HEAD = {
    'info': {'description': 'Masks predicted by UltraSam from the prompts given with each'},
    'licenses': [],
}
_WITHOUT_CLASSES = ('object',)
# the category of objects that were lost from one frame to the next, in a run with classes
_UNKNOWN = 'unknown'


class CocoFormat(ResultFormat):
    """``coco.json``, and every frame as it was segmented in ``images/``.

    Together they are a data set to train on: ``data_root`` is the output folder, ``ann_file='coco.json'``,
    ``data_prefix=dict(img='images')``. Every object that was prompted has its annotation, with run
    lengths, ``score`` and ``predicted_iou`` (the same number) and its ``prompt``; that of an empty mask
    has area 0, which loaders leave out. Of a model that tells classes, these are the categories, numbered from
    1 in the order of the model, and an annotation is of the likeliest, with ``class_probability`` and
    ``class_scores``; objects that were lost are of a last category ``unknown``, there if needed. Records wait on
    disk, not in memory, until the run ends.
    """

    folder_name = 'images'
    run_file_name = 'coco.json'

    def __init__(self, out_dir: Path, *, overwrite: bool) -> None:
        super().__init__(out_dir, overwrite=overwrite)
        # the files live as long as the writer, so no block can hold them
        self._file, self._spool = tempfile.TemporaryFile(dir=out_dir), tempfile.TemporaryFile(dir=out_dir)  # noqa: SIM115
        self._records = CocoWriter(self._file, self._spool, _HEAD)
        self._class_names: tuple[str, ...] = ()
        self._has_unknown = False

    def write(self, file: ResultFile, frame: Frame, segmentation: Segmentation) -> None:
        """Write the frame, and keep its records."""
        target = self.path_of(file.frame_name(frame.index))
        publish_bytes(target, png_bytes(frame.image), overwrite=self.overwrite)
        self._class_names = self._class_names or segmentation.class_names
        labels = segmentation.labels
        self._has_unknown |= labels is not None and bool((labels < 0).any())
        image_id = self._records.images + 1
        with explained(self.run_file):
            self._records.add_image(_image_record(image_id, Path(target.name), frame))
            for annotation in _annotations(segmentation):
                id_ = self._records.annotations + 1
                self._records.add_annotation({'id': id_, 'image_id': image_id, **annotation})

    def close(self) -> None:
        """Publish ``coco.json``."""
        with publish_file(self.run_file, overwrite=self.overwrite) as path, path.open('wb') as file:
            self._records.finish({'categories': self._categories()})
            self._file.seek(0)
            shutil.copyfileobj(self._file, file)
        self.discard()

    def discard(self) -> None:
        """Forget the records."""
        for file in (self._file, self._spool):
            with contextlib.suppress(OSError):
                file.close()

    def _categories(self) -> list[dict[str, Any]]:
        names = (self._class_names or _WITHOUT_CLASSES) + (_UNKNOWN,) * self._has_unknown
        return [{'id': index, 'name': name, 'supercategory': 'none'} for index, name in enumerate(names, 1)]


def _image_record(image_id: int, file_name: Path, frame: Frame) -> dict[str, Any]:
    height, width = frame.size_hw
    return {
        'id': image_id,
        'file_name': path_text(file_name),
        'height': height,
        'width': width,
        'source': path_text(frame.source),
        'frame': frame.index,
        'spacing_mm': None if frame.spacing_mm is None else [float(value) for value in frame.spacing_mm],
    }


def _annotations(segmentation: Segmentation) -> Iterator[dict[str, Any]]:
    for index, (mask, score, prompt) in enumerate(
        zip(segmentation.masks, segmentation.scores, segmentation.prompts, strict=True)
    ):
        rle = coco_mask.encode(np.asfortranarray(mask, np.uint8))
        score = round(float(score), 6) if np.isfinite(score) else None
        yield {
            'category_id': _category_id(segmentation, index),
            'segmentation': {'size': rle['size'], 'counts': rle['counts'].decode('ascii')},
            'bbox': coco_mask.toBbox(rle).tolist(),
            'area': float(coco_mask.area(rle)),
            'iscrowd': 0,
            'score': score,
            'predicted_iou': score,
            **_class_record(segmentation, index),
            'prompt': _prompt_record(prompt),
        }


def _category_id(segmentation: Segmentation, index: int) -> int:
    labels = segmentation.labels
    if labels is None:
        return 1
    return int(labels[index]) + 1 if labels[index] >= 0 else len(segmentation.class_names) + 1


def _class_record(segmentation: Segmentation, index: int) -> dict[str, Any]:
    """Probability of the likeliest class and of each by its name; nothing without classes."""
    if segmentation.class_scores is None:
        return {}
    found = segmentation.class_of(index)
    if found is None:
        return {'class_probability': None, 'class_scores': None}
    scores = [round(float(score), 6) for score in segmentation.class_scores[index]]
    return {
        'class_probability': round(found[1], 6),
        'class_scores': dict(zip(segmentation.class_names, scores, strict=True)),
    }


def _prompt_record(prompt: ObjectPrompt) -> dict[str, Any]:
    """The prompt in pixels of the frame, from the centre of the first one; of mask logits only that there were."""
    return {
        'points_xy': np.asarray(prompt.points_xy).tolist(),
        'point_labels': np.asarray(prompt.point_labels).tolist(),
        'box_xyxy': None if prompt.box_xyxy is None else np.asarray(prompt.box_xyxy).tolist(),
        'with_mask': prompt.mask_logits is not None,
    }
