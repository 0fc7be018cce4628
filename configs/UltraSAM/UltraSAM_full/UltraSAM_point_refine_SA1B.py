"""UltraSam trained on US-43d and part of SA-1B, mask refined once, tested on GIST514-DB with a point prompt."""

_base_ = './UltraSAM_point_refine.py'

train_dataloader = dict(dataset=dict(ann_file='train_with_SA1B.agnostic.noSmall.coco.json'))
test_ann_file = 'GIST514-DB/annotations/test.agnostic.GIST514-DB__coco.json'
test_dataloader = dict(dataset=dict(ann_file=test_ann_file, data_prefix=dict(img='GIST514-DB/images')))
test_evaluator = dict(ann_file=f'{_base_.data_root}/{test_ann_file}')
