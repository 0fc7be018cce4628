"""ONNX files of the model: what goes in, what comes out, and how they are written."""

from __future__ import annotations

import contextlib
import inspect
import json
import math
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.onnx.errors import OnnxExporterError

from ultrasam.errors import CheckpointError, ConfigError
from ultrasam.export.onnx_modules import (
    CroppingDecoder,
    PixelEncoder,
    PlainEncoder,
    PromptDecoder,
)
from ultrasam.export.record import passes, preprocessing
from ultrasam.export.source import ExportSource
from ultrasam.optional import optional_module

DEFAULT_OPSET = 17
OPSETS = range(14, 21)
"""From the first with an attention that torch can write, to the last of its tracing exporter."""

DECODER_INPUTS = (
    'image_embeddings',
    'point_coords',
    'point_labels',
    'mask_input',
    'has_mask_input',
    'orig_im_size',
)
DECODER_OUTPUTS = ('masks', 'iou_predictions', 'low_res_masks')
CROPPING_OUTPUTS = ('xtl', 'ytl', 'xbr', 'ybr', 'masks', 'low_res_masks')
ENCODER_INPUT, ENCODER_OUTPUT = 'input_image', 'image_embeddings'

# one file of protobuf holds less than this
_LARGEST_FILE = 2**31
# smaller ones save nothing
_LEAST_TO_HALVE = 1024
_POINTS = {'point_coords': {1: 'num_points'}, 'point_labels': {1: 'num_points'}}


@dataclass(frozen=True)
class Graph:
    """One ONNX file to be.

    Args:
        module: what it computes.
        example: inputs to trace it with.
        inputs: their names.
        outputs: names of the outputs.
        dynamic: names of the axes whose sizes may change, by input or output and axis.
        meaning: what it does, in words.
    """

    module: nn.Module
    example: tuple[Tensor, ...]
    inputs: Sequence[str]
    outputs: Sequence[str]
    dynamic: Mapping[str, Mapping[int, str]]
    meaning: str


