"""A classifier on UltraSam's encoder, trained with cross-entropy, on AUL."""

_base_ = [
    '../../../../../_base_/models/downstream_classifier_sam_cross_entropy.py',
    '../../../../../_base_/datasets/downstream_classification_aul.py',
    '../../../../../_base_/schedules/downstream_classification_2k.py',
    '../../../../../_base_/runtime/downstream_classification.py',
]

model = dict(
    backbone=dict(init_cfg=dict(checkpoint='weights/UltraSam.pth')),
    head=dict(num_classes=3),
)
