"""What model a state dict belongs to, read from its names and shapes."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from ultrasam.errors import CheckpointError

NOTE_KEY = 'ultrasam'
"""Where our checkpoints keep, under ``meta``, what names and shapes cannot tell."""

_PATCH = 'backbone.patch_embed.projection.weight'
_POSITIONS = 'backbone.pos_embed'
_REQUIRED = (
    _PATCH,
    _POSITIONS,
    'decoder.post_norm.weight',
    'bbox_head.iou_prediction_head.layers.0.weight',
    'prompt_encoder.label_encoder.label_embedding.weight',
)


@dataclass(frozen=True)
class ModelDescription:
    """The architecture behind a state dict of a promptable UltraSam model.

    Args:
        arch: architecture dict of the image encoder.
        img_size: side of the padded input in pixels.
        patch_size: side of a patch in pixels.
        window_size: side of an attention window in tokens.
        refines: whether it takes mask prompts, and so refines its masks.
        mlp_skip: ``'doubled'`` or ``'single'``; names and shapes do not tell it, a note in the file does, and
            without one it is doubled, as in the published checkpoint.
        point_refinement: prompt of the refining pass for one click.
        box_mask: what stands in for the mask prompt of a box.
        note: what the file says about itself.
    """

    arch: dict[str, Any]
    img_size: int
    patch_size: int
    window_size: int
    refines: bool
    mlp_skip: str
    point_refinement: str
    box_mask: str
    note: dict[str, Any]

    def model_config(self) -> dict[str, Any]:
        """Config of the detector for inference, to be built with mmdet's ``MODELS``."""
        return dict(
            type='UltraSam',
            num_refinements=int(self.refines),
            point_refinement=self.point_refinement,
            data_preprocessor=dict(
                type='DetDataPreprocessor',
                mean=[123.675, 116.28, 103.53],
                std=[58.395, 57.12, 57.375],
                bgr_to_rgb=True,
                pad_size_divisor=self.img_size,
            ),
            backbone=dict(
                type='SamImageEncoder',
                arch=dict(self.arch),
                img_size=self.img_size,
                patch_size=self.patch_size,
                window_size=self.window_size,
            ),
            prompt_encoder=dict(
                type='SamPromptEncoder',
                img_size=self.img_size,
                patch_size=self.patch_size,
                box_mask=self.box_mask,
            ),
            decoder=dict(type='SamTwoWayTransformer', mlp_skip=self.mlp_skip),
            bbox_head=dict(type='SamMaskHead'),
        )


def describe(
    state_dict: Mapping[str, Tensor], meta: Mapping[str, Any] | None, source: str
) -> ModelDescription:
    """Read the architecture from names and shapes.

    Args:
        state_dict: under UltraSam's names.
        meta: the ``meta`` entry of the checkpoint, if it has one.
        source: where the weights came from, for messages.

    Raises:
        CheckpointError: it is no promptable UltraSam model; the message says what it looks like.
    """
    missing = [name for name in _REQUIRED if name not in state_dict]
    if missing:
        raise CheckpointError(
            f'{source}: no UltraSam model ({_guess(state_dict)}); it lacks {", ".join(missing)}'
        )
    width, _, patch_size, _ = state_dict[_PATCH].shape
    map_size = state_dict[_POSITIONS].shape[1]
    tables = _relative_tables(state_dict)
    if not tables:
        raise CheckpointError(
            f'{source}: an image encoder without relative positions: not a model of this package'
        )
    spans = {layer: (rows + 1) // 2 for layer, (rows, _) in tables.items()}
    windows = sorted({span for span in spans.values() if span != map_size})
    note = dict((meta or {}).get(NOTE_KEY) or {})
    return ModelDescription(
        arch=dict(
            embed_dims=width,
            num_layers=len(tables),
            num_heads=width // next(iter(tables.values()))[1],
            feedforward_channels=state_dict['backbone.layers.0.ffn.layers.0.0.weight'].shape[0],
            global_attn_indexes=tuple(layer for layer, span in sorted(spans.items()) if span == map_size),
        ),
        img_size=map_size * patch_size,
        patch_size=patch_size,
        window_size=windows[0] if windows else 14,
        refines=any(name.startswith('prompt_encoder.mask_downscaling.') for name in state_dict),
        mlp_skip=note.get('mlp_skip', 'doubled'),
        point_refinement=note.get('point_refinement', 'predicted_box'),
        box_mask=note.get('box_mask', 'none'),
        note=note,
    )


def _relative_tables(state_dict: Mapping[str, Tensor]) -> dict[int, tuple[int, int]]:
    """Rows and width of the relative position table of each layer."""
    tables = {}
    for name, tensor in state_dict.items():
        match = re.fullmatch(r'backbone\.layers\.(\d+)\.attn\.rel_pos_h', name)
        if match:
            tables[int(match[1])] = (tensor.shape[0], tensor.shape[1])
    return tables


def _guess(state_dict: Mapping[str, Tensor]) -> str:
    """What a foreign state dict looks like, in words."""
    looks = (
        ('image_encoder.', 'it looks like segment-anything or MedSAM: convert it first'),
        ('vision_encoder.', 'it looks like SamModel of transformers: convert it first'),
        ('backbone.module.', 'it looks like adapters alone, without the encoder that they adapt'),
        ('head.fc.', 'it looks like an image classifier'),
        ('panoptic_head.', 'it looks like Mask2Former'),
        ('backbone.', 'an encoder without the decoder of UltraSam'),
    )
    for prefix, words in looks:
        if any(name.startswith(prefix) for name in state_dict):
            return words
    return f'{len(state_dict)} tensors, the first of them {", ".join(list(state_dict)[:3])}'
