"""UltraSam without refinement, tested on the test part of all data sets with a box prompt."""

_base_ = './UltraSAM_box_refine.py'

model = dict(num_refinements=0)

test_ann_file = 'test.agnostic.noSmall.coco.json'
test_dataloader = dict(dataset=dict(ann_file=test_ann_file, data_prefix=dict(img='')))
test_evaluator = dict(ann_file=f'{_base_.data_root}/{test_ann_file}')
