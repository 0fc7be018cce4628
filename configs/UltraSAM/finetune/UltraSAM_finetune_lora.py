"""UltraSam.pth with its encoder frozen but for LoRA, fine-tuned like UltraSAM_finetune.py: docs/finetune.md."""

_base_ = './UltraSAM_finetune.py'

model = dict(
    type='AdaptedUltraSam',
    backbone=dict(type='LoraImageEncoder', rank=16, alpha=16, dropout=0.1, base_checkpoint=_base_.load_from),
)
custom_hooks = [dict(type='AdapterCheckpointHook')]
optim_wrapper = dict(optimizer=dict(lr=1e-4))
