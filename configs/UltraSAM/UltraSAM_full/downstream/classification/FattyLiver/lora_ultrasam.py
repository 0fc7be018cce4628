"""A classifier on UltraSam's encoder with LoRA, on fatty liver."""

_base_ = './lora.py'

model = dict(backbone=dict(base_checkpoint='weights/UltraSam.pth'))
