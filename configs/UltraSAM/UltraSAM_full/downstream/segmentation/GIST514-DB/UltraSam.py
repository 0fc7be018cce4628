"""Mask2Former on the encoder of UltraSam, on GIST514-DB."""

_base_ = './SAM.py'

model = dict(backbone=dict(init_cfg=dict(checkpoint='weights/UltraSam.pth')))
