"""A classifier on SAM's encoder with LoRA, on AUL."""

_base_ = [
    '../../../../../_base_/models/downstream_classifier_lora.py',
    '../../../../../_base_/datasets/downstream_classification_aul.py',
    '../../../../../_base_/schedules/downstream_classification_2k.py',
    '../../../../../_base_/runtime/downstream_classification.py',
]

model = dict(head=dict(num_classes=3))
