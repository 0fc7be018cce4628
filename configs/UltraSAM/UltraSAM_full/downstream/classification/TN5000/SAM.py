"""A classifier on SAM's encoder, on TN5000."""

_base_ = [
    '../../../../../_base_/models/downstream_classifier_sam.py',
    '../../../../../_base_/datasets/downstream_classification_tn5000.py',
    '../../../../../_base_/schedules/downstream_classification_2k.py',
    '../../../../../_base_/runtime/downstream_classification.py',
]
