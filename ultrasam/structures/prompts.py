"""Prompts of one instance, and their tokens."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np

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
