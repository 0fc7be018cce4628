"""A classifier on UltraSam's encoder with LoRA, on POCUS by patient."""

_base_ = './lora.py'

model = dict(backbone=dict(base_checkpoint='weights/UltraSam.pth'))
