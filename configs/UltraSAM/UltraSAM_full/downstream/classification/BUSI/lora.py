"""A classifier on SAM's encoder with LoRA, on BUSI."""

_base_ = [
    '../../../../../_base_/models/downstream_classifier_lora.py',
    '../../../../../_base_/datasets/downstream_classification_busi.py',
    '../../../../../_base_/schedules/downstream_classification_2k.py',
    '../../../../../_base_/runtime/downstream_classification.py',
]
