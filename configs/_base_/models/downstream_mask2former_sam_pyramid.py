"""Mask2Former on a feature pyramid from the last layer of SAM's encoder: strides 4, 8, 16 and 32."""

_base_ = './downstream_mask2former_sam.py'

model = dict(
    backbone=dict(out_indices=(11,)),
    neck=dict(type='SimpleFeaturePyramid', in_channels=768, out_channels=256),
    panoptic_head=dict(in_channels=[256, 256, 256, 256], strides=[4, 8, 16, 32]),
)
