"""A classifier of several classes an image on the encoder of the small model that ships, at 256 px."""

_base_ = './downstream_classifier_sam.py'

model = dict(
    data_preprocessor=dict(pad_size_divisor=256),
    backbone=dict(
        img_size=256,
        arch=dict(
            _delete_=True,
            embed_dims=192,
            num_layers=8,
            num_heads=6,
            feedforward_channels=768,
            global_attn_indexes=tuple(range(8)),
        ),
        init_cfg=dict(checkpoint='weights/ultrasam_nano_256.pth'),
    ),
    head=dict(
        _delete_=True,
        type='MultiLabelLinearClsHead',
        num_classes=9,
        in_channels=192,
        thr=0.5,
        # each class by itself
        loss=dict(type='CrossEntropyLoss', use_sigmoid=True),
    ),
)
