"""Test images as MedSAM resizes them, squeezed to a square, prompted with the exact box."""

_base_ = './sam_box.py'

test_pipeline = [
    _base_.load_image,
    dict(type='SquareSplineResize', size=_base_.image_size),
    *_base_.test_pipeline[2:],
]
test_dataloader = dict(dataset=dict(pipeline=test_pipeline))
