"""A classifier on the encoder of UltraSam, on TN5000."""

_base_ = './SAM.py'

model = dict(backbone=dict(init_cfg=dict(checkpoint='weights/UltraSam.pth')))
