"""A classifier on a ViT-B from ImageNet, on AUL."""

_base_ = [
    '../../../../../_base_/models/downstream_classifier_vit.py',
    '../../../../../_base_/datasets/downstream_classification_aul.py',
    '../../../../../_base_/schedules/downstream_classification_2k.py',
    '../../../../../_base_/runtime/downstream_classification.py',
]

model = dict(head=dict(num_classes=3))
