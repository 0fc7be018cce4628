"""Test images as Segment Anything resizes them, prompted with the exact box."""

_base_ = './ultrasam_box.py'

test_pipeline = [
    _base_.load_image,
    # to the nearest pixel, and by Pillow, which averages where it shrinks
    dict(type='Resize', scale=(_base_.image_size, _base_.image_size), keep_ratio=True, backend='pillow'),
    *_base_.test_pipeline[2:],
]
train_dataloader = None
val_dataloader = None
val_evaluator = None
test_dataloader = dict(dataset=dict(pipeline=test_pipeline))
