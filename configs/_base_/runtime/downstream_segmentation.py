"""Logging, checkpoints and pictures of a run that segments instances by class."""

_base_ = './ultrasam_iter.py'

custom_imports = dict(
    imports=[
        'ultrasam.registry',
        'ultrasam.hooks.classes',
        'ultrasam.openmmlab.models.feature_encoders',
    ]
)
default_hooks = dict(
    same_classes=dict(type='SameClassesHook'),
    visualization=dict(score_thr=0.3),
)
visualizer = dict(type='DetLocalVisualizer')
