"""Names of segment-anything 1.0 (ViT-B, L and H), which MedSAM shares."""

from __future__ import annotations

from ultrasam.checkpoints.sources.names import NameTable, Rename, Stack

_LAYER = 'mask_decoder.transformer.layers.{i}'
_FINAL = 'mask_decoder.transformer.final_attn_token_to_image'

# transformers has these names too
DECODER_ATTENTION = (
    Rename(f'{_LAYER}.mlp.lin1.{{p}}', 'decoder.layers.{i}.mlp.layers.0.0.{p}'),
    Rename(f'{_LAYER}.mlp.lin2.{{p}}', 'decoder.layers.{i}.mlp.layers.1.{p}'),
    Rename(
        f'{_LAYER}.{{attention}}.{{qkv}}_proj.weight', 'decoder.layers.{i}.{attention}.attn.{qkv}_proj_weight'
    ),
    Rename(f'{_LAYER}.{{attention}}.out_proj.{{p}}', 'decoder.layers.{i}.{attention}.attn.out_proj.{p}'),
    Rename(f'{_FINAL}.{{qkv}}_proj.weight', 'decoder.final_attn_token_to_image.attn.{qkv}_proj_weight'),
    Rename(f'{_FINAL}.out_proj.{{p}}', 'decoder.final_attn_token_to_image.attn.out_proj.{p}'),
    Stack(
        tuple(f'{_LAYER}.{{attention}}.{part}_proj.bias' for part in 'qkv'),
        'decoder.layers.{i}.{attention}.attn.in_proj_bias',
        (None, None, None),
    ),
    Stack(
        tuple(f'{_FINAL}.{part}_proj.bias' for part in 'qkv'),
        'decoder.final_attn_token_to_image.attn.in_proj_bias',
        (None, None, None),
    ),
)
LABEL_TABLE = 'prompt_encoder.label_encoder.label_embedding.weight'
# one row each, but for the mask tokens; in the order of ultrasam.structures.prompts
LABEL_ROWS = (1, 1, 1, 1, 1, 1, None, 1)

SEGMENT_ANYTHING = NameTable(
    name='segment-anything',
    title='a segment-anything state dict',
    rules=(
        Rename('image_encoder.pos_embed', 'backbone.pos_embed'),
        Rename('image_encoder.patch_embed.proj.{p}', 'backbone.patch_embed.projection.{p}'),
        Rename('image_encoder.blocks.{i}.norm{n}.{p}', 'backbone.layers.{i}.ln{n}.{p}'),
        Rename('image_encoder.blocks.{i}.attn.rel_pos_{axis}', 'backbone.layers.{i}.attn.rel_pos_{axis}'),
        Rename('image_encoder.blocks.{i}.attn.{part}.{p}', 'backbone.layers.{i}.attn.{part}.{p}'),
        Rename('image_encoder.blocks.{i}.mlp.lin1.{p}', 'backbone.layers.{i}.ffn.layers.0.0.{p}'),
        Rename('image_encoder.blocks.{i}.mlp.lin2.{p}', 'backbone.layers.{i}.ffn.layers.1.{p}'),
        Rename('image_encoder.neck.{n}.{p}', 'backbone.channel_reduction.{n}.{p}'),
        Rename(f'{_LAYER}.norm{{n}}.{{p}}', 'decoder.layers.{i}.norm{n}.{p}'),
        Rename('mask_decoder.transformer.norm_final_attn.{p}', 'decoder.post_norm.{p}'),
        *DECODER_ATTENTION,
        Rename('mask_decoder.output_upscaling.{n}.{p}', 'bbox_head.output_upscaling.{n}.{p}'),
        Rename(
            'mask_decoder.output_hypernetworks_mlps.{i}.layers.{n}.{p}',
            'bbox_head.output_hypernetworks_mlps.{i}.layers.{n}.{p}',
        ),
        Rename(
            'mask_decoder.iou_prediction_head.layers.{n}.{p}', 'bbox_head.iou_prediction_head.layers.{n}.{p}'
        ),
        Rename(
            'prompt_encoder.pe_layer.positional_encoding_gaussian_matrix',
            'prompt_encoder.pe_layer.positional_encoding_gaussian_matrix',
        ),
        Rename('prompt_encoder.mask_downscaling.{n}.{p}', 'prompt_encoder.mask_downscaling.{n}.{p}'),
        Stack(
            (
                'prompt_encoder.no_mask_embed.weight',
                'prompt_encoder.point_embeddings.0.weight',
                'prompt_encoder.point_embeddings.1.weight',
                'prompt_encoder.point_embeddings.2.weight',
                'prompt_encoder.point_embeddings.3.weight',
                'prompt_encoder.not_a_point_embed.weight',
                'mask_decoder.mask_tokens.weight',
                'mask_decoder.iou_token.weight',
            ),
            LABEL_TABLE,
            LABEL_ROWS,
        ),
    ),
)
