"""The weights under other names: for segment-anything, for transformers, and as safetensors of our own."""

from __future__ import annotations

import json
from collections import OrderedDict
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ultrasam.checkpoints.folding import fold_doubled_skip
from ultrasam.checkpoints.model_card import IMAGENET_MEAN, IMAGENET_STD, NOTE_KEY
from ultrasam.checkpoints.sources.names import NameTable
from ultrasam.checkpoints.sources.segment_anything import LABEL_TABLE, SEGMENT_ANYTHING
from ultrasam.checkpoints.sources.transformers import TRANSFORMERS
from ultrasam.checkpoints.weight_files import save_safetensors
from ultrasam.errors import CheckpointError
from ultrasam.export.record import Written
from ultrasam.export.source import ExportSource, largest_difference, single_skip_model
from ultrasam.models.image_encoder import ARCHITECTURES
from ultrasam.models.prompt_encoder import SamPromptEncoder
from ultrasam.structures.prompts import NO_MASK

REGISTRY_NAMES = {'base': 'vit_b', 'large': 'vit_l', 'huge': 'vit_h'}
"""Our architectures and what segment-anything calls them."""


def write_segment_anything(source: ExportSource, path: Path) -> Written:
    """Write a flat state dict for ``sam_model_registry``, tensors only.

    Args:
        source: the model; any size, but segment-anything's registry builds B, L and H at 1024 px alone.
        path: the file to write.

    Raises:
        CheckpointError: segment-anything's code cannot compute this model.
    """
    known = source.card
    if known.preprocessing == 'imagenet' and (known.pixel_mean, known.pixel_std) != (
        IMAGENET_MEAN,
        IMAGENET_STD,
    ):
        raise CheckpointError(
            f'{source.path}: images are normalised by mean {known.pixel_mean} and deviation {known.pixel_std}, but '
            f'segment-anything always takes those of ImageNet: export to transformers or ONNX instead'
        )
    state, written = sam_weights(source, SEGMENT_ANYTHING)
    # torch takes no name that begins with a dot, as a file in the making has
    with path.open('wb') as file:
        torch.save(dict(state), file)
    if known.preprocessing == 'min_max':
        written.notes.append(
            'Bring each image from 0 to 1 by its own least and greatest value and call image_encoder with it, as '
            'the code of MedSAM does. SamPredictor normalises otherwise, and its masks would be wrong.'
        )
    name = registry_name(source)
    written.settings['registry_name'] = name
    if name is None:
        written.notes.append(
            'No entry of sam_model_registry has this size. Build segment_anything.modeling.Sam from its classes '
            'with the sizes under "model", and load the weights into it.'
        )
    return written


def write_transformers(source: ExportSource, folder: Path) -> Written:
    """Write a folder for ``SamModel.from_pretrained`` and ``SamProcessor.from_pretrained``.

    Args:
        source: the model, of any size.
        folder: the folder to fill.

    Raises:
        CheckpointError: ``SamModel`` cannot compute this model.
        ConfigError: the package safetensors is missing.
    """
    refuse_min_max(source, 'SamProcessor')
    state, written = sam_weights(source, TRANSFORMERS)
    save_safetensors(folder / 'model.safetensors', state, {})
    for name, content in (
        ('config.json', transformers_config(source, state)),
        ('preprocessor_config.json', transformers_processor(source)),
    ):
        (folder / name).write_text(json.dumps(content, indent=2) + '\n', encoding='utf-8')
    return written


def write_safetensors(source: ExportSource, path: Path) -> Written:
    """Write our own names as safetensors, values as stored, the note as JSON in the metadata.

    Raises:
        ConfigError: the package safetensors is missing.
    """
    state = {name: tensor.detach().clone().contiguous() for name, tensor in source.state_dict.items()}
    save_safetensors(path, state, {NOTE_KEY: json.dumps(source.card.note())})
    return Written(decoder_skip={'skip': source.card.mlp_skip, 'folded': False})


def refuse_min_max(source: ExportSource, software: str) -> None:
    """See that software with a fixed normalisation can prepare images for a model.

    Raises:
        CheckpointError: it cannot.
    """
    if source.card.preprocessing == 'min_max':
        raise CheckpointError(
            f'{source.path}: this model takes each image from 0 to 1 by its own range (min_max), which {software} '
            'does not do: export to ONNX, where it is part of the graph'
        )


def registry_name(source: ExportSource) -> str | None:
    """What ``sam_model_registry`` calls a model of this size, or None if it has none."""
    known = source.card
    if (known.img_size, known.patch_size, known.window_size) != (1024, 16, 14):
        return None
    return next((REGISTRY_NAMES[name] for name, arch in ARCHITECTURES.items() if arch == known.arch), None)


