"""The small model that ships, fine-tuned on the COCO folder that ULTRASAM_DATA names: docs/finetune.md."""

_base_ = '../nano/ultrasam_nano_256.py'
load_from = '{{ fileDirname }}/../../../weights/ultrasam_nano_256.pth'
root = '{{$ULTRASAM_DATA:mine}}'.rstrip('/')
part = f'annotations/{{}}.{root.rpartition("/")[2]}__coco.json'
train_dataloader = dict(batch_size=4, dataset=dict(data_root=root, ann_file=part.format('train')))
val_dataloader = dict(dataset=dict(data_root=root, ann_file=part.format('val')))
test_dataloader = val_dataloader
max_iters = int('{{$ULTRASAM_ITERATIONS:100}}')
train_cfg = dict(max_iters=max_iters, val_interval=50)
optim_wrapper = dict(optimizer=dict(lr=2e-4))
param_scheduler = [dict(type='CosineAnnealingLR', by_epoch=False, eta_min_ratio=0.02, end=max_iters)]
default_hooks = dict(logger=dict(interval=20), checkpoint=dict(interval=50))
