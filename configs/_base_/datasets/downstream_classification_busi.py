"""Lists of images and their classes at 1024 px: BUSI."""

_base_ = './downstream_classification.py'

name = 'BUSI'
metainfo = dict(classes=('benign', 'malignant'))
dataset = dict(metainfo=metainfo, data_prefix=name)
train_dataloader = dict(dataset=dict(**dataset, ann_file=f'{name}/annotations/train.txt'))
val_dataloader = dict(dataset=dict(**dataset, ann_file=f'{name}/annotations/val_classification.txt'))
test_dataloader = dict(dataset=dict(**dataset, ann_file=f'{name}/annotations/test_classification.txt'))
