"""A classifier on UltraSam's encoder with LoRA, on BUS-BRA."""

_base_ = './lora.py'

model = dict(backbone=dict(base_checkpoint='weights/UltraSam.pth'))
