"""An image to segment, and the masks found in it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from ultrasam.errors import PromptError


@dataclass(frozen=True)
class VolumeGeometry:
    """Where a slice of a volume lies in space, as ITK describes it.

    Args:
        size_xyz: voxels along x, y and z.
        spacing_xyz: millimetres between voxels.
        origin_xyz: millimetres, the centre of the first voxel.
        direction: nine numbers, the cosine matrix row by row.
        axis: the array axis (0 = z, 1 = y, 2 = x) that was sliced.
    """

    size_xyz: tuple[int, int, int]
    spacing_xyz: tuple[float, float, float]
    origin_xyz: tuple[float, float, float]
    direction: tuple[float, ...]
    axis: int


@dataclass(frozen=True)
class Frame:
    """One image, or one frame of a DICOM file, a video or a volume.

    Args:
        image: (H, W, 3), uint8, RGB.
        source: the file it came from.
        index: its place in that file, from 0.
        spacing_mm: millimetres between rows and between columns, or None if the file does not tell.
        geometry: of the volume that it was cut from, or None.
    """

    image: np.ndarray = field(repr=False)
    source: Path
    index: int = 0
    spacing_mm: tuple[float, float] | None = None
    geometry: VolumeGeometry | None = None

    @property
    def size_hw(self) -> tuple[int, int]:
        """Height and width in pixels."""
        return self.image.shape[0], self.image.shape[1]


@dataclass(frozen=True)
class ObjectPrompt:
    """What a user gives for one object, in pixels of the image as it is.

    The centre of the first pixel is (0, 0), as in segment-anything.

    Args:
        points_xy: (P, 2), float, clicks.
        point_labels: (P,), 1 on the object, 0 off it; all 1 if left out.
        box_xyxy: (4,), float, or None.
        mask_logits: (1, h, h), float, the logits of an earlier answer, or None.

    Raises:
        PromptError: Nothing given, clicks off the object alone, counts that differ, a label other than 0 and 1, a
            coordinate that is not a number, or an inverted box.
    """

    points_xy: np.ndarray | Sequence = field(default_factory=lambda: np.zeros((0, 2), np.float32))
    point_labels: np.ndarray | Sequence | None = None
    box_xyxy: np.ndarray | Sequence | None = None
    mask_logits: np.ndarray | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        points = np.asarray(self.points_xy, np.float64)
        if points.size % 2 or points.ndim > 2 or (points.ndim == 2 and points.shape[1] != 2):
            raise PromptError(f'points of shape {points.shape}: give x and y of each, (P, 2)')
        points = points.reshape(-1, 2)
        labels = (
            np.ones(len(points), np.int64) if self.point_labels is None else np.asarray(self.point_labels)
        )
        box = None if self.box_xyxy is None else np.asarray(self.box_xyxy, np.float64).reshape(-1)
        object.__setattr__(self, 'points_xy', points)
        object.__setattr__(self, 'point_labels', labels.reshape(-1))
        object.__setattr__(self, 'box_xyxy', box)
        self._check(points, labels.reshape(-1), box)

    def _check(self, points: np.ndarray, labels: np.ndarray, box: np.ndarray | None) -> None:
        if not len(points) and box is None and self.mask_logits is None:
            raise PromptError('an object without prompt: give a point, a box, or both')
        if len(labels) and not labels.any() and box is None and self.mask_logits is None:
            raise PromptError('only clicks off the object: give one on it, or a box')
        if len(points) != len(labels) or not np.isin(labels, (0, 1)).all():
            raise PromptError(
                f'{len(points)} points with labels {labels.tolist()}: give one label a point, 1 on the object, 0 off it'
            )
        if not np.isfinite(points).all() or (box is not None and not np.isfinite(box).all()):
            raise PromptError('a coordinate that is not a number')
        if box is not None and (box.shape != (4,) or box[2] <= box[0] or box[3] <= box[1]):
            raise PromptError(f'a box {box.tolist()}: give x1 y1 x2 y2 with x1 < x2 and y1 < y2')


@dataclass(frozen=True)
class Segmentation:
    """Masks of one frame, one for each object that was prompted.

    Args:
        masks: (N, H, W), bool, at the size of the frame.
        scores: (N,), float32, the IoU that the model predicts for each.
        prompts: the N prompts that were answered.
        logits: (N, h, h), float32, mask logits over the padded input, to be given back as a prompt.
        class_names: the C classes that the model tells apart; none for a model that gives masks alone.
        class_scores: (N, C), float32, probability of each class, NaN for an object that was not looked for in
            this frame; None without classes. They add up to 1 where the model was trained with softmax; with
            sigmoid each class is judged by itself.
    """

    masks: np.ndarray
    scores: np.ndarray
    prompts: tuple[ObjectPrompt, ...]
    logits: np.ndarray
    class_names: tuple[str, ...] = ()
    class_scores: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.masks)

    def __repr__(self) -> str:
        height, width = self.masks.shape[1:]
        count = f'{len(self)} mask' if len(self) == 1 else f'{len(self)} masks'
        scores = ', '.join(f'{score:.2f}' for score in self.scores[:5]) + (', ...' if len(self) > 5 else '')
        return f'Segmentation({count} of {height} x {width} pixels, predicted IoU {scores or "none"})'

    @property
    def labels(self) -> np.ndarray | None:
        """(N,), int64, index of the likeliest class of each object, -1 where there is none; None without classes."""
        if self.class_scores is None:
            return None
        unknown = np.isnan(self.class_scores).any(1)
        return np.where(unknown, -1, np.nan_to_num(self.class_scores, nan=-1.0).argmax(1)).astype(np.int64)

    def class_of(self, index: int) -> tuple[str, float] | None:
        """Name and probability of the likeliest class of an object; None where there is none."""
        if self.class_scores is None or self.labels is None or self.labels[index] < 0:
            return None
        label = int(self.labels[index])
        return self.class_names[label], float(self.class_scores[index, label])
