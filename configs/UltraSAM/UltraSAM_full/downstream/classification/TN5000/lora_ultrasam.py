"""A classifier on UltraSam's encoder with LoRA, on TN5000."""

_base_ = './lora.py'

model = dict(backbone=dict(base_checkpoint='weights/UltraSam.pth'))
