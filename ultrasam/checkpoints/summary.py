"""What a file of weights is, in a few lines, and what to do with it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ultrasam.checkpoints.model_card import EncoderCard, ModelCard, read_card, read_encoder_card
from ultrasam.checkpoints.sources import Kind, kind_of
from ultrasam.checkpoints.sources.names import size_of, some
from ultrasam.checkpoints.weight_files import WeightFile, read_weights
from ultrasam.errors import CheckpointError
from ultrasam.hashing import file_sha256

_TRAINING_STATE = ('optimizer', 'param_schedulers', 'message_hub', 'ema_state_dict')
_SAID_ELSEWHERE = ('mlp_skip', 'licence', 'lora')


@dataclass(frozen=True, kw_only=True)
class FileSummary:
    """What a file is.

    Args:
        lines: label -> words, in the order to show them.
        weights: the tensors in it; none for an ONNX graph.
    """

    lines: dict[str, str]
    weights: Mapping[str, Tensor]


def summarise(path: Path) -> FileSummary:
    """Say what a file of weights, or a folder of transformers, is.

    Raises:
        CheckpointError: it is missing, unsafe or damaged.
    """
    if path.suffix.lower() == '.onnx' and path.is_file():
        return FileSummary(lines=_onnx_lines(path), weights={})
    file = read_weights(path)
    kind = kind_of(file.weights)
    count, values = size_of(file.weights)
    lines = {
        'file': str(path),
        'what it is': f'unknown weights ({some(file.weights)})' if kind is None else kind.title,
        'sha256': file.sha256,
        'tensors': f'{count}, {values:,} values',
        'types': ', '.join(sorted({_dtype_name(t.dtype) for t in file.weights.values()})),
        **_architecture_lines(file, kind),
        **_head_lines(file.weights),
        **_training_lines(file),
        **{key: str(value) for key, value in file.note.items() if key not in _SAID_ELSEWHERE},
        'licence': str(file.note.get('licence', 'not stated in the file')),
    }
    if kind is not None:
        lines['what to do'] = kind.advice.format(file=path)
    return FileSummary(lines=lines, weights=file.weights)


def _dtype_name(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix('torch.')


def _architecture_lines(file: WeightFile, kind: Kind | None) -> dict[str, str]:
    """The architecture, as far as names and shapes tell it."""
    source, weights = str(file.path), file.weights
    try:
        if kind is not None and kind.names is not None:
            weights, _ = kind.names.to_ours(weights, source)
        meta = {
            **(file.content.get('meta') or {}),
            'ultrasam': {
                **({} if kind is None or kind.mlp_skip is None else {'mlp_skip': kind.mlp_skip}),
                **file.note,
            },
        }
        if kind is not None and kind.mlp_skip is not None:
            model = read_card(weights, meta, source)
            return {
                **_encoder_lines(model),
                **({'class names': ', '.join(model.class_names)} if model.class_names else {}),
                **_model_lines(model, stated='mlp_skip' in file.note or kind.names is not None),
            }
        if any(name.endswith('.attn.rel_pos_h') for name in weights):
            return _encoder_lines(read_encoder_card(weights, source))
    except CheckpointError as error:
        return {'architecture': f'not told: {error}'}
    return {}


def _encoder_lines(encoder: EncoderCard) -> dict[str, str]:
    return {
        'encoder': ', '.join(f'{key} {value}' for key, value in encoder.arch.items()),
        'input': f'{encoder.img_size} px, patches of {encoder.patch_size} px, windows of {encoder.window_size} tokens',
    }


def _model_lines(model: ModelCard, *, stated: bool) -> dict[str, str]:
    return {
        'refines': 'yes, takes mask prompts' if model.refines else 'no',
        'mlp skip': model.mlp_skip + ('' if stated else ' (taken for granted: the file does not say)'),
    }


def _head_lines(weights: Mapping[str, Tensor]) -> dict[str, str]:
    """Classes and adapters, where there are some."""
    lines = {}
    for name in ('head.fc.weight', 'bbox_head.cls_prediction_head.layers.1.weight'):
        if name in weights:
            lines['classes'] = str(weights[name].shape[0])
    down = [tensor for name, tensor in weights.items() if name.endswith('.lora_down.weight')]
    if down:
        ranks = ', '.join(sorted({str(tensor.shape[0]) for tensor in down}))
        lines['adapters'] = f'{len(down)} of rank {ranks}'
    return lines


def _training_lines(file: WeightFile) -> dict[str, str]:
    """How far a training run was, if this is a checkpoint of one."""
    meta = file.content.get('meta')
    meta = meta if isinstance(meta, Mapping) else {}
    found: dict[str, Any] = {
        'iteration': meta.get('iter'),
        'epoch': meta.get('epoch'),
        'experiment': meta.get('experiment_name'),
        'saved': meta.get('time'),
    }
    lines = {label: str(value) for label, value in found.items() if value is not None}
    state = [name for name in _TRAINING_STATE if name in file.content]
    if state:
        lines['training state'] = f'{", ".join(state)} (training can be resumed from it)'
    return lines


def _onnx_lines(path: Path) -> dict[str, str]:
    lines = {
        'file': str(path),
        'what it is': 'an ONNX graph',
        'sha256': file_sha256(path),
        'size': f'{path.stat().st_size / 1e6:.1f} MB',
    }
    try:
        onnx = import_module('onnx')
    except ImportError:
        return {**lines, 'inside': "not read: pip install 'ultrasam[export]'"}
    try:
        model = onnx.load(str(path), load_external_data=False)
    # the parser of protobuf has an error class of its own, which moves between releases
    except Exception as error:
        raise CheckpointError(
            f'{path}: no ONNX graph, or damaged ({type(error).__name__}: {error})'
        ) from error
    opsets = [f'{entry.domain or "ai.onnx"} {entry.version}' for entry in model.opset_import]
    return {
        **lines,
        'written by': f'{model.producer_name} {model.producer_version}'.strip() or 'not stated',
        'opset': ', '.join(opsets),
        'inputs': '; '.join(_onnx_value(value) for value in model.graph.input),
        'outputs': '; '.join(_onnx_value(value) for value in model.graph.output),
        **{entry.key: entry.value for entry in model.metadata_props},
    }


def _onnx_value(value: Any) -> str:
    shape = [dim.dim_param or str(dim.dim_value) for dim in value.type.tensor_type.shape.dim]
    return f'{value.name} ({", ".join(shape)})'
