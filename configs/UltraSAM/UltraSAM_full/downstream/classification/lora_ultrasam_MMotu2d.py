"""A classifier on UltraSam's encoder with LoRA, on MMOTU-2D."""

_base_ = './lora_MMotu2d.py'

model = dict(backbone=dict(base_checkpoint='weights/UltraSam.pth'))
