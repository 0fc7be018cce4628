"""One pass of the decoder over rows of instances, plainly or through ``torch.compile``."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

Rows = tuple[Tensor, Tensor]
_LARGEST_POWER = 16


def run_pass(
    detector: Any,
    cells: Tensor,
    index: Tensor,
    coords: Tensor,
    labels: Tensor,
    masks: Tensor | None,
    candidates: slice,
    best_only: bool,
) -> Rows:
    """Decode instances of equally many tokens.

    Args:
        detector: whose prompt encoder, decoder and head run.
        cells: (B, K, C), float, image embeddings.
        index: (G,), int64, the image of each instance.
        coords: (G, T, 2), float, xy pixels of the padded input.
        labels: (G, T), int64, rows of the label table.
        masks: (G, 1, 4h, 4w), float, mask prompts, or None.
        candidates: which of the four masks of an instance are wanted, K of them.
        best_only: the one of them with the highest predicted IoU alone: K is 1.

    Returns:
        Mask logits (G, K, 4h, 4w) and predicted IoU (G, K).
    """
    prompt_encoder = detector.prompt_encoder
    tokens = prompt_encoder.tokens(coords, labels)
    size = prompt_encoder.map_size
    # channels stay last in memory, as the decoder and the head work cell by cell
    image = cells[index].transpose(1, 2).unflatten(2, (size, size))
    image = image + prompt_encoder.dense(masks, coords, labels)
    tokens, image = detector.decoder(tokens, image, prompt_encoder.dense_positions())
    found: Rows = detector.bbox_head(tokens, image, candidates=candidates, best_only=best_only)
    return found


class CompiledPass:
    """:func:`run_pass` through ``torch.compile``, in few shapes.

    Each number of rows is a program of its own, which takes a minute to compile: rows are filled up to the next of
    :func:`bucket`, and what the filling gives is dropped, with its gradient.

    Args:
        options: of ``torch.compile``; ``dict(mode='reduce-overhead')`` replays CUDA graphs on a GPU, for latency.
    """

    def __init__(self, options: Mapping[str, Any]) -> None:
        self._compiled: Callable[..., Rows] = torch.compile(run_pass, dynamic=False, **options)

    def __call__(
        self,
        detector: Any,
        cells: Tensor,
        index: Tensor,
        coords: Tensor,
        labels: Tensor,
        masks: Tensor | None,
        candidates: slice,
        best_only: bool,
    ) -> Rows:
        """As :func:`run_pass`."""
        rows = len(index)
        if not rows:
            return run_pass(detector, cells, index, coords, labels, masks, candidates, best_only)
        filled = [
            part if part is None else _filled(part, bucket(rows)) for part in (index, coords, labels, masks)
        ]
        logits, iou = self._compiled(detector, cells, *filled, candidates, best_only)
        # the memory of a CUDA graph is written again by its next replay
        return logits[:rows].clone(), iou[:rows].clone()


def bucket(rows: int) -> int:
    """The number of rows that is computed for so many: a power of two up to 16, a multiple of 16 beyond.

    Example:
        >>> [bucket(rows) for rows in (1, 3, 9, 17)]
        [1, 4, 16, 32]
    """
    if rows <= _LARGEST_POWER:
        return 1 << (rows - 1).bit_length()
    return -(-rows // _LARGEST_POWER) * _LARGEST_POWER


def _filled(rows: Tensor, size: int) -> Tensor:
    """Rows (N, ...) and the first of them again up to ``size``: (size, ...)."""
    return torch.cat([rows, rows[:1].expand(size - len(rows), *rows.shape[1:])])
