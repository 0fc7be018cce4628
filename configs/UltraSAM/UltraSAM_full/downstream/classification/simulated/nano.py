"""Which structures a frame shows, any number of them, on the small model that ships."""

_base_ = [
    '../../../../../_base_/models/downstream_classifier_nano.py',
    '../../../../../_base_/datasets/downstream_classification_simulated.py',
    '../../../../../_base_/schedules/downstream_classification_2k.py',
    '../../../../../_base_/runtime/downstream_classification.py',
]
