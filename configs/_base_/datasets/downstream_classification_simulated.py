"""Simulated frames and the structures that each shows, any number of them, at 256 px (tools/label_lists.py)."""

_base_ = './downstream_classification.py'

data_root = 'data/simulated'
image_size = 256
metainfo = dict(
    classes=(
        'cyst',
        'solid_mass',
        'complex_mass',
        'follicle',
        'organ',
        'vessel',
        'nerve',
        'chamber',
        'head',
    )
)
resize = dict(type='mmdet.FixScaleResize', scale=(image_size, image_size), keep_ratio=True)
pad = dict(type='mmdet.Pad', size=(image_size, image_size), pad_val=dict(img=0))
load_image = dict(type='LoadFrame')
flip = dict(type='RandomFlip', prob=0.5, direction='horizontal')
train_pipeline = [load_image, flip, resize, pad, dict(type='PackInputs')]
test_pipeline = [load_image, resize, pad, dict(type='PackInputs')]

dataset = dict(data_root=data_root, metainfo=metainfo, multi_label=True)
train_dataloader = dict(
    num_workers=1,
    dataset=dict(**dataset, data_prefix='train', ann_file='train/structures.txt', pipeline=train_pipeline),
)
val_dataloader = dict(
    batch_size=8,
    num_workers=1,
    dataset=dict(**dataset, data_prefix='val', ann_file='val/structures.txt', pipeline=test_pipeline),
)
test_dataloader = dict(
    batch_size=8,
    num_workers=1,
    dataset=dict(**dataset, data_prefix='test', ann_file='test/structures.txt', pipeline=test_pipeline),
)
val_evaluator = dict(multi_label=True)
test_evaluator = dict(multi_label=True)
