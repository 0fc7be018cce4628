"""UltraSam that never saw the digestive tract, tested on GIST514-DB with a point prompt."""

_base_ = '../UltraSAM_full/UltraSAM_point_refine.py'

train_dataloader = dict(dataset=dict(ann_file='train.noStructure.GIST514-DB.json'))
val_ann_file = 'val.noStructure.GIST514-DB.json'
val_dataloader = dict(dataset=dict(ann_file=val_ann_file))
val_evaluator = dict(ann_file=f'{_base_.data_root}/{val_ann_file}')
test_ann_file = 'GIST514-DB/annotations/test.agnostic.GIST514-DB__coco.json'
test_dataloader = dict(dataset=dict(ann_file=test_ann_file, data_prefix=dict(img='GIST514-DB/images')))
test_evaluator = dict(ann_file=f'{_base_.data_root}/{test_ann_file}')
