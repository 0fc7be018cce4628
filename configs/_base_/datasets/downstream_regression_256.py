"""Simulated frames and a length that was measured on each, at 256 px."""

_base_ = './downstream_regression.py'

image_size = 256
resize = dict(type='mmdet.FixScaleResize', scale=(image_size, image_size), keep_ratio=True)
pad = dict(type='mmdet.Pad', size=(image_size, image_size), pad_val=dict(img=0))
test_pipeline = [_base_.load_image, resize, pad, dict(type='PackInputs')]
train_pipeline = [_base_.load_image, _base_.flip, resize, pad, dict(type='PackInputs')]
train_dataloader = dict(num_workers=1, dataset=dict(pipeline=train_pipeline))
val_dataloader = dict(dataset=dict(pipeline=test_pipeline))
test_dataloader = dict(dataset=dict(pipeline=test_pipeline))
