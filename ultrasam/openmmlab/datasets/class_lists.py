"""Images with classes, from lists of file names and labels; registered with mmpretrain."""

from __future__ import annotations

import os.path as osp
from collections import Counter
from pathlib import Path
from typing import Any

from mmengine.logging import print_log
from mmengine.registry import DATA_SAMPLERS
from mmpretrain.datasets import CustomDataset
from mmpretrain.registry import DATASETS
from torch.utils.data import BatchSampler

from ultrasam.errors import AnnotationError, ConfigError
from ultrasam.openmmlab.datasets.replay import ReplayedSamples, ResumedBatches

_NO_CLASS = '-'
_SHOWN = 3
# Python refuses to read numbers of very many digits
_DIGITS = 10


@DATASETS.register_module()
class ClassListDataset(ReplayedSamples, CustomDataset):
    """mmpretrain's ``CustomDataset`` with checks that name the file, the line and the remedy.

    A line of the list is a file name, a blank and the index of a class in ``metainfo['classes']``; with
    ``multi_label`` several indices joined by commas, or ``-`` for none.

    Args:
        *args: as for ``CustomDataset``.
        multi_label: an image may have any number of classes.
        **kwargs: as for ``CustomDataset``; ``ann_file`` and ``metainfo`` with ``classes`` are needed.

    Raises:
        ConfigError: no list or no classes are named.
        AnnotationError: a list that is missing, empty or damaged, with labels that there are not, images that are not
            on disk or named twice, or, in training, of one class only.
    """

    def __init__(self, *args: Any, multi_label: bool = False, **kwargs: Any) -> None:
        self.multi_label = multi_label
        if not kwargs.get('ann_file') or not (kwargs.get('metainfo') or {}).get('classes'):
            raise ConfigError(
                'a list of classes needs ann_file, and metainfo=dict(classes=...) of the dataset'
            )
        # such lists are short: to serialise them costs more than processes that share them save
        kwargs.setdefault('serialize_data', False)
        super().__init__(*args, **kwargs)

    def load_data_list(self) -> list[dict[str, Any]]:
        """Samples with ``img_path`` and ``gt_label``, an index or a list of them."""
        self._check_names()
        samples: list[dict[str, Any]] = []
        seen: set[str] = set()
        for number, line in enumerate(self._lines(), start=1):
            name, _, text = line.rpartition(' ')
            if not name.strip():
                raise self._fault(number, f'{line!r} is no file name and label')
            path = osp.join(self.img_prefix or '', name.strip())
            if path in seen:
                raise self._fault(number, f'{name!r} is in the list already')
            seen.add(path)
            samples.append({'img_path': path, 'gt_label': self._label(text, number)})
        self._check_images([sample['img_path'] for sample in samples])
        self._check_counts(samples)
        return samples

    def _check_names(self) -> None:
        """Compare the classes with those of the data set, where it names them beside its lists."""
        named = Path(self.ann_file).with_name('classes.txt')
        if not named.is_file():
            return
        names = [line for line in named.read_text(encoding='utf-8', errors='replace').splitlines() if line]
        if names != list(self.metainfo['classes']):
            raise AnnotationError(
                f'{named}: the data have the classes {", ".join(names)}, the config has '
                f'{", ".join(self.metainfo["classes"])}: set metainfo.classes to those of the data, in their order'
            )

    def _lines(self) -> list[str]:
        try:
            text = Path(self.ann_file).read_text(encoding='utf-8')
        except (OSError, UnicodeDecodeError) as error:
            raise AnnotationError(
                f'{self.ann_file}: the list of images and classes cannot be read ({error}): the converters and '
                '`ultrasam data split` writes such lists; set data_root and ann_file of the dataset to them'
            ) from error
        lines = [line.strip() for line in text.splitlines()]
        while lines and not lines[-1]:
            lines.pop()
        if not lines:
            raise AnnotationError(f'{self.ann_file}: the list is empty')
        return lines

    def _fault(self, number: int, what: str) -> AnnotationError:
        return AnnotationError(f'{self.ann_file}, line {number}: {what}: correct the list, or make it anew')

    def _label(self, text: str, number: int) -> int | list[int]:
        classes = self.metainfo['classes']
        parts = [] if self.multi_label and text == _NO_CLASS else text.split(',')
        if len(parts) != 1 and not self.multi_label:
            raise self._fault(number, f'{text!r} are several classes, which only multi_label=True takes')
        labels = []
        for part in parts:
            if not (part.isascii() and part.isdigit() and len(part) < _DIGITS) or int(part) >= len(classes):
                known = ', '.join(f'{index} {name}' for index, name in enumerate(classes))
                raise self._fault(number, f'{part!r} is no class of the config ({known})')
            labels.append(int(part))
        return sorted(set(labels)) if self.multi_label else labels[0]

    def _check_images(self, paths: list[str]) -> None:
        missing = [path for path in paths if not osp.isfile(path)]
        if missing:
            raise AnnotationError(
                f'{self.ann_file}: {len(missing)} of {len(paths)} images are not on disk '
                f'({", ".join(missing[:_SHOWN])}): set data_prefix of the dataset, or restore them'
            )

    def _check_counts(self, samples: list[dict[str, Any]]) -> None:
        labels = [sample['gt_label'] for sample in samples]
        flat = [label for one in labels for label in (one if isinstance(one, list) else [one])]
        counts = Counter(flat)
        classes = self.metainfo['classes']
        listed = ', '.join(f'{counts[index]} {name}' for index, name in enumerate(classes))
        print_log(f'{self.ann_file}: {len(samples)} images ({listed})', 'current')
        absent = [name for index, name in enumerate(classes) if not counts[index]]
        if self.test_mode or not absent:
            return
        if not self.multi_label and len(counts) < 2:
            raise AnnotationError(
                f'{self.ann_file}: all {len(samples)} images are of one class ({listed}): there is nothing to learn'
            )
        print_log(f'{self.ann_file}: no image to learn {", ".join(absent)} from', 'current', 30)


@DATA_SAMPLERS.register_module()
class ResumableBatchSampler(ResumedBatches, BatchSampler):
    """torch's ``BatchSampler``, which can begin at any batch without loading those before.

    Args:
        sampler: of the samples.
        batch_size: samples of a batch.
        drop_last: leave out a last batch that is not full.
    """

    def __init__(self, sampler: Any, batch_size: int, drop_last: bool = False) -> None:
        super().__init__(sampler, batch_size, drop_last)
