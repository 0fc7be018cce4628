"""Mask and class of prompted objects, eight classes, on MMOTU-2D; starts from UltraSam."""

_base_ = [
    '../../../../_base_/models/downstream_prompted_classifier.py',
    '../../../../_base_/datasets/downstream_prompted_classification_mmotu_2d.py',
    '../../../../_base_/schedules/downstream_classification_2k.py',
    '../../../../_base_/runtime/downstream_prompted_classification.py',
]

model = dict(bbox_head=dict(num_classes=8))
load_from = 'weights/UltraSam.pth'
