"""UltraSam that also tells which of two classes each object is of."""

_base_ = './ultrasam.py'

model = dict(
    type='PromptedClassifier',
    bbox_head=dict(
        type='SamClassificationHead',
        num_classes=2,
        # width of the tokens of ViT-B
        image_dims=768,
        loss_cls=dict(type='FocalLoss', loss_weight=1.0, use_sigmoid=True, gamma=2.0, alpha=0.25),
    ),
)
