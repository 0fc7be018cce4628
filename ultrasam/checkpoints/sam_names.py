"""Weights of Segment Anything under UltraSam's names.

Source of the names: segment-anything 1.0.  The mapping is one to one: every
tensor is kept as it is, but for the biases of an attention, which are packed,
and for the learned vectors of the prompt encoder and the output tokens, which
become rows of one table.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

import torch
from torch import Tensor

from ultrasam.errors import CheckpointError

# pattern of a segment-anything name -> our name; the first that matches decides
RENAMES: tuple[tuple[str, str], ...] = (
    (r'image_encoder\.pos_embed', r'backbone.pos_embed'),
    (r'image_encoder\.patch_embed\.proj\.(\w+)', r'backbone.patch_embed.projection.\1'),
    (r'image_encoder\.blocks\.(\d+)\.norm([12])\.(\w+)', r'backbone.layers.\1.ln\2.\3'),
    (r'image_encoder\.blocks\.(\d+)\.attn\.(.+)', r'backbone.layers.\1.attn.\2'),
    (r'image_encoder\.blocks\.(\d+)\.mlp\.lin1\.(\w+)', r'backbone.layers.\1.ffn.layers.0.0.\2'),
    (r'image_encoder\.blocks\.(\d+)\.mlp\.lin2\.(\w+)', r'backbone.layers.\1.ffn.layers.1.\2'),
    (r'image_encoder\.neck\.(.+)', r'backbone.channel_reduction.\1'),
    (r'mask_decoder\.transformer\.layers\.(\d+)\.mlp\.lin1\.(\w+)', r'decoder.layers.\1.mlp.layers.0.0.\2'),
    (r'mask_decoder\.transformer\.layers\.(\d+)\.mlp\.lin2\.(\w+)', r'decoder.layers.\1.mlp.layers.1.\2'),
    (r'mask_decoder\.transformer\.layers\.(\d+)\.norm(\d)\.(\w+)', r'decoder.layers.\1.norm\2.\3'),
    (r'mask_decoder\.transformer\.norm_final_attn\.(\w+)', r'decoder.post_norm.\1'),
    (
        r'mask_decoder\.transformer\.((?:layers\.\d+\.)?\w*attn\w*)\.([qkv])_proj\.weight',
        r'decoder.\1.attn.\2_proj_weight',
    ),
    (
        r'mask_decoder\.transformer\.((?:layers\.\d+\.)?\w*attn\w*)\.out_proj\.(\w+)',
        r'decoder.\1.attn.out_proj.\2',
    ),
    (
        r'mask_decoder\.(output_upscaling|output_hypernetworks_mlps|iou_prediction_head)\.(.+)',
        r'bbox_head.\1.\2',
    ),
    (r'prompt_encoder\.(pe_layer|mask_downscaling)\.(.+)', r'prompt_encoder.\1.\2'),
)

# q, k and v biases of an attention are packed, in this order, under one name
PACKED_BIAS = (
    r'mask_decoder\.transformer\.((?:layers\.\d+\.)?\w*attn\w*)\.([qkv])_proj\.bias',
    r'decoder.\1.attn.in_proj_bias',
)

# rows of the label table, in order
LABEL_ROWS: tuple[str, ...] = (
    'prompt_encoder.no_mask_embed.weight',
    'prompt_encoder.point_embeddings.0.weight',
    'prompt_encoder.point_embeddings.1.weight',
    'prompt_encoder.point_embeddings.2.weight',
    'prompt_encoder.point_embeddings.3.weight',
    'prompt_encoder.not_a_point_embed.weight',
    'mask_decoder.mask_tokens.weight',
    'mask_decoder.iou_token.weight',
)
LABEL_TABLE = 'prompt_encoder.label_encoder.label_embedding.weight'


def from_segment_anything(state_dict: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Rename a segment-anything state dict.

    The result is for a decoder with ``mlp_skip='single'``.

    Args:
        state_dict: flat, as ``sam_model_registry`` models save it.

    Returns:
        The same numbers under UltraSam's names.

    Raises:
        CheckpointError: a name that segment-anything does not have, or one of
            the vectors of the label table or of the packed biases missing.
    """
    renamed: dict[str, Tensor] = {}
    biases: dict[str, dict[str, Tensor]] = {}
    unknown = []
    for name, tensor in state_dict.items():
        if name in LABEL_ROWS:
            continue
        packed = re.fullmatch(PACKED_BIAS[0], name)
        if packed:
            biases.setdefault(packed.expand(PACKED_BIAS[1]), {})[packed[2]] = tensor
            continue
        target = _renamed(name)
        if target is None:
            unknown.append(name)
        else:
            renamed[target] = tensor
    missing = [name for name in LABEL_ROWS if name not in state_dict]
    missing += [f'{name} ({part})' for name, parts in biases.items() for part in 'qkv' if part not in parts]
    if unknown or missing:
        raise CheckpointError(
            f'not a segment-anything state dict: {len(unknown)} unknown names (first {unknown[:3]}), '
            f'{len(missing)} missing (first {missing[:3]})'
        )
    renamed |= {name: torch.cat([parts[part] for part in 'qkv']) for name, parts in biases.items()}
    renamed[LABEL_TABLE] = torch.cat([state_dict[name] for name in LABEL_ROWS])
    return renamed


def _renamed(name: str) -> str | None:
    for pattern, replacement in RENAMES:
        match = re.fullmatch(pattern, name)
        if match:
            return match.expand(replacement)
    return None
