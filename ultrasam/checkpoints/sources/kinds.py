"""What a file of weights holds, told from the names in it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from torch import Tensor

from ultrasam.checkpoints.sources.names import NameTable
from ultrasam.checkpoints.sources.segment_anything import SEGMENT_ANYTHING
from ultrasam.checkpoints.sources.transformers import TRANSFORMERS
from ultrasam.checkpoints.sources.vit_sam import VIT_SAM


@dataclass(frozen=True, kw_only=True)
class Kind:
    """One kind of file.

    Args:
        name: short name.
        title: what it is, for a message.
        marks: regular expressions; each matches some name in full if the file is of this kind.
        names: its names beside ours, if it can be converted by renaming.
        mlp_skip: skip of its decoder, where the file does not say; None if it has no decoder.
        advice: what to do with it; ``{file}`` stands for the path.
    """

    name: str
    title: str
    marks: tuple[str, ...]
    names: NameTable | None = None
    mlp_skip: str | None = None
    advice: str

    def fits(self, names: Iterable[str]) -> bool:
        """Whether every mark is there."""
        every = list(names)
        return all(any(re.fullmatch(mark, name) for name in every) for mark in self.marks)


_CONVERT = 'convert it: python weights/convert.py {file} OUT.pth'
_OTHER_NETWORK = 'it is another network, which this package does not have'

KINDS: tuple[Kind, ...] = (
    Kind(
        name='sam-med2d',
        title='SAM-Med2D (segment-anything with adapters in its image encoder)',
        marks=(r'image_encoder\.blocks\.\d+\.Adapter\..+',),
        advice='it cannot be converted: its adapters weigh channels and places by what the image shows, which no '
        'layer of our encoders does; without them the masks would be others',
    ),
    Kind(
        name='sam-hq',
        title='SAM-HQ',
        marks=(r'image_encoder\.blocks\.\d+\..+', r'mask_decoder\.hf_.+'),
        advice='it cannot be converted: our mask decoder has no high-quality token',
    ),
    Kind(
        name='sam-2',
        title='SAM 2',
        marks=(r'image_encoder\.trunk\..+',),
        advice=_OTHER_NETWORK,
    ),
    Kind(
        name='mobile-sam',
        title='MobileSAM or another SAM with a TinyViT encoder',
        marks=(r'image_encoder\.layers\.\d+\.blocks\..+', r'mask_decoder\..+'),
        advice=_OTHER_NETWORK,
    ),
    Kind(
        name='segment-anything',
        title='segment-anything layout (Segment Anything, MedSAM and others)',
        marks=(r'image_encoder\.blocks\.\d+\..+', r'mask_decoder\..+', r'prompt_encoder\..+'),
        names=SEGMENT_ANYTHING,
        mlp_skip='single',
        advice=f'{_CONVERT} (add --as medsam if it is MedSAM: names do not tell)',
    ),
    Kind(
        name='transformers',
        title='SamModel of transformers',
        marks=(r'vision_encoder\.layers\.\d+\.layer_norm1\..+', r'mask_decoder\..+', r'prompt_encoder\..+'),
        names=TRANSFORMERS,
        mlp_skip='single',
        advice=_CONVERT,
    ),
    Kind(
        name='lora',
        title='LoRA adapters',
        marks=(r'.+\.lora_down\.weight', r'.+\.lora_up\.weight'),
        advice='merge them into the weights they were trained on: '
        'python weights/convert.py {file} OUT.pth --merge-lora BASE.pth',
    ),
    Kind(
        name='med-sa',
        title='UltraSam with Med-SA adapters in its image encoder',
        marks=(r'backbone\.layers\.\d+\.space_adapter\..+', r'decoder\..+'),
        mlp_skip='doubled',
        advice='use it with the config it was trained with',
    ),
    Kind(
        name='prompted-classifier',
        title='UltraSam with a classification head for each prompt',
        marks=(r'bbox_head\.cls_prediction_head\..+', r'decoder\..+'),
        mlp_skip='doubled',
        advice='use it as it is: ultrasam predict --checkpoint {file}',
    ),
    Kind(
        name='ultrasam',
        title='UltraSam',
        marks=(r'backbone\.layers\..+', r'decoder\..+', r'bbox_head\..+', r'prompt_encoder\..+'),
        mlp_skip='doubled',
        advice='use it as it is: ultrasam predict --checkpoint {file}',
    ),
    Kind(
        name='mask2former',
        title='Mask2Former, an instance segmenter without prompts',
        marks=(r'panoptic_head\..+',),
        advice='use it with the config it was trained with',
    ),
    Kind(
        name='classifier',
        title='an image classifier',
        marks=(r'head\.fc\.weight',),
        advice='use it with the config it was trained with',
    ),
    Kind(
        name='vit-sam',
        title='an image encoder alone, ViTSAM of mmpretrain',
        marks=(r'(backbone\.)?layers\.\d+\.attn\.rel_pos_h', r'(backbone\.)?pos_embed'),
        names=VIT_SAM,
        advice='for configs of classifiers and segmenters, which take it as init_cfg with prefix "backbone."; '
        'names that want that prefix get it by: python weights/convert.py {file} OUT.pth',
    ),
)
"""In the order in which they are tried: the special before the general."""


def kind_of(state_dict: Mapping[str, Tensor] | Iterable[str]) -> Kind | None:
    """The kind of a file, or None for one that we do not know.

    Args:
        state_dict: the names, or the tensors by their names.
    """
    names = list(state_dict)
    return next((kind for kind in KINDS if kind.fits(names)), None)
