"""A classifier on SAM's encoder, of which Medical SAM adapters and the last layer are trained."""

_base_ = './downstream_classifier_sam.py'

model = dict(
    backbone=dict(type='MedSaFeatureEncoder', adapter_ratio=0.25, adapter_scale=0.5, frozen_stages=11)
)
