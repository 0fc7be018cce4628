"""Stand in for mmcv's compiled operators, which `import mmcv.ops` requires even where none is called.

onedl-mmcv is plain Python when it is built without torch. This module gives it ``nms`` through torchvision; every
other operator raises an error that says how to compile the real ones. A compiled ``mmcv/_ext.*.so`` beside this file
is preferred by Python's import system, so nothing has to be removed after compiling.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NoReturn

from torch import Tensor
from torchvision.ops import nms as torchvision_nms


def nms(boxes: Tensor, scores: Tensor, iou_threshold: float, offset: int) -> Tensor:
    """Return the indices of the boxes that non-maximum suppression keeps, by descending score.

    Args:
        boxes: Boxes (N, 4), xyxy pixels.
        scores: Scores (N,).
        iou_threshold: IoU above which the box of lower score is dropped.
        offset: 1 if the right and bottom pixel belong to a box, as in mmdet 1, else 0.
    """
    if offset:
        boxes = boxes + boxes.new_tensor([0, 0, offset, offset])
    return torchvision_nms(boxes, scores, iou_threshold)


def __getattr__(name: str) -> Callable[..., NoReturn]:
    """Return a function that raises, for every operator that is not compiled here."""
    if name.startswith('__'):
        raise AttributeError(f'module {__name__!r} has no attribute {name!r}')

    def missing(*args: Any, **kwargs: Any) -> NoReturn:
        raise RuntimeError(
            f"mmcv's operator '{name}' is not compiled in this environment. Run `make ops` in the UltraSam checkout "
            '(it needs a C++ compiler, and the CUDA toolkit for operators on a GPU; up to 40 minutes).'
        )

    return missing
