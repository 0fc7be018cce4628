"""A classifier on the mean token of a ViT-B from ImageNet, trained by the recipe of MAE."""

_base_ = './downstream_classifier_sam.py'

model = dict(
    backbone=dict(
        _delete_=True,
        type='MeanTokenVisionTransformer',
        arch='b',
        img_size=1024,
        patch_size=16,
        drop_rate=0.1,
        init_cfg=dict(
            type='Pretrained',
            checkpoint='weights/vit-base-p16_pt-32xb128-mae_in1k_20220623-4c544545.pth',
            prefix='backbone.',
        ),
    ),
    neck=None,
)
