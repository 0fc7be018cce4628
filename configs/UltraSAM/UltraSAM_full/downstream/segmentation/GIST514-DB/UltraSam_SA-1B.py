"""Mask2Former on the encoder of UltraSam trained with SA-1B, on GIST514-DB."""

_base_ = './SAM.py'

model = dict(backbone=dict(init_cfg=dict(checkpoint='work_dirs/UltraSam_SA1B/iter_30000.pth')))
