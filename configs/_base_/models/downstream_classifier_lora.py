"""A classifier on SAM's encoder, frozen but for low-rank updates of its attention (LoRA)."""

_base_ = './downstream_classifier_sam.py'

model = dict(
    backbone=dict(
        _delete_=True,
        type='LoraFeatureEncoder',
        arch='base',
        img_size=1024,
        rank=16,
        alpha=16,
        dropout=0.1,
        # read whenever the model is built: a checkpoint of this model holds the updates alone
        base_checkpoint='weights/mapped_sam_vit_b_01ec64.pth',
    )
)
custom_hooks = [dict(type='AdapterCheckpointHook')]
