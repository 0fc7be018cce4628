"""A classifier of two classes: one linear layer on the mean token of SAM's encoder."""

model = dict(
    type='UltraSamClassifier',
    data_preprocessor=dict(
        type='ClsDataPreprocessor',
        mean=[123.675, 116.28, 103.53],
        std=[58.395, 57.12, 57.375],
        to_rgb=True,
        pad_size_divisor=1024,
    ),
    backbone=dict(
        type='SamFeatureEncoder',
        arch='base',
        img_size=1024,
        init_cfg=dict(
            type='Pretrained', checkpoint='weights/mapped_sam_vit_b_01ec64.pth', prefix='backbone.'
        ),
    ),
    neck=dict(type='GlobalAveragePooling'),
    head=dict(
        type='MultiLabelLinearClsHead',
        num_classes=2,
        in_channels=768,
        topk=1,
        loss=dict(type='FocalLoss', loss_weight=1.0),
    ),
)
