"""COCO instances with their classes at 1024 px, trained with points and boxes, tested with the exact box; BUS-BRA."""

_base_ = './ultrasam_box.py'

name = 'BUSBRA'
metainfo = dict(classes=('breast_nodule_benign', 'breast_nodule_malignant'))
dataset = dict(metainfo=metainfo, data_prefix=dict(img=f'{name}/images'))
train_dataloader = dict(dataset=dict(**dataset, ann_file=f'{name}/annotations/train.{name}__coco.json'))
val_ann_file = f'{name}/annotations/val.{name}__coco.json'
val_dataloader = dict(dataset=dict(**dataset, ann_file=val_ann_file))
test_ann_file = f'{name}/annotations/test.{name}__coco.json'
test_dataloader = dict(dataset=dict(**dataset, ann_file=test_ann_file))

masks = dict(type='UltraSamCocoMetric', metric=['bbox', 'segm'], classwise=True)
classes = dict(type='ObjectLabelMetric')
val_evaluator = [dict(**masks, ann_file=f'{_base_.data_root}/{val_ann_file}'), classes]
test_evaluator = [dict(**masks, ann_file=f'{_base_.data_root}/{test_ann_file}'), classes]
