"""COCO instance data sets that say what is wrong with them before a run starts, and share one copy of a file."""

from __future__ import annotations

import os
import os.path as osp
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from mmdet.datasets import CocoDataset
from mmdet.registry import DATASETS
from mmengine.dataset import force_full_init
from mmengine.fileio import get
from mmengine.logging import print_log

from ultrasam.coco.image_sizes import size_faults
from ultrasam.coco.record_checks import REASONS
from ultrasam.coco.records import SMALLEST_KEPT, CocoRecords, FileContent, HeldContent, open_records
from ultrasam.errors import AnnotationError, ConfigError
from ultrasam.openmmlab.datasets.replay import ReplayedSamples

_SHOWN = 5
_UNKNOWN_CATEGORY = 'of a category that the config does not name'


@DATASETS.register_module()
class UltraSamCocoDataset(ReplayedSamples, CocoDataset):
    """mmdet's ``CocoDataset`` with checks that name the file, the fault and the remedy, for files of any size.

    Samples are those of ``CocoDataset``. They are read from the annotation file one at a time, where an index says;
    the index of a large file is kept beside it (or in the cache folder of the user, or else in memory) and made anew
    when the file changes. Processes share it, so ``serialize_data`` has no effect.

    An image without annotation is kept when testing, and when training with ``filter_cfg=dict(filter_empty_gt=False)``.
    Boxes and areas that the file lacks are computed from the masks. What is left out is counted in the log.

    Args:
        *args: as for ``CocoDataset``.
        class_agnostic: give every category of the file the one class of ``metainfo``, whatever its name. Evaluation
            must then take the ground truth from the samples: ``test_evaluator.ann_file=None``.
        check_images: look for every image on disk when the file is read, and compare sizes with the records (of
            more than 20,000 images, with as many that are evenly spread; the loader compares the others).
        smallest_index: size in bytes of the annotation file from which its index is kept on disk.
        **kwargs: as for ``CocoDataset``, without ``proposal_file``.

    Raises:
        AnnotationError: an annotation file that is missing, damaged, without annotations, of other categories, or
            with records that cannot be used; or images that are not on disk or have another size.
    """

    METAINFO: ClassVar[dict] = dict(classes=('object',), palette=[(0, 158, 115)])
    _fully_initialized: bool = False

    def __init__(
        self,
        *args: Any,
        class_agnostic: bool = False,
        check_images: bool = True,
        smallest_index: int = SMALLEST_KEPT,
        **kwargs: Any,
    ) -> None:
        self.class_agnostic = class_agnostic
        self.check_images = check_images
        self.smallest_index = smallest_index
        self._records: CocoRecords
        # image numbers in the file of the samples, in their order
        self._numbers: np.ndarray
        super().__init__(*args, **kwargs)

    def full_init(self) -> None:
        """Index the annotation file, or find its index, and choose the samples."""
        if self._fully_initialized:
            return
        if self.proposal_file is not None:
            raise ConfigError('proposal_file: this data set has no proposals; use CocoDataset')
        self._records = open_records(content_of(self.ann_file, self.backend_args), self.smallest_index)
        if self.check_images and not self.backend_args:
            self._check_images()
        self._map_categories()
        is_usable = self._usable()
        self._numbers = _chosen(self.choose_images(is_usable), self._indices)
        self._fully_initialized = True

    @force_full_init
    def __len__(self) -> int:
        return len(self._numbers)

    @force_full_init
    def get_data_info(self, idx: int) -> dict[str, Any]:
        """A sample: ``img_path``, ``img_id``, ``height``, ``width``, ``instances`` and more, as ``CocoDataset`` has it.

        Args:
            idx: its number; negative ones count from the end.
        """
        number = int(self._numbers[idx])
        image = self._records.image(number)
        annotations = self._records.annotations(number, (image['height'], image['width']))
        sample: dict[str, Any] = self.parse_data_info(
            dict(raw_img_info=dict(image, img_id=image['id']), raw_ann_info=annotations)
        )
        sample['sample_idx'] = idx if idx >= 0 else len(self) + idx
        return sample

    @force_full_init
    def size_hw(self, idx: int) -> tuple[int, int]:
        """Return height and width of the image of a sample in pixels, from the index alone."""
        height, width = self._records.index.sides_hw[self._numbers[idx]].tolist()
        return height, width

    @force_full_init
    def load_data_list(self) -> list[dict[str, Any]]:
        """All samples at once, in memory."""
        return [self.get_data_info(idx) for idx in range(len(self))]

    @force_full_init
    def get_subset_(self, indices: int | Sequence[int]) -> None:
        """Keep the first (or, if negative, the last) few samples, or those of the given numbers."""
        self._numbers = _chosen(self._numbers, indices)

    @force_full_init
    def get_subset(self, indices: int | Sequence[int]) -> UltraSamCocoDataset:
        """A data set of the samples that ``get_subset_`` would keep."""
        subset: UltraSamCocoDataset = self._copy_without_annotation()
        subset.get_subset_(indices)
        return subset

    def choose_images(self, is_usable: np.ndarray) -> np.ndarray:
        """Apply ``filter_cfg``, and log how many images it drops.

        Args:
            is_usable: (M,), bool, the annotations that samples have.

        Returns:
            (N,), int, numbers of the images to keep, ascending.
        """
        index = self._records.index
        total = len(self._records)
        is_kept = np.ones(total, bool)
        if not self.test_mode and self.filter_cfg is not None:
            if self.filter_cfg.get('filter_empty_gt', False):
                counts = np.concatenate([[0], np.cumsum(is_usable)])[index.first_annotation]
                is_kept &= np.diff(counts) > 0
            is_kept &= index.sides_hw.min(axis=1) >= self.filter_cfg.get('min_size', 0)
        kept = np.flatnonzero(is_kept).astype(np.int32)
        if len(kept) < total:
            print_log(f'{self.ann_file}: left out {total - len(kept)} of {total} images', 'current')
        if not kept.size:
            raise AnnotationError(f'{self.ann_file}: filter_cfg={self.filter_cfg} leaves no image: relax it')
        return kept

    def _check_images(self) -> None:
        folder = self.data_prefix.get('img', '')
        names = self._records.index.file_names()
        missing = _missing(folder, names)
        if missing:
            raise AnnotationError(
                f'{self.ann_file}: {len(missing)} of {len(names)} images are not in '
                f'{folder or "the working folder"}, first {missing[0]!r}: set data_root and data_prefix.img '
                'of the dataset in the config, or restore them'
            )
        faults = size_faults(folder, names, self._records.index.sides_hw)
        if faults:
            more = f'\n  ... and {len(faults) - _SHOWN} more' if len(faults) > _SHOWN else ''
            shown = ''.join(f'\n  {fault}' for fault in faults[:_SHOWN])
            raise AnnotationError(
                f'{self.ann_file}: {len(faults)} of the images cannot be used:{shown}{more}'
            )

    def _map_categories(self) -> None:
        """Set ``cat_ids`` and ``cat2label``."""
        classes = list(self.metainfo['classes'])
        categories = self._records.index.categories
        if self.class_agnostic:
            if len(classes) != 1:
                raise AnnotationError(
                    f'class_agnostic=True with the classes {classes}: name exactly one in metainfo'
                )
            self.cat_ids = [category['id'] for category in categories]
            self.cat2label = dict.fromkeys(self.cat_ids, 0)
            return
        # labels, here and in mmdet's metric, count the known categories in the order of the file
        known = [category for category in categories if category['name'] in classes]
        names = [category['name'] for category in known]
        if names != classes:
            found = [category['name'] for category in categories]
            raise AnnotationError(
                f'{self.ann_file} has the categories {found}, the config the classes {classes}: every class '
                'must be in the file, in the same order, or labels are mixed up and metrics become 0. Set '
                "metainfo=dict(classes=...) of the dataset to the file's names, or class_agnostic=True to "
                'take all as one class'
            )
        self.cat_ids = [category['id'] for category in known]
        self.cat2label = {cat_id: label for label, cat_id in enumerate(self.cat_ids)}

    def _usable(self) -> np.ndarray:
        """The annotations, (M,), bool, that samples have; logs how many do not, and why."""
        index = self._records.index
        reasons = index.reasons.copy()
        is_known = np.array([category['id'] in self.cat2label for category in index.categories])
        # an annotation that is marked 'ignore' counts as such, whatever its category
        reasons[~is_known[index.categories_of] & (reasons != REASONS.index("marked 'ignore'"))] = len(REASONS)
        counts = np.bincount(reasons, minlength=len(REASONS) + 1).tolist()
        total = reasons.size
        left_out = {
            reason: count
            for reason, count in zip([*REASONS, _UNKNOWN_CATEGORY], counts, strict=True)
            if reason and count
        }
        if not counts[0]:
            listed = ', '.join(f'{count} {reason}' for reason, count in left_out.items())
            raise AnnotationError(f'{self.ann_file}: no annotation is usable ({listed}): check the file')
        for reason, count in left_out.items():
            print_log(f'{self.ann_file}: left out {count} of {total} annotations {reason}', 'current')
        return reasons == 0


