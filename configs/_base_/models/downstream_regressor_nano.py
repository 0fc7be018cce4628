"""One number an image: a linear layer on the mean token of the small model that ships, at 256 px."""

_base_ = './downstream_classifier_nano.py'

model = dict(
    head=dict(
        _delete_=True,
        type='MeasurementHead',
        in_channels=192,
        # circumferences of the simulated frames
        mean=[350.0],
        std=[65.0],
        is_length=True,
        loss=dict(type='mmdet.SmoothL1Loss', beta=1.0),
    ),
)
