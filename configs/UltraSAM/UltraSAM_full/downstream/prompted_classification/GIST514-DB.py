"""Mask and class of prompted objects, on GIST514-DB; starts from UltraSam."""

_base_ = [
    '../../../../_base_/models/downstream_prompted_classifier.py',
    '../../../../_base_/datasets/downstream_prompted_classification_gist514_db.py',
    '../../../../_base_/schedules/downstream_classification_2k.py',
    '../../../../_base_/runtime/downstream_prompted_classification.py',
]

load_from = 'weights/UltraSam.pth'
