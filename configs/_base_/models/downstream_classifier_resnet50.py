"""A classifier on a ResNet-50 from ImageNet."""

_base_ = './downstream_classifier_sam.py'

model = dict(
    backbone=dict(
        _delete_=True,
        type='mmdet.ResNet',
        depth=50,
        num_stages=4,
        out_indices=(3,),
        style='pytorch',
        init_cfg=dict(
            type='Pretrained',
            checkpoint='weights/resnet50-0676ba61.pth',
            # the thousand classes of ImageNet
            allow_unexpected=[r'fc\..*'],
        ),
    ),
    head=dict(in_channels=2048),
)
