"""UltraSam whose image encoder is frozen but for low-rank updates of its attention (LoRA)."""

_base_ = './ultrasam.py'

model = dict(
    type='AdaptedUltraSam',
    backbone=dict(
        type='LoraImageEncoder',
        rank=16,
        alpha=16,
        dropout=0.1,
        # read whenever the model is built: a checkpoint of this model holds the updates alone
        base_checkpoint='weights/mapped_sam_vit_b_01ec64.pth',
    ),
)
custom_hooks = [dict(type='AdapterCheckpointHook')]
