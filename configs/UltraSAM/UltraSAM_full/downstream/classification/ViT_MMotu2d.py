"""A classifier on a ViT-B from ImageNet, on MMOTU-2D."""

_base_ = [
    '../../../../_base_/models/downstream_classifier_vit.py',
    '../../../../_base_/datasets/downstream_classification_mmotu_2d.py',
    '../../../../_base_/schedules/downstream_classification_2k.py',
    '../../../../_base_/runtime/downstream_classification.py',
]

model = dict(head=dict(num_classes=8))
