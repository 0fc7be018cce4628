"""A classifier on SAM's encoder with LoRA, on fatty liver."""

_base_ = [
    '../../../../../_base_/models/downstream_classifier_lora.py',
    '../../../../../_base_/datasets/downstream_classification_fatty_liver.py',
    '../../../../../_base_/schedules/downstream_classification_2k.py',
    '../../../../../_base_/runtime/downstream_classification.py',
]
