"""Lists of images and their classes at 1024 px: MMOTU-2D."""

_base_ = './downstream_classification.py'

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
dataset = dict(metainfo=metainfo, data_prefix=name)
train_dataloader = dict(dataset=dict(**dataset, ann_file=f'{name}/annotations/train.txt'))
val_dataloader = dict(dataset=dict(**dataset, ann_file=f'{name}/annotations/val_classification.txt'))
test_dataloader = dict(dataset=dict(**dataset, ann_file=f'{name}/annotations/test_classification.txt'))
