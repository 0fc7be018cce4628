"""UltraSam trained without the public test lists of US-43d, tested with a box prompt."""

_base_ = './UltraSAM_box_refine.py'

train_dataloader = dict(dataset=dict(ann_file='train.clean.agnostic.noSmall.coco.json'))
val_ann_file = 'val.clean.agnostic.noSmall.coco.json'
val_dataloader = dict(dataset=dict(ann_file=val_ann_file))
val_evaluator = dict(ann_file=f'{_base_.data_root}/{val_ann_file}')
