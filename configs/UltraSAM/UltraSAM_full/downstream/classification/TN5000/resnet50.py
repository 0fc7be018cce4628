"""A classifier on a ResNet-50, on TN5000."""

_base_ = [
    '../../../../../_base_/models/downstream_classifier_resnet50.py',
    '../../../../../_base_/datasets/downstream_classification_tn5000.py',
    '../../../../../_base_/schedules/downstream_classification_2k.py',
    '../../../../../_base_/runtime/downstream_classification.py',
]
