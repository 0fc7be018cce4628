"""Running an export, and what the model itself answers to the same prompts."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch

from ultrasam.export.onnx_files import decoder, write_graph
from ultrasam.export.source import open_source
from ultrasam.structures import Prompt, PromptBatch

INPUTS = ('image_embeddings', 'point_coords', 'point_labels', 'mask_input', 'has_mask_input', 'orig_im_size')


@cache
def session(path: Path):
    """An ONNX file in onnxruntime, on one thread."""
    onnxruntime = pytest.importorskip('onnxruntime')
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 4
    options.enable_cpu_mem_arena = False  # what a call took is given back
    return onnxruntime.InferenceSession(str(path), options, providers=['CPUExecutionProvider'])


def run(path: Path, **inputs: np.ndarray) -> dict[str, np.ndarray]:
    """Outputs of an ONNX file, by name."""
    graph = session(path)
    values = graph.run(None, {name: np.asarray(value, np.float32) for name, value in inputs.items()})
    return dict(zip([output.name for output in graph.get_outputs()], values, strict=True))


def decoder_inputs(
    embedding: np.ndarray,
    *,
    points=(),
    labels=(),
    box=None,
    pad: bool | None = None,
    mask: np.ndarray | None = None,
    size_hw=(96, 128),
) -> dict[str, np.ndarray]:
    """Inputs of a decoder as segment-anything's own example prepares them: padding without box, none with one."""
    points = np.asarray(points, np.float32).reshape(-1, 2)
    labels = np.asarray(labels, np.float32)
    if box is not None:
        points = np.concatenate([points, np.reshape(box, (2, 2))])
        labels = np.append(labels, [2, 3])
    if pad if pad is not None else box is None:
        points, labels = np.concatenate([points, np.zeros((1, 2))]), np.append(labels, -1)
    side = 4 * embedding.shape[-1]
    values = (
        embedding,
        points[None],
        labels[None],
        np.zeros((1, 1, side, side)) if mask is None else mask.reshape(1, 1, side, side),
        [0.0 if mask is None else 1.0],
        size_hw,
    )
    return {name: np.asarray(value, np.float32) for name, value in zip(INPUTS, values, strict=True)}


def write_decoder(checkpoint: Path, path: Path, *, opset: int = 17) -> Path:
    """The decoder of all four masks alone, which is quicker than a whole export."""
    source = open_source(checkpoint)
    write_graph(decoder(source, single_mask=False), path, source, opset=opset)
    return path


@torch.no_grad()
def model_answer(model, embedding, *, points=(), labels=(), box=None, mask=None):
    """All four masks (4, h, h) of one pass of the model, and their IoU (4,), for prompts as tools give them."""
    prompt = Prompt(
        points=np.asarray(points, np.float32).reshape(-1, 2) + 0.5,
        point_labels=np.asarray(labels, int),
        box=None if box is None else np.asarray(box, np.float32) + 0.5,
    )
    logits, iou, _ = model.decode(
        torch.as_tensor(embedding),
        PromptBatch.from_prompts([[prompt]]),
        None if mask is None else torch.as_tensor(mask, dtype=torch.float32)[None],
    )
    return logits[0].numpy(), iou[0].numpy()


def some_points(count: int, size_hw=(96, 128), seed: int = 0) -> dict[str, np.ndarray]:
    """Clicks on and off the object, the first on it."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 2, count)
    labels[:1] = 1
    return dict(points=rng.uniform(0, np.array(size_hw[::-1]) - 1, (count, 2)), labels=labels)


def difference(a: np.ndarray, b: np.ndarray) -> float:
    """Largest absolute difference; the shapes must be equal and the values not all alike."""
    assert a.shape == b.shape
    assert a.size == 1 or np.std(a) > 1e-4
    return float(np.abs(np.asarray(a, np.float64) - b).max())
