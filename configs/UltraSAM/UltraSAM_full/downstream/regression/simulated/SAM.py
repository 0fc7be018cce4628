"""How long the outline of a head is, on SAM's encoder."""

_base_ = [
    '../../../../../_base_/models/downstream_regressor_sam.py',
    '../../../../../_base_/datasets/downstream_regression.py',
    '../../../../../_base_/schedules/downstream_classification_2k.py',
    '../../../../../_base_/runtime/downstream_regression.py',
]
