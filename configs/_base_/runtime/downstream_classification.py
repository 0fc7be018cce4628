"""Logging and checkpoints of a run of mmpretrain that classifies images."""

_base_ = './ultrasam_iter.py'

default_scope = 'mmpretrain'
default_hooks = dict(
    checkpoint=dict(interval=500, save_best='classification/f1'),
    same_classes=dict(type='SameClassesHook'),
    visualization=dict(_delete_=True, type='VisualizationHook', enable=False),
)
visualizer = dict(type='UniversalVisualizer')
