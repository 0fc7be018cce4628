"""Prompts of one instance, and the prompts of a batch as one flat, ragged set of tokens."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from ultrasam.errors import PromptError

# Rows of the label table: the meaning that a prompt or output token carries.
NO_MASK = 0
NEGATIVE_POINT = 1
POSITIVE_POINT = 2
BOX_TOP_LEFT = 3
BOX_BOTTOM_RIGHT = 4
NOT_A_POINT = 5
FIRST_OUTPUT_TOKEN = 6
NUM_OUTPUT_TOKENS = 5
NUM_LABELS = 11


def _empty_points() -> np.ndarray:
    return np.zeros((0, 2), np.float32)


def _empty_labels() -> np.ndarray:
    return np.zeros(0, np.int64)


@dataclass(frozen=True)
class Prompt:
    """What points at one instance: any number of clicks, a box, or both.

    Args:
        points: (P, 2), float, xy pixels of the padded network input (the
            centre of the first pixel is 0.5, 0.5).
        point_labels: (P,), int, 1 for a click on the instance, 0 for a click
            off it.
        box: (4,), float, xyxy pixels of the padded network input, or None.

    Raises:
        PromptError: neither point nor box, shapes that disagree, a coordinate
            that is not finite, a label other than 0 and 1, or an inverted box.
    """

    points: np.ndarray = field(default_factory=_empty_points)
    point_labels: np.ndarray = field(default_factory=_empty_labels)
    box: np.ndarray | None = None

    def __post_init__(self) -> None:
        points = np.asarray(self.points, np.float32).reshape(-1, 2)
        labels = np.asarray(self.point_labels, np.int64).reshape(-1)
        box = None if self.box is None else np.asarray(self.box, np.float32).reshape(-1)
        if len(points) != len(labels):
            raise PromptError(f'{len(points)} points but {len(labels)} point labels: give one label a point')
        if not ((labels == 0) | (labels == 1)).all():
            raise PromptError(f'point labels {labels.tolist()}: use 1 (on the object) or 0 (off it)')
        if box is not None and box.shape != (4,):
            raise PromptError(f'a box of {box.size} numbers: give x1, y1, x2, y2')
        if box is None and not len(points):
            raise PromptError('a prompt without point and without box: give at least one of them')
        if not np.isfinite(points).all() or (box is not None and not np.isfinite(box).all()):
            raise PromptError(
                f'a prompt with a coordinate that is not a number: points {points.tolist()}, box {box}'
            )
        if box is not None and (box[2] < box[0] or box[3] < box[1]):
            raise PromptError(f'an inverted box {box.tolist()}: give x1 <= x2 and y1 <= y2')
        object.__setattr__(self, 'points', points)
        object.__setattr__(self, 'point_labels', labels)
        object.__setattr__(self, 'box', box)

    def check_inside(self, size_hw: tuple[int, int], name: str) -> None:
        """Refuse a prompt that points at nothing of its image.

        Args:
            size_hw: height and width of the resized image within the input.
            name: of the image and the object, for the message.

        Raises:
            PromptError: a click outside the image, or a box that does not touch it.
        """
        limit = np.array(size_hw[::-1], np.float32) + 1.0  # a mask may be a pixel larger than its image
        outside = ((self.points < 0) | (self.points > limit)).any(1)
        if outside.any():
            x, y = self.points[outside][0]
            raise PromptError(
                f'{name}: a click at ({x:g}, {y:g}) is outside the image of {size_hw[1]} x {size_hw[0]} pixels '
                '(as resized for the network)'
            )
        if self.box is not None and ((self.box[2:] < 0).any() or (self.box[:2] > limit).any()):
            raise PromptError(
                f'{name}: the box {self.box.tolist()} is outside the image of {size_hw[1]} x {size_hw[0]} pixels '
                '(as resized for the network)'
            )

    @property
    def is_lone_point(self) -> bool:
        """Whether this is exactly one positive click, the point prompt of the published model."""
        return self.box is None and len(self.points) == 1 and int(self.point_labels[0]) == 1

    def tokens(self) -> tuple[np.ndarray, np.ndarray]:
        """Coordinates (T, 2), float32, and label rows (T,), int64, of the prompt tokens.

        Points come first, then the two corners of the box; points without a
        box are followed by one not-a-point token, as in Segment Anything
        (Kirillov et al. 2023, appendix A).
        """
        rows = np.where(self.point_labels == 1, POSITIVE_POINT, NEGATIVE_POINT)
        if self.box is None:
            coords = np.concatenate([self.points, np.zeros((1, 2), np.float32)])
            return coords, np.append(rows, NOT_A_POINT)
        coords = np.concatenate([self.points, self.box.reshape(2, 2)])
        return coords, np.concatenate([rows, [BOX_TOP_LEFT, BOX_BOTTOM_RIGHT]])


@dataclass
class PromptBatch:
    """The prompts of all instances of a batch, flattened to one axis without padding.

    Instance ``i`` belongs to image ``image_index[i]``; its tokens are rows
    ``starts[i] : starts[i] + counts[i]`` of ``coords`` and ``labels``.

    Args:
        coords: (K, 2), float32, xy pixels of the padded network input.
        labels: (K,), int64, rows of the label table.
        counts: prompt tokens of each of the M instances.
        image_index: (M,), int64, the image of each instance, ascending.
        num_images: images in the batch, those without instance included.
        lone_points: for each instance, whether its prompt is one positive click.
    """

    coords: Tensor
    labels: Tensor
    counts: tuple[int, ...]
    image_index: Tensor
    num_images: int
    lone_points: tuple[bool, ...]

    def __len__(self) -> int:
        return len(self.counts)

    @classmethod
    def from_prompts(
        cls, prompts: Sequence[Sequence[Prompt]], device: torch.device | str = 'cpu'
    ) -> PromptBatch:
        """Flatten the prompts of each image, with one copy to ``device``."""
        flat = [prompt for of_image in prompts for prompt in of_image]
        tokens = [prompt.tokens() for prompt in flat]
        coords = np.concatenate([c for c, _ in tokens]) if tokens else np.zeros((0, 2), np.float32)
        labels = np.concatenate([r for _, r in tokens]) if tokens else np.zeros(0, np.int64)
        index = np.repeat(np.arange(len(prompts)), [len(of_image) for of_image in prompts])
        return cls(
            coords=torch.from_numpy(coords.astype(np.float32)).to(device, non_blocking=True),
            labels=torch.from_numpy(labels.astype(np.int64)).to(device, non_blocking=True),
            counts=tuple(len(r) for _, r in tokens),
            image_index=torch.from_numpy(index.astype(np.int64)).to(device, non_blocking=True),
            num_images=len(prompts),
            lone_points=tuple(prompt.is_lone_point for prompt in flat),
        )

    def groups(self) -> list[tuple[Tensor, Tensor]]:
        """Instances of equal token count, so that no token is ever padded.

        Returns:
            For each count T present: the instances (G,) int64, and their token
            rows (G, T) int64. Without any instance one empty group, so that a
            step without instances still reaches every parameter.
        """
        counts = np.asarray(self.counts, np.int64)
        starts = np.cumsum(counts) - counts
        device = self.coords.device
        found = []
        for count in np.unique(counts).tolist() or [2]:
            members = np.flatnonzero(counts == count)
            rows = starts[members][:, None] + np.arange(count)
            on_device = [torch.from_numpy(part).to(device, non_blocking=True) for part in (members, rows)]
            found.append((on_device[0], on_device[1]))
        return found

    def instances_per_image(self) -> list[int]:
        """Number of instances of each image, in image order."""
        return torch.bincount(self.image_index, minlength=self.num_images).tolist()

    def with_boxes(self, boxes: Tensor, replace: Sequence[bool]) -> PromptBatch:
        """A copy in which the instances marked in ``replace`` are prompted by a box alone.

        Args:
            boxes: (M, 4), float, xyxy pixels of the padded network input; rows
                of unmarked instances are ignored.
            replace: M flags.
        """
        if not any(replace):
            return self
        coords = list(self.coords.split(self.counts))
        labels = list(self.labels.split(self.counts))
        corner_rows = self.labels.new_tensor([BOX_TOP_LEFT, BOX_BOTTOM_RIGHT])
        for i in np.flatnonzero(replace):
            coords[i] = boxes[i].to(self.coords.dtype).reshape(2, 2)
            labels[i] = corner_rows
        return PromptBatch(
            coords=torch.cat(coords),
            labels=torch.cat(labels),
            counts=tuple(len(rows) for rows in labels),
            image_index=self.image_index,
            num_images=self.num_images,
            lone_points=tuple(
                was and not now_box for was, now_box in zip(self.lone_points, replace, strict=True)
            ),
        )

    def with_points(self, points: Tensor, labels: Tensor) -> PromptBatch:
        """A copy in which every instance has one more click.

        Args:
            points: (M, 2), float, xy pixels of the padded network input.
            labels: (M,), bool or int, 1 for a click on the instance.
        """
        counts = torch.tensor(self.counts, device=self.coords.device)
        instance = torch.arange(len(self), device=counts.device)
        order = torch.cat([instance.repeat_interleave(counts), instance]).argsort(stable=True)
        rows = torch.where(labels.bool(), POSITIVE_POINT, NEGATIVE_POINT)
        return PromptBatch(
            coords=torch.cat([self.coords, points.to(self.coords.dtype)])[order],
            labels=torch.cat([self.labels, rows])[order],
            counts=tuple(count + 1 for count in self.counts),
            image_index=self.image_index,
            num_images=self.num_images,
            lone_points=(False,) * len(self),
        )
