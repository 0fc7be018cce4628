"""A classifier on a ResNet-50, on BUSI."""

_base_ = [
    '../../../../../_base_/models/downstream_classifier_resnet50.py',
    '../../../../../_base_/datasets/downstream_classification_busi.py',
    '../../../../../_base_/schedules/downstream_classification_2k.py',
    '../../../../../_base_/runtime/downstream_classification.py',
]
