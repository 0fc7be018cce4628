"""The published recipe written out: one image and one instance at a time, whole attention maps, plain torch.

It shares nothing with the package but the names of the weights. Every function takes the weights as a dict.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

MEAN = torch.tensor([123.675, 116.28, 103.53])
STD = torch.tensor([58.395, 57.12, 57.375])
WINDOW = 14
PATCH = 16
HEADS = 8  # of the decoder
LEARNING_RATE, WEIGHT_DECAY, LONGEST_GRADIENT = 1e-4, 1e-4, 0.1
WARM_UP, WARM_UP_FROM, MILESTONES = 500, 0.001, (20000, 28888)

Weights = dict[str, Tensor]


@dataclass(frozen=True)
class Instance:
    """An object of an image: its prompt tokens in pixels of the input, their kinds, and its mask."""

    coords: Tensor
    kinds: Tensor
    mask: Tensor


@dataclass(frozen=True)
class Image:
    """A BGR image (3, H, W), not padded, and its objects."""

    pixels: Tensor
    instances: Sequence[Instance]


def part(weights: Weights, prefix: str) -> Weights:
    return {
        name.removeprefix(f'{prefix}.'): w for name, w in weights.items() if name.startswith(f'{prefix}.')
    }


def linear(x: Tensor, weights: Weights, name: str) -> Tensor:
    return x @ weights[f'{name}.weight'].T + weights[f'{name}.bias']


def norm(x: Tensor, weights: Weights, name: str, eps: float = 1e-5) -> Tensor:
    return F.layer_norm(x, x.shape[-1:], weights[f'{name}.weight'], weights[f'{name}.bias'], eps)


def norm_of_channels(x: Tensor, weights: Weights, name: str) -> Tensor:
    return norm(x.permute(1, 2, 0), weights, name, 1e-6).permute(2, 0, 1)


def attend_in_square(x: Tensor, w: Weights, heads: int) -> Tensor:
    """Self-attention of a square of tokens (S, S, C), with a map of relative positions for each head."""
    side, _, channels = x.shape
    width = channels // heads
    q, k, v = linear(x.reshape(-1, channels), w, 'qkv').chunk(3, 1)
    place = torch.arange(side)
    distance = place[:, None] - place[None, :] + side - 1
    outputs = []
    for head in range(heads):
        columns = slice(head * width, (head + 1) * width)
        one_q = q[:, columns].reshape(side, side, width)
        by_row = torch.einsum('yxc,yvc->yxv', one_q, w['rel_pos_h'][distance])
        by_column = torch.einsum('yxc,xuc->yxu', one_q, w['rel_pos_w'][distance])
        positions = (by_row[:, :, :, None] + by_column[:, :, None, :]).reshape(side * side, side * side)
        logits = q[:, columns] @ k[:, columns].T / math.sqrt(width) + positions
        outputs.append(logits.softmax(1) @ v[:, columns])
    return linear(torch.cat(outputs, 1), w, 'proj').reshape(side, side, channels)


def attend_in_windows(x: Tensor, w: Weights, heads: int) -> Tensor:
    side = x.shape[0]
    spare = -side % WINDOW
    padded = F.pad(x, (0, 0, 0, spare, 0, spare))
    rows = []
    for top in range(0, side, WINDOW):
        windows = [
            attend_in_square(padded[top : top + WINDOW, left : left + WINDOW], w, heads)
            for left in range(0, side, WINDOW)
        ]
        rows.append(torch.cat(windows, 1))
    return torch.cat(rows, 0)[:side, :side]


def encode(pixels: Tensor, w: Weights, *, size: int, heads: int, whole: Sequence[int]) -> Tensor:
    """Embedding (256, size / 16, size / 16) of an image (3, H, W), BGR."""
    x = (pixels.flip(0).float() - MEAN[:, None, None]) / STD[:, None, None]
    x = F.pad(x, (0, size - x.shape[2], 0, size - x.shape[1]))
    projection = part(w, 'patch_embed.projection')
    x = F.conv2d(x[None], projection['weight'], projection['bias'], stride=PATCH)[0].permute(1, 2, 0)
    x = x + w['pos_embed'][0]
    for i in range(sum(name.endswith('.ln1.weight') for name in w)):
        layer = part(w, f'layers.{i}')
        attend = attend_in_square if i in whole else attend_in_windows
        x = x + attend(norm(x, layer, 'ln1', 1e-6), part(layer, 'attn'), heads)
        hidden = F.gelu(linear(norm(x, layer, 'ln2', 1e-6), layer, 'ffn.layers.0.0'))
        x = x + linear(hidden, layer, 'ffn.layers.1')
    neck = part(w, 'channel_reduction')
    x = F.conv2d(x.permute(2, 0, 1)[None], neck['0.weight'])[0]
    x = F.conv2d(norm_of_channels(x, neck, '1')[None], neck['2.weight'], padding=1)[0]
    return norm_of_channels(x, neck, '3')


def position_code(unit_xy: Tensor, w: Weights) -> Tensor:
    angles = 2 * math.pi * ((2 * unit_xy - 1) @ w['pe_layer.positional_encoding_gaussian_matrix'])
    return torch.cat([angles.sin(), angles.cos()], -1)


def embed_prompt(instance: Instance, w: Weights, size: int) -> Tensor:
    """Tokens (T + 5, 256): the prompt's, then those of the masks and of the IoU."""
    table = w['label_encoder.label_embedding.weight']
    tokens = []
    for xy, kind in zip(instance.coords, instance.kinds.tolist(), strict=True):
        is_place = kind != 5
        tokens.append(table[kind] + (position_code(xy / size, w) if is_place else 0))
    return torch.cat([torch.stack(tokens), table[6:11]])


