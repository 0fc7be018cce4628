"""UltraSam that never saw a breast, tested on BUS-BRA with a box prompt."""

_base_ = '../UltraSAM_full/UltraSAM_box_refine.py'

train_dataloader = dict(dataset=dict(ann_file='train.noStructure.BUSBRA.json'))
val_ann_file = 'val.noStructure.BUSBRA.json'
val_dataloader = dict(dataset=dict(ann_file=val_ann_file))
val_evaluator = dict(ann_file=f'{_base_.data_root}/{val_ann_file}')
test_ann_file = 'BUSBRA/annotations/test.agnostic.BUSBRA__coco.json'
test_dataloader = dict(dataset=dict(ann_file=test_ann_file, data_prefix=dict(img='BUSBRA/images')))
test_evaluator = dict(ann_file=f'{_base_.data_root}/{test_ann_file}')