def _chosen(numbers: np.ndarray, indices: int | Sequence[int] | None) -> np.ndarray:
    """Some of the numbers, as ``indices`` of mmengine's data sets says."""
    if indices is None:
        return numbers
    if isinstance(indices, int):
        return numbers[:indices] if indices >= 0 else numbers[indices:]
    wanted = np.asarray(indices, np.int64)
    if wanted.size and not -len(numbers) <= wanted.min() <= wanted.max() < len(numbers):
        raise ConfigError(f'indices from {wanted.min()} to {wanted.max()}: there are {len(numbers)} samples')
    return numbers[wanted]


def _missing(folder: str, names: list[str]) -> list[str]:
    """Names that are no file in the folder; whole folders are listed, which is faster than a look at each file."""
    listed: dict[str, set[str]] = {}
    missing = []
    for name in names:
        parent, base = osp.split(osp.join(folder, name))
        if parent not in listed:
            listed[parent] = _files_in(parent)
        # a second look settles names that the system takes for others, such as by upper and lower case
        if base not in listed[parent] and not osp.isfile(osp.join(parent, base)):
            missing.append(name)
    return missing


def _files_in(folder: str) -> set[str]:
    try:
        with os.scandir(folder or '.') as entries:
            return {entry.name for entry in entries if entry.is_file()}
    except (OSError, ValueError):
        return set()


def content_of(path: str, backend_args: Mapping[str, Any] | None = None) -> FileContent | HeldContent:
    """A file, which a backend of mmengine fetches into memory if it is remote.

    Args:
        path: of the file, or its address.
        backend_args: of the backend.

    Raises:
        AnnotationError: it does not exist or cannot be read.
    """
    if backend_args and not os.path.isfile(path):
        return HeldContent(get(path, backend_args=dict(backend_args)), path)
    if not os.path.isfile(path):
        fault = 'is a folder' if os.path.isdir(path) else 'does not exist'
        raise AnnotationError(
            f'annotation file {path} {fault}: set data_root and ann_file of the dataset, and ann_file of the '
            'evaluator, in the config'
        )
    return FileContent(Path(path))