def embed_mask(logits: Tensor | None, w: Weights) -> Tensor:
    """What a mask prompt (1, H, W), or its absence, adds to the embedding."""
    if logits is None:
        return w['label_encoder.label_embedding.weight'][0][:, None, None]
    w = part(w, 'mask_downscaling')
    x = F.conv2d(logits[None], w['0.weight'], w['0.bias'], stride=2)[0]
    x = F.conv2d(F.gelu(norm_of_channels(x, w, '1'))[None], w['3.weight'], w['3.bias'], stride=2)[0]
    return F.conv2d(F.gelu(norm_of_channels(x, w, '4'))[None], w['6.weight'], w['6.bias'])[0]


def attend(query: Tensor, key: Tensor, value: Tensor, w: Weights) -> Tensor:
    """Attention of tokens (Q, C) to (K, C), head by head."""
    w = part(w, 'attn')
    biases = w['in_proj_bias'].chunk(3)
    q, k, v = (
        x @ w[f'{name}_proj_weight'].T + bias
        for x, name, bias in zip((query, key, value), 'qkv', biases, strict=True)
    )
    heads = []
    for one_q, one_k, one_v in zip(*(x.chunk(HEADS, 1) for x in (q, k, v)), strict=True):
        heads.append((one_q @ one_k.T / math.sqrt(one_q.shape[1])).softmax(1) @ one_v)
    return linear(torch.cat(heads, 1), w, 'out_proj')


def decode(tokens: Tensor, image: Tensor, places: Tensor, w: Weights) -> tuple[Tensor, Tensor]:
    """Tokens (T, 256) and cells (K, 256) after the two-way transformer."""
    token_places = tokens
    for i in range(sum(name.endswith('.norm1.weight') for name in w)):
        layer = part(w, f'layers.{i}')
        own = part(layer, 'self_attn')
        if i == 0:
            tokens = attend(tokens, tokens, tokens, own)
        else:
            tokens = tokens + attend(tokens + token_places, tokens + token_places, tokens, own)
        tokens = norm(tokens, layer, 'norm1')
        seen = attend(tokens + token_places, image + places, image, part(layer, 'cross_attn_token_to_image'))
        tokens = norm(tokens + seen, layer, 'norm2')
        hidden = linear(tokens, layer, 'mlp.layers.0.0').relu()
        # the skip of the published weights counts twice
        tokens = norm(tokens + tokens + linear(hidden, layer, 'mlp.layers.1'), layer, 'norm3')
        seen = attend(image + places, tokens + token_places, tokens, part(layer, 'cross_attn_image_to_token'))
        image = norm(image + seen, layer, 'norm4')
    seen = attend(tokens + token_places, image + places, image, part(w, 'final_attn_token_to_image'))
    return norm(tokens + seen, w, 'post_norm'), image


def predict(tokens: Tensor, image: Tensor, w: Weights) -> tuple[Tensor, Tensor]:
    """Mask logits (4, 4h, 4w) and predicted IoU (4,) of tokens (T, 256) and an image (256, h, w)."""
    up = part(w, 'output_upscaling')
    x = F.conv_transpose2d(image[None], up['0.weight'], up['0.bias'], stride=2)[0]
    x = F.gelu(norm_of_channels(x, up, '1'))
    x = F.gelu(F.conv_transpose2d(x[None], up['3.weight'], up['3.bias'], stride=2)[0])

    def three_layers(y: Tensor, mlp: Weights) -> Tensor:
        hidden = linear(linear(y, mlp, 'layers.0').relu(), mlp, 'layers.1').relu()
        return linear(hidden, mlp, 'layers.2')

    masks = [
        (three_layers(tokens[i - 5], part(w, f'output_hypernetworks_mlps.{i}'))[:, None, None] * x).sum(0)
        for i in range(4)
    ]
    return torch.stack(masks), three_layers(tokens[-1], part(w, 'iou_prediction_head'))


