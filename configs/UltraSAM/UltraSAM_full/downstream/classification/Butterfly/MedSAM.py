"""A classifier on the encoder of MedSAM, on Butterfly."""

_base_ = './SAM.py'

model = dict(backbone=dict(init_cfg=dict(checkpoint='weights/mapped_medsam_vit_b.pth')))
