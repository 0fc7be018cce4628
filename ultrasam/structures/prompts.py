"""Prompts of one instance, and the prompts of a batch as one flat, ragged set of tokens."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import NamedTuple

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


# prompts that come without an image are not compared with one
_ANY_SIZE = (2**31, 2**31)


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
            raise PromptError(f'a box has {box.size} numbers: give x1, y1, x2, y2')
        if box is None and not len(points):
            raise PromptError('a prompt has neither a point nor a box: give at least one of them')
        if not np.isfinite(points).all() or (box is not None and not np.isfinite(box).all()):
            raise PromptError(
                f'a coordinate of a prompt is not a number: points {points.tolist()}, box {box}'
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
    def is_single_click(self) -> bool:
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


class TokenisedPrompts(tuple[Prompt, ...]):
    """The prompts of one image, checked and turned into tokens where they are made: in a data worker.

    A tuple of :class:`Prompt`, one an instance. A slice of it is a plain tuple, whose tokens are made again.

    Args:
        prompts: One prompt an instance.
        size_hw: Height and width of the resized image within the input.
        name: Name of the image, for messages.

    Raises:
        PromptError: A prompt points at nothing of the image.
    """

    coords: np.ndarray
    labels: np.ndarray
    counts: np.ndarray
    single_clicks: np.ndarray

    def __new__(cls, prompts: Iterable[Prompt], size_hw: tuple[int, int], name: str) -> TokenisedPrompts:
        """Check and tokenise the prompts."""
        self = super().__new__(cls, prompts)
        for i, prompt in enumerate(self):
            prompt.check_inside(size_hw, f'{name}, object {i}')
        tokens = [prompt.tokens() for prompt in self]
        self.coords = np.concatenate([np.zeros((0, 2), np.float32), *(coords for coords, _ in tokens)])
        self.labels = np.concatenate([np.zeros(0, np.int64), *(labels for _, labels in tokens)])
        self.counts = np.array([len(labels) for _, labels in tokens], np.int64)
        self.single_clicks = np.array([prompt.is_single_click for prompt in self], bool)
        return self

    def __reduce__(self) -> tuple:
        return _unpickled, (tuple(self), self.__dict__)


def _unpickled(prompts: tuple[Prompt, ...], arrays: dict[str, np.ndarray]) -> TokenisedPrompts:
    found = tuple.__new__(TokenisedPrompts, prompts)
    found.__dict__.update(arrays)
    return found


class TokenGroup(NamedTuple):
    """Instances with equally many prompt tokens.

    Args:
        members: (G,), int64, which of the M instances of the batch these are.
        coords: (G, T, 2), float32, xy pixels of the padded network input.
        labels: (G, T), int64, rows of the label table.
        image_index: (G,), int64, the image of each.
    """

    members: Tensor
    coords: Tensor
    labels: Tensor
    image_index: Tensor


@dataclass(frozen=True)
class PromptBatch:
    """The prompts of all instances of a batch, flattened to one axis without padding.

    The tokens of instance ``i`` are ``counts[i]`` rows of ``coords`` and ``labels``, after those of the instances
    before it.

    Args:
        coords: (K, 2), float32, xy pixels of the padded network input.
        labels: (K,), int64, rows of the label table.
        counts: Number of prompt tokens of each of the M instances.
        image_index: (M,), int64, the image of each instance.
        num_images: Images in the batch, those without an instance included.
        single_clicks: For each instance, whether its prompt is one positive click.
    """

    coords: Tensor
    labels: Tensor
    counts: tuple[int, ...]
    image_index: Tensor
    num_images: int
    single_clicks: tuple[bool, ...]

    def __len__(self) -> int:
        return len(self.counts)

    @classmethod
    def from_prompts(
        cls, prompts: Sequence[Sequence[Prompt]], device: torch.device | str = 'cpu'
    ) -> PromptBatch:
        """Flatten the prompts of each image, with one copy of each array to ``device``."""
        images = [
            of_image
            if isinstance(of_image, TokenisedPrompts)
            else TokenisedPrompts(of_image, _ANY_SIZE, f'image {i}')
            for i, of_image in enumerate(prompts)
        ]
        index = np.repeat(np.arange(len(images)), [len(of_image) for of_image in images])
        arrays = (
            np.concatenate([np.zeros((0, 2), np.float32), *(one.coords for one in images)]),
            np.concatenate([np.zeros(0, np.int64), *(one.labels for one in images)]),
            index.astype(np.int64),
        )
        coords, labels, image_index = (torch.from_numpy(a).to(device, non_blocking=True) for a in arrays)
        return cls(
            coords=coords,
            labels=labels,
            counts=tuple(int(count) for one in images for count in one.counts),
            image_index=image_index,
            num_images=len(images),
            single_clicks=tuple(bool(single) for one in images for single in one.single_clicks),
        )

    @cached_property
    def groups(self) -> tuple[TokenGroup, ...]:
        """Instances of equal token count, so that no token is ever padded.

        Without any instance one empty group, so that a step without instances still reaches every parameter.
        """
        counts = np.asarray(self.counts, np.int64)
        starts = np.cumsum(counts) - counts
        found = []
        for count in np.unique(counts).tolist() or [2]:
            members = np.flatnonzero(counts == count)
            rows = starts[members][:, None] + np.arange(count)
            on_device = (
                torch.from_numpy(part).to(self.coords.device, non_blocking=True) for part in (members, rows)
            )
            chosen, tokens = on_device
            found.append(
                TokenGroup(chosen, self.coords[tokens], self.labels[tokens], self.image_index[chosen])
            )
        return tuple(found)

    def split(self, size: int) -> list[tuple[list[int], PromptBatch]]:
        """Cut into batches of at most ``size`` instances of equal token count, each with its place in this one."""
        counts = np.asarray(self.counts, np.int64)
        order = np.argsort(counts, kind='stable')
        cuts = [i for i in range(1, len(order)) if counts[order[i]] != counts[order[i - 1]]]
        parts = [
            run[i : i + size].tolist()
            for run in np.split(order, cuts)
            for i in range(0, max(len(run), 1), size)
        ]
        return [(part, self.take(part)) for part in parts]

    def take(self, members: Sequence[int]) -> PromptBatch:
        """Return the batch of some instances (at least none), in the given order."""
        coords, labels = self.coords.split(self.counts), self.labels.split(self.counts)
        return PromptBatch(
            coords=torch.cat([self.coords[:0], *(coords[i] for i in members)]),
            labels=torch.cat([self.labels[:0], *(labels[i] for i in members)]),
            counts=tuple(self.counts[i] for i in members),
            image_index=self.image_index[list(members)],
            num_images=self.num_images,
            single_clicks=tuple(self.single_clicks[i] for i in members),
        )

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
            single_clicks=tuple(
                was and not now_box for was, now_box in zip(self.single_clicks, replace, strict=True)
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
            single_clicks=(False,) * len(self),
        )
