"""Logging, checkpoints and pictures of a run that segments instances by class."""

_base_ = './ultrasam_iter.py'

default_hooks = dict(
    same_classes=dict(type='SameClassesHook'),
    visualization=dict(score_thr=0.3),
)
visualizer = dict(type='DetLocalVisualizer')
