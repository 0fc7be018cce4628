"""MedSAM as it is: Segment Anything's network on images from 0 to 1 that fill the input, one mask a box."""

_base_ = './sam.py'

model = dict(
    type='MedSam',
    data_preprocessor=dict(_delete_=True, type='MinMaxPreprocessor', bgr_to_rgb=True, pad_size_divisor=1024),
)
