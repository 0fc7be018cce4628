"""UltraSam.pth, all of it, fine-tuned on the COCO folder that ULTRASAM_DATA names: docs/finetune.md."""

_base_ = '../UltraSAM_full/UltraSAM_box_refine.py'
load_from = '{{ fileDirname }}/../../../weights/UltraSam.pth'
root = '{{$ULTRASAM_DATA:mine}}'.rstrip('/')
part = f'annotations/{{}}.{root.rpartition("/")[2]}__coco.json'
own = dict(data_root=root, data_prefix=dict(img='images'), class_agnostic=True)
train_dataloader = dict(batch_size=4, num_workers=4, dataset=dict(ann_file=part.format('train'), **own))
val_dataloader = dict(dataset=dict(ann_file=part.format('val'), **own))
test_dataloader, val_evaluator, test_evaluator = val_dataloader, dict(ann_file=None), dict(ann_file=None)
max_iters = int('{{$ULTRASAM_ITERATIONS:1000}}')
train_cfg = dict(max_iters=max_iters, val_interval=250)
optim_wrapper = dict(optimizer=dict(lr=2e-5))
param_scheduler = [dict(type='CosineAnnealingLR', by_epoch=False, eta_min_ratio=0.02, end=max_iters)]
default_hooks = dict(logger=dict(interval=20), checkpoint=dict(interval=250))
