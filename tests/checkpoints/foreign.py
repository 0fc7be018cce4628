"""Foreign models with random weights, small ones, built from the libraries that own them."""

from __future__ import annotations

from functools import partial

import torch
from mmdet.registry import MODELS
from torch import nn

import ultrasam.openmmlab.models  # noqa: F401
from ultrasam.checkpoints.model_card import NOTE_KEY, read_card
from ultrasam.openmmlab.model_cards import detector_config

SIZE = 128
WIDTH, DEPTH, HEADS, GLOBAL = 32, 2, 2, [1]


def stir(model: nn.Module) -> nn.Module:
    """Move every parameter away from its start, so that each of them matters."""
    torch.manual_seed(1)
    for name, parameter in model.named_parameters():
        scale = 0.2 if 'rel_pos' in name or 'pos_embed' in name else 0.05
        parameter.data.add_(scale * torch.randn_like(parameter))
    # mmengine's train and eval return nothing
    model.eval()
    return model


def segment_anything_model() -> nn.Module:
    """``Sam`` of segment-anything with a tiny image encoder."""
    from segment_anything.modeling import (
        ImageEncoderViT,
        MaskDecoder,
        PromptEncoder,
        Sam,
        TwoWayTransformer,
    )

    torch.manual_seed(0)
    encoder = ImageEncoderViT(
        img_size=SIZE, patch_size=16, embed_dim=WIDTH, depth=DEPTH, num_heads=HEADS, mlp_ratio=2, out_chans=256,
        norm_layer=partial(nn.LayerNorm, eps=1e-6), use_rel_pos=True, window_size=14,
        global_attn_indexes=GLOBAL,
    )  # fmt: skip
    prompts = PromptEncoder(256, (SIZE // 16,) * 2, (SIZE,) * 2, 16)
    transformer = TwoWayTransformer(depth=2, embedding_dim=256, mlp_dim=2048, num_heads=8)
    decoder = MaskDecoder(
        num_multimask_outputs=3, transformer=transformer, transformer_dim=256, iou_head_depth=3,
        iou_head_hidden_dim=256,
    )  # fmt: skip
    return stir(Sam(encoder, prompts, decoder))


def transformers_model(**decoder) -> nn.Module:
    """``SamModel`` of transformers with a tiny image encoder."""
    from transformers import SamConfig, SamModel
    from transformers.models.sam import SamMaskDecoderConfig, SamPromptEncoderConfig, SamVisionConfig

    torch.manual_seed(0)
    vision = SamVisionConfig(
        hidden_size=WIDTH, num_hidden_layers=DEPTH, num_attention_heads=HEADS, mlp_dim=2 * WIDTH,
        image_size=SIZE, patch_size=16, window_size=14, global_attn_indexes=GLOBAL, output_channels=256,
        attn_implementation='eager',
    )  # fmt: skip
    config = SamConfig(
        vision_config=vision,
        prompt_encoder_config=SamPromptEncoderConfig(image_size=SIZE, patch_size=16),
        mask_decoder_config=SamMaskDecoderConfig(**{'layer_norm_eps': 1e-5, **decoder}),
    )
    return stir(SamModel(config))


def vit_sam_encoder(**options) -> nn.Module:
    """``ViTSAM`` of mmpretrain, tiny."""
    from mmpretrain.models.backbones import ViTSAM

    torch.manual_seed(0)
    arch = dict(embed_dims=WIDTH, num_layers=DEPTH, num_heads=HEADS, feedforward_channels=2 * WIDTH)
    arch['global_attn_indexes'] = GLOBAL
    return stir(ViTSAM(arch=arch, img_size=SIZE, patch_size=16, window_size=14, **options))


def ours_of(weights: dict, note: dict) -> nn.Module:
    """Our model around weights, as the inferencer builds it."""
    model = MODELS.build(detector_config(read_card(weights, {NOTE_KEY: note}, 'the test')))
    model.load_state_dict(weights, strict=True)
    return model.float().eval()
