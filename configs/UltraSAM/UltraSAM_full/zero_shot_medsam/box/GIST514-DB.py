"""MedSAM as it is, on GIST514-DB with a box prompt."""

_base_ = './MMotu2d.py'

test_ann_file = 'GIST514-DB/annotations/test.agnostic.GIST514-DB__coco.json'
test_dataloader = dict(dataset=dict(ann_file=test_ann_file, data_prefix=dict(img='GIST514-DB/images')))
test_evaluator = dict(ann_file=f'{_base_.data_root}/{test_ann_file}')
