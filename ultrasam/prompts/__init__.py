"""Prompts drawn from true masks: ``recipe`` and ``corrections`` for training, ``users`` for evaluation.

A recipe holds its draw apart, so that a draw replays on any image; the rules of ``users`` draw from the generator that
they are given, in the order in which published reports were made. Both take positions and boxes from ``masks``.
"""
