"""UltraSam with a ViT-B encoder at 1024 px, refining once: the published model."""

model = dict(
    type='UltraSam',
    num_refinements=1,
    data_preprocessor=dict(
        type='DetDataPreprocessor',
        mean=[123.675, 116.28, 103.53],
        std=[58.395, 57.12, 57.375],
        bgr_to_rgb=True,
        pad_size_divisor=1024,
    ),
    # attention without whole maps: training keeps a quarter of the memory of a layer over the whole image
    backbone=dict(type='SamImageEncoder', arch='base', img_size=1024, attention='augmented'),
    prompt_encoder=dict(type='SamPromptEncoder', img_size=1024),
    decoder=dict(type='SamTwoWayTransformer', mlp_skip='doubled'),
    bbox_head=dict(
        type='SamMaskHead',
        loss_dice=dict(
            type='DiceLoss', loss_weight=1.0, eps=1.0, activate=True, use_sigmoid=True, naive_dice=False
        ),
        loss_focal=dict(type='FocalLoss', loss_weight=20.0, use_sigmoid=True, gamma=2.0, alpha=0.25),
        loss_iou=dict(type='MSELoss', loss_weight=1.0),
        mask_upsampling='binary',
    ),
)
