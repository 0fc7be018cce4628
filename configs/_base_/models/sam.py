"""Segment Anything (ViT-B) as it is: ordinary decoder, one pass, mask logits interpolated."""

_base_ = './ultrasam.py'

model = dict(
    type='SegmentAnything',
    inference_refinements=0,
    decoder=dict(mlp_skip='single'),
    bbox_head=dict(mask_upsampling='logits'),
)
