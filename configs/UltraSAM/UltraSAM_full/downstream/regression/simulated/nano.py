"""How long the outline of a head is, on the small model that ships."""

_base_ = [
    '../../../../../_base_/models/downstream_regressor_nano.py',
    '../../../../../_base_/datasets/downstream_regression_256.py',
    '../../../../../_base_/schedules/downstream_classification_2k.py',
    '../../../../../_base_/runtime/downstream_regression.py',
]
