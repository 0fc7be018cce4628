"""Segment Anything as it is, on BUS-BRA with a box prompt."""

_base_ = './MMotu2d.py'

test_ann_file = 'BUSBRA/annotations/test.agnostic.BUSBRA__coco.json'
test_dataloader = dict(dataset=dict(ann_file=test_ann_file, data_prefix=dict(img='BUSBRA/images')))
test_evaluator = dict(ann_file=f'{_base_.data_root}/{test_ann_file}')
