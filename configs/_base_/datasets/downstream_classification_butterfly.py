"""Lists of images and their classes at 1024 px: Butterfly."""

_base_ = './downstream_classification.py'

data_root = 'data'
name = 'Butterfly'
metainfo = dict(
    classes=(
        'carotid',
        '2ch',
        'lungs',
        'ivc',
        '4ch',
        'bladder',
        'thyroid',
        'plax',
        'morisons_pouch',
    )
)
dataset = dict(data_root=data_root, metainfo=metainfo, data_prefix=name)
train_dataloader = dict(dataset=dict(**dataset, ann_file=f'{name}/annotations/train.txt'))
val_dataloader = dict(dataset=dict(**dataset, ann_file=f'{name}/annotations/val_classification.txt'))
test_dataloader = dict(dataset=dict(**dataset, ann_file=f'{name}/annotations/test_classification.txt'))