def sam_weights(source: ExportSource, table: NameTable) -> tuple[OrderedDict[str, Tensor], Written]:
    """Weights under the names of a table, for code that computes SAM and nothing else.

    Raises:
        CheckpointError: SAM cannot compute this model.
    """
    known = source.card
    if known.box_mask != 'none':
        raise CheckpointError(
            f'{source.path}: this model starts a box from a mask of its {known.box_mask} (box_mask), which code for '
            'SAM does not do, so its masks would be others: export to ONNX, where it is part of the graph'
        )
    ours = OrderedDict((name, tensor.detach().float()) for name, tensor in source.model.state_dict().items())
    written = Written(decoder_skip={'skip': 'single', 'folded': False})
    if known.mlp_skip == 'doubled':
        ours = fold_doubled_skip(ours)
        folded = single_skip_model(source.model, ours)
        written.decoder_skip = {
            'skip': 'single',
            'folded': True,
            'how': 'weight and bias of lin2 of both decoder layers are halved, for LN(2x + MLP(x)) as LN(x + MLP(x)/2)',
            'largest_difference': largest_difference(source.model, folded),
        }
    if not known.refines:
        ours |= ignored_mask_prompts(source.model.prompt_encoder, ours)
        written.notes.append('The model takes no mask prompts: one that is given changes nothing.')
    state, _ = table.from_ours(ours, str(source.path))
    return OrderedDict((name, tensor.clone().contiguous()) for name, tensor in state.items()), written


def ignored_mask_prompts(encoder: SamPromptEncoder, ours: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Weights of the mask prompts for a model without them, such that any mask prompt means no mask."""
    twin = SamPromptEncoder(img_size=encoder.img_size, patch_size=encoder.img_size // encoder.map_size)
    names = [name for name in twin.state_dict() if name.startswith('mask_downscaling.')]
    weights = {f'prompt_encoder.{name}': torch.zeros_like(twin.state_dict()[name]) for name in names}
    last_bias = max(name for name in weights if name.endswith('.bias'))
    weights[last_bias] = ours[LABEL_TABLE][NO_MASK].clone()
    return weights


def transformers_config(source: ExportSource, state: Mapping[str, Tensor]) -> dict[str, Any]:
    """The ``config.json`` of ``SamModel``, with the epsilon of our decoder's norms, which is not its default."""
    known, arch = source.card, source.card.arch
    width = state['prompt_encoder.no_mask_embed.weight'].shape[1]
    map_size = known.img_size // known.patch_size
    layers: Any = source.model.mask_decoder.transformer.layers
    return {
        'architectures': ['SamModel'],
        'model_type': 'sam',
        'torch_dtype': 'float32',
        'initializer_range': 0.02,
        'vision_config': {
            'hidden_size': arch['embed_dims'],
            'num_hidden_layers': arch['num_layers'],
            'num_attention_heads': arch['num_heads'],
            'mlp_dim': arch['feedforward_channels'],
            'mlp_ratio': arch['feedforward_channels'] / arch['embed_dims'],
            'global_attn_indexes': list(arch['global_attn_indexes']),
            'window_size': known.window_size,
            'image_size': known.img_size,
            'patch_size': known.patch_size,
            'output_channels': width,
            'num_pos_feats': width // 2,
            'layer_norm_eps': 1e-6,
        },
        'prompt_encoder_config': {
            'hidden_size': width,
            'image_size': known.img_size,
            'patch_size': known.patch_size,
            'image_embedding_size': map_size,
            'mask_input_channels': state['prompt_encoder.mask_embed.conv2.weight'].shape[0],
            'layer_norm_eps': 1e-6,
        },
        'mask_decoder_config': {
            'hidden_size': width,
            'mlp_dim': state['mask_decoder.transformer.layers.0.mlp.lin1.weight'].shape[0],
            'num_hidden_layers': len(layers),
            'num_attention_heads': layers[0].self_attn.num_heads,
            'iou_head_hidden_dim': state['mask_decoder.iou_prediction_head.proj_in.weight'].shape[0],
            'layer_norm_eps': 1e-5,
        },
    }


def transformers_processor(source: ExportSource) -> dict[str, Any]:
    """The ``preprocessor_config.json`` of ``SamProcessor``."""
    side = source.card.img_size
    mask_side = source.model.prompt_encoder.mask_prompt_size
    return {
        'processor_class': 'SamProcessor',
        'image_processor_type': 'SamImageProcessor',
        'do_convert_rgb': True,
        'do_resize': True,
        'size': {'longest_edge': side},
        'resample': 2,
        'do_rescale': True,
        'rescale_factor': 1 / 255,
        'do_normalize': True,
        'image_mean': [value / 255 for value in source.card.pixel_mean],
        'image_std': [value / 255 for value in source.card.pixel_std],
        'do_pad': True,
        'pad_size': {'height': side, 'width': side},
        'mask_size': {'longest_edge': mask_side},
        'mask_pad_size': {'height': mask_side, 'width': mask_side},
    }
