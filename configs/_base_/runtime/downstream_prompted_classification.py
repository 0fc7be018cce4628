"""Logging, checkpoints and pictures of a run that segments and classifies prompted objects."""

_base_ = './ultrasam_iter.py'

custom_imports = dict(
    imports=[
        'ultrasam.registry',
        'ultrasam.evaluation.object_label_metric',
        'ultrasam.hooks.classes',
        'ultrasam.openmmlab.models.prompted_classifier',
    ]
)
default_hooks = dict(
    checkpoint=dict(interval=500, save_best='object/f1'),
    same_classes=dict(type='SameClassesHook'),
)