def losses_of(logits: Tensor, iou: Tensor, mask: Tensor) -> dict[str, Tensor]:
    """Losses of the candidate (of K, H, W) that overlaps the mask (H, W) best."""
    overlaps = torch.stack([((c > 0) & (mask > 0)).sum() / ((c > 0) | (mask > 0)).sum() for c in logits])
    best = int(overlaps.argmax())
    probability = logits[best].sigmoid()
    common = (probability * mask).sum()
    dice = 1 - 2 * common / (probability.square().sum() + 1 + mask.square().sum() + 1)
    miss = torch.where(mask > 0, 1 - probability, probability)
    weight = torch.where(mask > 0, 0.25, 0.75)
    entropy = F.binary_cross_entropy_with_logits(logits[best], mask, reduction='none')
    focal = 20 * (weight * miss.square() * entropy).mean()
    return dict(loss_dice=dice, loss_focal=focal, loss_iou=(iou[best] - overlaps[best]).square())


def recipe_losses(
    batch: Sequence[Image], weights: Weights, *, size: int, heads: int, whole: Sequence[int]
) -> dict[str, Tensor]:
    """Losses of a batch: means over its instances, first look and refinement."""
    cells = size // PATCH
    prompts, decoder, head = (part(weights, name) for name in ('prompt_encoder', 'decoder', 'bbox_head'))
    centres = (torch.arange(cells) + 0.5) / cells
    places = torch.stack(torch.meshgrid(centres, centres, indexing='xy'), -1).reshape(-1, 2)
    places = position_code(places, prompts)
    found: list[dict[str, Tensor]] = []
    for image in batch:
        embedding = encode(image.pixels, part(weights, 'backbone'), size=size, heads=heads, whole=whole)
        for instance in image.instances:
            padded = F.pad(
                instance.mask.float(), (0, size - instance.mask.shape[1], 0, size - instance.mask.shape[0])
            )
            mask = F.interpolate(padded[None, None], scale_factor=4 / PATCH, mode='bilinear')[0, 0].round()
            tokens, logits, found_here = embed_prompt(instance, prompts, size), None, {}
            for suffix, candidates in (('', slice(0, 1)), ('.0', slice(1, 4))):
                seen = (embedding + embed_mask(logits, prompts)).flatten(1).T
                decoded, seen = decode(tokens, seen, places, decoder)
                all_logits, iou = predict(decoded, seen.T.reshape(-1, cells, cells), head)
                logits = all_logits[candidates]
                for name, value in losses_of(logits, iou[candidates], mask).items():
                    found_here[name + suffix] = value
            found.append(found_here)
    return {name: torch.stack([one[name] for one in found]).mean() for name in found[0]}


def learning_rate(step: int, rate: float, warm_up: int, milestones: Sequence[int]) -> float:
    """The rate of a step, counted from 0: a linear rise, then a tenth from each milestone on."""
    rise = WARM_UP_FROM + (1 - WARM_UP_FROM) * min(step / (warm_up - 1), 1.0)
    return rate * rise * 0.1 ** sum(step >= milestone for milestone in milestones)


def train(
    batches: Sequence[Sequence[Image]],
    weights: Weights,
    *,
    size: int,
    heads: int,
    whole: Sequence[int],
    rate: float = LEARNING_RATE,
    warm_up: int = WARM_UP,
    milestones: Sequence[int] = MILESTONES,
) -> list[dict[str, float]]:
    """Losses of one step after another."""
    weights = {name: w.clone().requires_grad_('gaussian' not in name) for name, w in weights.items()}
    trained = [w for w in weights.values() if w.requires_grad]
    optimizer = torch.optim.AdamW(trained, lr=rate, weight_decay=WEIGHT_DECAY)
    history = []
    for step, batch in enumerate(batches):
        optimizer.param_groups[0]['lr'] = learning_rate(step, rate, warm_up, milestones)
        losses = recipe_losses(batch, weights, size=size, heads=heads, whole=whole)
        optimizer.zero_grad()
        sum(losses.values()).backward()
        torch.nn.utils.clip_grad_norm_(trained, LONGEST_GRADIENT)
        optimizer.step()
        history.append({name: float(value.detach()) for name, value in losses.items()})
    return history
