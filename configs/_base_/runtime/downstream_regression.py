"""Logging and checkpoints of a run of mmpretrain that predicts numbers."""

_base_ = './downstream_classification.py'

default_hooks = dict(checkpoint=dict(save_best='regression/mae', rule='less'))
