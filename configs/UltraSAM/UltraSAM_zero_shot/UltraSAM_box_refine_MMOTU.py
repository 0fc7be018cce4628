"""UltraSam that never saw an ovary, tested on MMOTU-2D with a box prompt."""

_base_ = '../UltraSAM_full/UltraSAM_box_refine.py'

train_dataloader = dict(dataset=dict(ann_file='train.noStructure.MMOTU_2d.json'))
val_ann_file = 'val.noStructure.MMOTU_2d.json'
val_dataloader = dict(dataset=dict(ann_file=val_ann_file))
val_evaluator = dict(ann_file=f'{_base_.data_root}/{val_ann_file}')
test_ann_file = 'MMOTU_2d/annotations/test.agnostic.MMOTU_2d__coco.json'
test_dataloader = dict(dataset=dict(ann_file=test_ann_file, data_prefix=dict(img='MMOTU_2d/images')))
test_evaluator = dict(ann_file=f'{_base_.data_root}/{test_ann_file}')
