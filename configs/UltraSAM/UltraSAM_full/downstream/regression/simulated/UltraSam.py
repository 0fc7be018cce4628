"""How long the outline of a head is, on the encoder of UltraSam."""

_base_ = './SAM.py'

model = dict(backbone=dict(init_cfg=dict(checkpoint='weights/UltraSam.pth')))
