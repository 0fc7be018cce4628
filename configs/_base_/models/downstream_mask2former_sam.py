"""Mask2Former on the four globally attending layers of SAM's encoder, all of one stride, as published."""

_base_ = './downstream_mask2former.py'

model = dict(
    backbone=dict(
        type='SamFeatureEncoder',
        arch='base',
        img_size=1024,
        out_indices=(2, 5, 8, 11),
        init_cfg=dict(
            type='Pretrained', checkpoint='weights/mapped_sam_vit_b_01ec64.pth', prefix='backbone.'
        ),
    ),
    panoptic_head=dict(in_channels=[768, 768, 768, 768], strides=[16, 16, 16, 16]),
)
