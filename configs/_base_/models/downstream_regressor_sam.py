"""One number an image: a linear layer on the mean token of SAM's encoder."""

_base_ = './downstream_classifier_sam.py'

model = dict(
    head=dict(
        _delete_=True,
        type='MeasurementHead',
        in_channels=768,
        # circumferences of the simulated frames, at 1024 px
        mean=[1400.0],
        std=[250.0],
        is_length=True,
        loss=dict(type='mmdet.SmoothL1Loss', beta=1.0),
    ),
)
