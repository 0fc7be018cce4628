"""Figures of other implementations that cannot be run here: quoted, with where and how they were taken."""

from __future__ import annotations

_CODE = 'published UltraSam code, 2 cores of an AMD EPYC with AVX-512, torch 2.10, medians; not run here'
_PAPER = 'computed from the published paper: 30,000 steps of 32 images in 16 hours on four H100'
_FAST = 'segment-anything-fast, its results for ViT-B on an A100'

# what was done, the figure, where it comes from
FIGURES = (
    ('two passes for one prompt, after the encoder', '2,877 ms; segment-anything 98 ms: 29 times', _CODE),
    ('two passes for four prompts, after the encoder', '2,934 ms; segment-anything 354 ms: 8.3 times', _CODE),
    ('two passes for 20 prompts, after the encoder', '3,463 ms; segment-anything 2,536 ms: 1.4 times', _CODE),
    ('encoder, float32, one image', '6.9 to 8.4 s, as segment-anything', _CODE),
    ('an image and one box, end to end', '9.7 to 11.3 s, sum of the parts', _CODE),
    ('training pipeline', '12.15 ms an image and core: 82 images/s', _CODE),
    ('test pipeline', '9.6 ms an image and core', _CODE),
    ('a mask as an annotation', '10.0 ms an image', _CODE),
    ('training', '4.17 images/s and GPU: 1.2 % of the bf16 rate of an H100', _PAPER),
    ('encoder and click, float32, batch 8', '12.1 images/s, 19.9 GB', _FAST),
    ('the same in bf16', '39.8 images/s, 10.0 GB', _FAST),
    ('the same, compiled, with a fused kernel', '85.5 images/s, 1.7 GB', _FAST),
)
