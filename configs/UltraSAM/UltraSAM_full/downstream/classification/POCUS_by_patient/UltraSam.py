"""A classifier on the encoder of UltraSam, on POCUS by patient."""

_base_ = './SAM.py'

model = dict(backbone=dict(init_cfg=dict(checkpoint='weights/UltraSam.pth')))
