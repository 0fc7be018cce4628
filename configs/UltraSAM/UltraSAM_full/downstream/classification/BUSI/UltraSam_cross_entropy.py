"""A classifier on UltraSam's encoder, trained with cross-entropy, on BUSI."""

_base_ = [
    '../../../../../_base_/models/downstream_classifier_sam_cross_entropy.py',
    '../../../../../_base_/datasets/downstream_classification_busi.py',
    '../../../../../_base_/schedules/downstream_classification_2k.py',
    '../../../../../_base_/runtime/downstream_classification.py',
]

model = dict(backbone=dict(init_cfg=dict(checkpoint='weights/UltraSam.pth')))
