"""Logging and checkpoints of a run of mmpretrain that predicts numbers."""

_base_ = './downstream_classification.py'

custom_imports = dict(
    imports=[
        'ultrasam.registry',
        'ultrasam.datasets.value_lists',
        'ultrasam.evaluation.regression_metric',
        'ultrasam.openmmlab.models.classification_model',
        'ultrasam.openmmlab.models.regression_head',
    ]
)
default_hooks = dict(checkpoint=dict(save_best='regression/mae', rule='less'))
