"""Names and settings of ``SamModel`` of transformers 4 and 5."""

from __future__ import annotations

from dataclasses import dataclass

from ultrasam.checkpoints.sources.names import NameTable, Rename, Stack
from ultrasam.checkpoints.sources.segment_anything import DECODER_ATTENTION, LABEL_ROWS, LABEL_TABLE

_HYPER = 'output_hypernetworks_mlps.{i}'

TRANSFORMERS = NameTable(
    name='transformers',
    title='a state dict of SamModel (transformers)',
    rules=(
        Rename('vision_encoder.pos_embed', 'backbone.pos_embed'),
        Rename('vision_encoder.patch_embed.projection.{p}', 'backbone.patch_embed.projection.{p}'),
        Rename('vision_encoder.layers.{i}.layer_norm{n}.{p}', 'backbone.layers.{i}.ln{n}.{p}'),
        Rename('vision_encoder.layers.{i}.attn.rel_pos_{axis}', 'backbone.layers.{i}.attn.rel_pos_{axis}'),
        Rename('vision_encoder.layers.{i}.attn.{part}.{p}', 'backbone.layers.{i}.attn.{part}.{p}'),
        Rename('vision_encoder.layers.{i}.mlp.lin1.{p}', 'backbone.layers.{i}.ffn.layers.0.0.{p}'),
        Rename('vision_encoder.layers.{i}.mlp.lin2.{p}', 'backbone.layers.{i}.ffn.layers.1.{p}'),
        Rename('vision_encoder.neck.conv1.{p}', 'backbone.channel_reduction.0.{p}'),
        Rename('vision_encoder.neck.layer_norm1.{p}', 'backbone.channel_reduction.1.{p}'),
        Rename('vision_encoder.neck.conv2.{p}', 'backbone.channel_reduction.2.{p}'),
        Rename('vision_encoder.neck.layer_norm2.{p}', 'backbone.channel_reduction.3.{p}'),
        Rename('mask_decoder.transformer.layers.{i}.layer_norm{n}.{p}', 'decoder.layers.{i}.norm{n}.{p}'),
        Rename('mask_decoder.transformer.layer_norm_final_attn.{p}', 'decoder.post_norm.{p}'),
        *DECODER_ATTENTION,
        Rename('mask_decoder.upscale_conv1.{p}', 'bbox_head.output_upscaling.0.{p}'),
        Rename('mask_decoder.upscale_layer_norm.{p}', 'bbox_head.output_upscaling.1.{p}'),
        Rename('mask_decoder.upscale_conv2.{p}', 'bbox_head.output_upscaling.3.{p}'),
        Rename(f'mask_decoder.{_HYPER}.proj_in.{{p}}', f'bbox_head.{_HYPER}.layers.0.{{p}}'),
        Rename(f'mask_decoder.{_HYPER}.layers.0.{{p}}', f'bbox_head.{_HYPER}.layers.1.{{p}}'),
        Rename(f'mask_decoder.{_HYPER}.proj_out.{{p}}', f'bbox_head.{_HYPER}.layers.2.{{p}}'),
        Rename('mask_decoder.iou_prediction_head.proj_in.{p}', 'bbox_head.iou_prediction_head.layers.0.{p}'),
        Rename('mask_decoder.iou_prediction_head.layers.0.{p}', 'bbox_head.iou_prediction_head.layers.1.{p}'),
        Rename('mask_decoder.iou_prediction_head.proj_out.{p}', 'bbox_head.iou_prediction_head.layers.2.{p}'),
        # one tensor, tied; files of some releases hold one name of the two
        Rename(
            (
                'prompt_encoder.shared_embedding.positional_embedding',
                'shared_image_embedding.positional_embedding',
            ),
            'prompt_encoder.pe_layer.positional_encoding_gaussian_matrix',
        ),
        Rename('prompt_encoder.mask_embed.conv1.{p}', 'prompt_encoder.mask_downscaling.0.{p}'),
        Rename('prompt_encoder.mask_embed.layer_norm1.{p}', 'prompt_encoder.mask_downscaling.1.{p}'),
        Rename('prompt_encoder.mask_embed.conv2.{p}', 'prompt_encoder.mask_downscaling.3.{p}'),
        Rename('prompt_encoder.mask_embed.layer_norm2.{p}', 'prompt_encoder.mask_downscaling.4.{p}'),
        Rename('prompt_encoder.mask_embed.conv3.{p}', 'prompt_encoder.mask_downscaling.6.{p}'),
        Stack(
            (
                'prompt_encoder.no_mask_embed.weight',
                'prompt_encoder.point_embed.0.weight',
                'prompt_encoder.point_embed.1.weight',
                'prompt_encoder.point_embed.2.weight',
                'prompt_encoder.point_embed.3.weight',
                'prompt_encoder.not_a_point_embed.weight',
                'mask_decoder.mask_tokens.weight',
                'mask_decoder.iou_token.weight',
            ),
            LABEL_TABLE,
            LABEL_ROWS,
        ),
    ),
)


@dataclass(frozen=True)
class Setting:
    """A value of ``config.json`` that shapes do not tell.

    Args:
        path: keys from the top, the last one that of the value.
        default: what it is where the file does not say.
        ours: what our model computes with.
        effect: what another value changes; None if it makes another model, which is refused.
    """

    path: tuple[str, ...]
    default: object
    ours: object
    effect: str | None = None


SETTINGS = (
    Setting(('model_type',), 'sam', 'sam'),
    Setting(('vision_config', 'hidden_act'), 'gelu', 'gelu'),
    Setting(('vision_config', 'use_abs_pos'), True, True),
    Setting(('vision_config', 'use_rel_pos'), True, True),
    Setting(('vision_config', 'layer_norm_eps'), 1e-6, 1e-6, 'masks differ in the last digits'),
    Setting(('prompt_encoder_config', 'hidden_act'), 'gelu', 'gelu'),
    Setting(('prompt_encoder_config', 'layer_norm_eps'), 1e-6, 1e-6, 'masks differ in the last digits'),
    Setting(('mask_decoder_config', 'hidden_act'), 'relu', 'relu'),
    Setting(('mask_decoder_config', 'num_attention_heads'), 8, 8),
    Setting(
        ('mask_decoder_config', 'layer_norm_eps'),
        1e-6,
        1e-5,
        'mask logits differ by some 5e-5 of their size',
    ),
)
"""What ``config.json`` must say for our model to compute the same."""
