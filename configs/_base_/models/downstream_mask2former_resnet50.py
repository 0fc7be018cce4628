"""Mask2Former on a ResNet-50 from ImageNet."""

_base_ = './downstream_mask2former.py'

model = dict(
    backbone=dict(
        type='ResNet',
        depth=50,
        num_stages=4,
        out_indices=(0, 1, 2, 3),
        frozen_stages=-1,
        norm_cfg=dict(type='BN', requires_grad=False),
        norm_eval=True,
        style='pytorch',
        init_cfg=dict(
            type='Pretrained',
            checkpoint='weights/resnet50-0676ba61.pth',
            # the thousand classes of ImageNet
            allow_unexpected=[r'fc\..*'],
        ),
    ),
    panoptic_head=dict(in_channels=[256, 512, 1024, 2048], strides=[4, 8, 16, 32]),
)
