"""A classifier on SAM's encoder whose classes compete (softmax), trained with cross-entropy."""

_base_ = './downstream_classifier_sam.py'

model = dict(
    head=dict(
        _delete_=True,
        type='LinearClsHead',
        num_classes=2,
        in_channels=768,
        loss=dict(type='CrossEntropyLoss', loss_weight=1.0),
    )
)
