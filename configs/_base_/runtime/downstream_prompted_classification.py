"""Logging, checkpoints and pictures of a run that segments and classifies prompted objects."""

_base_ = './ultrasam_iter.py'

default_hooks = dict(
    checkpoint=dict(interval=500, save_best='object/f1'),
    same_classes=dict(type='SameClassesHook'),
)
