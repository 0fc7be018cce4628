"""COCO instances with their classes at 1024 px, prompted: MMOTU-2D."""

_base_ = './downstream_prompted_classification.py'

name = 'MMOTU_2d'
metainfo = dict(
    classes=(
        'chocolate_cyst',
        'serous_cystadenoma',
        'teratoma',
        'thera_cell_tumor',
        'simple_cyst',
        'normal_ovary',
        'mucinous_cystadenoma',
        'high_grade_serous',
    )
)
dataset = dict(metainfo=metainfo, data_prefix=dict(img=f'{name}/images'))
train_dataloader = dict(dataset=dict(**dataset, ann_file=f'{name}/annotations/train.{name}__coco.json'))
val_ann_file = f'{name}/annotations/val.{name}__coco.json'
val_dataloader = dict(dataset=dict(**dataset, ann_file=val_ann_file))
test_ann_file = f'{name}/annotations/test.{name}__coco.json'
test_dataloader = dict(dataset=dict(**dataset, ann_file=test_ann_file))
val_evaluator = [dict(**_base_.masks, ann_file=f'{_base_.data_root}/{val_ann_file}'), _base_.classes]
test_evaluator = [dict(**_base_.masks, ann_file=f'{_base_.data_root}/{test_ann_file}'), _base_.classes]
