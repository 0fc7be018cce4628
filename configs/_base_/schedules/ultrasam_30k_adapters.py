"""The published schedule, for a model of which adapters alone are trained."""

_base_ = './ultrasam_30k.py'

optim_wrapper = dict(constructor='TrainableOptimWrapperConstructor')
