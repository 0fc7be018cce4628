"""A classifier on UltraSam's encoder, trained with cross-entropy, on fatty liver."""

_base_ = [
    '../../../../../_base_/models/downstream_classifier_sam_cross_entropy.py',
    '../../../../../_base_/datasets/downstream_classification_fatty_liver.py',
    '../../../../../_base_/schedules/downstream_classification_2k.py',
    '../../../../../_base_/runtime/downstream_classification.py',
]

model = dict(backbone=dict(init_cfg=dict(checkpoint='weights/UltraSam.pth')))
