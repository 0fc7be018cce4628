"""UltraSam whose image encoder is frozen but for Medical SAM adapters in every layer."""

_base_ = './ultrasam.py'

model = dict(
    type='AdaptedUltraSam',
    backbone=dict(type='MedSaImageEncoder', adapter_ratio=0.25, adapter_scale=0.5, frozen_stages=11),
)
