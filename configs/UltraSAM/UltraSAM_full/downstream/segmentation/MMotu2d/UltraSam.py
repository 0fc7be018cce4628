"""Mask2Former on the encoder of UltraSam, on MMOTU-2D."""

_base_ = './SAM.py'

model = dict(backbone=dict(init_cfg=dict(checkpoint='weights/UltraSam.pth')))
