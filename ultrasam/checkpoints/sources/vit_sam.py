"""Names of the image encoder ``ViTSAM`` of mmpretrain, alone or under ``backbone.``."""

from __future__ import annotations

from ultrasam.checkpoints.sources.names import NameTable, Rename

_NAMES = (
    'pos_embed',
    'patch_embed.projection.{p}',
    'layers.{i}.ln{n}.{p}',
    'layers.{i}.attn.rel_pos_{axis}',
    'layers.{i}.attn.{part}.{p}',
    'layers.{i}.ffn.layers.0.0.{p}',
    'layers.{i}.ffn.layers.1.{p}',
    'channel_reduction.{n}.{p}',
)

VIT_SAM = NameTable(
    name='vit-sam',
    title='an image encoder ViTSAM (mmpretrain)',
    rules=tuple(Rename(name, f'backbone.{name}') for name in _NAMES),
    prefixes=('backbone.',),
)
