"""Mask2Former on a feature pyramid from UltraSam's encoder, on MMOTU-2D."""

_base_ = './SAM_pyramid.py'

model = dict(backbone=dict(init_cfg=dict(checkpoint='weights/UltraSam.pth')))
