"""A classifier on the encoder of UltraSam, on Butterfly."""

_base_ = './SAM.py'

model = dict(backbone=dict(init_cfg=dict(checkpoint='weights/UltraSam.pth')))
