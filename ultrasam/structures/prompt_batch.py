"""The prompts of a batch as one flat, ragged set of tokens."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from ultrasam.structures.prompts import (
    BOX_BOTTOM_RIGHT,
    BOX_TOP_LEFT,
    NEGATIVE_POINT,
    POSITIVE_POINT,
    Prompt,
    TokenisedPrompts,
)

# prompts that come without an image are not compared with one
_ANY_SIZE = (2**31, 2**31)


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