def pixel_encoder(source: ExportSource) -> Graph:
    """The encoder that takes plain pixels, of any size up to that of the network."""
    side = source.card.img_size
    return Graph(
        module=PixelEncoder(source.model, source.preprocessing),
        example=(torch.zeros(side * 3 // 4, side, 3),),
        inputs=[ENCODER_INPUT],
        outputs=[ENCODER_OUTPUT],
        dynamic={ENCODER_INPUT: {0: 'image_height', 1: 'image_width'}},
        meaning=f'float32, H x W x 3, RGB, 0 to 255, longer side resized to {side}; normalises and pads inside',
    )


def plain_encoder(source: ExportSource) -> Graph:
    """The encoder that takes an input normalised and padded outside."""
    side = source.card.img_size
    return Graph(
        module=PlainEncoder(source.model),
        example=(torch.zeros(1, 3, side, side),),
        inputs=[ENCODER_INPUT],
        outputs=[ENCODER_OUTPUT],
        dynamic={},
        meaning=f'float32, 1 x 3 x {side} x {side}, RGB, normalised and padded as "preprocessing" says',
    )


def decoder(source: ExportSource, *, single_mask: bool, drop_padding_beside_box: bool = False) -> Graph:
    """The decoder with the six inputs and three outputs of segment-anything's."""
    choice = (
        'one mask: the best by predicted IoU of tokens 1 to 3 for up to two prompt tokens (padding and box corners '
        'count), token 0 for more'
        if single_mask
        else 'four masks: token 0, the single mask, then the three candidates, tokens 1 to 3'
    )
    dropped = '; padding beside a box is left out' if drop_padding_beside_box else ''
    return Graph(
        module=PromptDecoder(
            source.model, single_mask=single_mask, drop_padding_beside_box=drop_padding_beside_box
        ),
        example=_decoder_example(source),
        inputs=DECODER_INPUTS,
        outputs=DECODER_OUTPUTS,
        dynamic={**_POINTS, 'masks': {2: 'height', 3: 'width'}},
        meaning=f'{choice}; mask logits, above 0 is inside{dropped}',
    )


def cropping_decoder(source: ExportSource) -> Graph:
    """The decoder that gives one mask cut to its box, and the box."""
    return Graph(
        module=CroppingDecoder(source.model, drop_padding_beside_box=True),
        example=_decoder_example(source),
        inputs=DECODER_INPUTS,
        outputs=CROPPING_OUTPUTS,
        dynamic={**_POINTS, 'masks': {2: 'height', 3: 'width'}},
        meaning='one mask, chosen as segment-anything does, cut to its bounding box; xtl ytl xbr ybr are its first '
        'and last column and row, inclusive; padding beside a box is left out',
    )


def _decoder_example(source: ExportSource) -> tuple[Tensor, ...]:
    """Inputs of a decoder, of three tokens; only their number can change, and the size of the image."""
    encoder, side = source.model.prompt_encoder, source.card.img_size
    return (
        torch.zeros(1, source.model.image_encoder.out_channels, encoder.map_size, encoder.map_size),
        torch.tensor([[[0.2, 0.3], [0.6, 0.7], [0.4, 0.5]]]) * side,
        torch.tensor([[2.0, 3.0, 1.0]]),
        torch.zeros(1, 1, encoder.mask_prompt_size, encoder.mask_prompt_size),
        torch.tensor([0.0]),
        torch.tensor([side * 1.5, side * 2.25]),
    )


def write_graph(graph: Graph, path: Path, source: ExportSource, *, opset: int) -> dict[str, Any]:
    """Trace a graph and write it, with where it came from in its metadata.

    Args:
        graph: what to write.
        path: the file to write.
        source: the checkpoint behind it.
        opset: version of the operators.

    Returns:
        The interface: inputs and outputs with their shapes, and the meaning.

    Raises:
        CheckpointError: the model does not fit one file.
        ConfigError: the package onnx is missing, or this torch cannot write the opset.
    """
    onnx = optional_module('onnx', need='this export', extra='export')
    size = sum(tensor.numel() * tensor.element_size() for tensor in graph.module.state_dict().values())
    if size >= _LARGEST_FILE:
        raise CheckpointError(
            f'{source.path}: its weights, {size / 1e9:.1f} GB, do not fit one ONNX file (2 GB): use another format'
        )
    with torch.no_grad(), _quiet_trace(), _told_which_opset(opset):
        torch.onnx.export(
            graph.module.eval(),
            graph.example,
            str(path),
            input_names=list(graph.inputs),
            output_names=list(graph.outputs),
            dynamic_axes={name: dict(axes) for name, axes in graph.dynamic.items()},
            opset_version=opset,
            **_tracing(),
        )
    model = onnx.load(str(path))
    _halve_storage(model)
    onnx.helper.set_model_props(model, _properties(source, graph))
    onnx.checker.check_model(model)
    onnx.save(model, str(path))
    return {
        'inputs': {value.name: _shape(value) for value in model.graph.input},
        'outputs': {value.name: _shape(value) for value in model.graph.output},
        'meaning': graph.meaning,
    }


def _halve_storage(model: Any) -> None:
    """Store the float32 weights that float16 holds exactly as such, with a cast that onnxruntime runs on loading."""
    onnx = optional_module('onnx', need='this export', extra='export')
    casts = []
    for weight in model.graph.initializer:
        if weight.data_type != onnx.TensorProto.FLOAT or math.prod(weight.dims) < _LEAST_TO_HALVE:
            continue
        name, values = weight.name, onnx.numpy_helper.to_array(weight)
        half = values.astype(np.float16)
        if np.array_equal(half.astype(np.float32), values):
            weight.CopyFrom(onnx.numpy_helper.from_array(half, f'{name}.half'))
            casts.append(onnx.helper.make_node('Cast', [f'{name}.half'], [name], to=onnx.TensorProto.FLOAT))
    nodes = [*casts, *model.graph.node]
    del model.graph.node[:]
    model.graph.node.extend(nodes)


def check_opset(opset: int) -> None:
    """See that an opset can be written.

    Raises:
        ConfigError: it cannot.
    """
    if opset not in OPSETS:
        raise ConfigError(f'opset {opset}: use one of {OPSETS[0]} to {OPSETS[-1]}')


@contextlib.contextmanager
def _told_which_opset(opset: int) -> Iterator[None]:
    """Where an opset is written that not every torch can write.

    Raises:
        ConfigError: this one cannot.
    """
    try:
        yield
    except (ValueError, OnnxExporterError) as error:
        if opset == DEFAULT_OPSET:
            raise
        raise ConfigError(
            f'opset {opset}: torch {torch.__version__} cannot write it '
            f'({(str(error).splitlines() or [type(error).__name__])[0]}): use {DEFAULT_OPSET}, or a later torch'
        ) from error


def _tracing() -> dict[str, Any]:
    """The exporter that traces: the other one, of torch 2.5 and later, fixes sizes that must stay free."""
    return {'dynamo': False} if 'dynamo' in inspect.signature(torch.onnx.export).parameters else {}


@contextlib.contextmanager
def _quiet_trace() -> Iterator[None]:
    """Without the warnings of tracing: sizes that they call constant are, but for those that tests vary."""
    with warnings.catch_warnings():
        warnings.filterwarnings('ignore', module=r'ultrasam\.')
        warnings.filterwarnings('ignore', module=r'torch\.(onnx|jit)')
        yield


def _properties(source: ExportSource, graph: Graph) -> dict[str, str]:
    note = source.card.note()
    return {
        'meaning': graph.meaning,
        'passes': passes(source),
        'preprocessing': json.dumps(preprocessing(source)),
        'licence': str(note.get('licence', 'not stated in the source')),
        'source_file': source.path.name,
        'source_sha256': source.sha256,
        'note': json.dumps(note, default=str),
        'predictor': json.dumps(_predictor_facts(source)),
    }


def _predictor_facts(source: ExportSource) -> dict[str, Any]:
    """Return what our own predictor must know; see :class:`ultrasam.predict.engines.base.ModelInfo`."""
    model = source.model
    return {
        'input_size': model.prompt_encoder.img_size,
        'mask_size': model.prompt_encoder.mask_prompt_size,
        'refinements': model.refinements,
        'point_refinement': model.point_refinement,
    }


def _shape(value: Any) -> list[int | str]:
    return [dim.dim_param or dim.dim_value for dim in value.type.tensor_type.shape.dim]
