"""Lists of images and their classes at 1024 px; BUS-BRA."""

data_root = 'UltraSAM_DATA/UltraSAM'
name = 'BUSBRA'
image_size = 1024
metainfo = dict(classes=('breast_nodule_benign', 'breast_nodule_malignant'))

resize = dict(type='mmdet.FixScaleResize', scale=(image_size, image_size), keep_ratio=True)
# black pixels, before normalisation, as the published classifiers were trained
pad = dict(type='mmdet.Pad', size=(image_size, image_size), pad_val=dict(img=0))
train_pipeline = [
    dict(type='LoadFrame'),
    dict(type='RandomFlip', prob=0.5, direction='horizontal'),
    resize,
    pad,
    dict(type='PackInputs'),
]
test_pipeline = [dict(type='LoadFrame'), resize, pad, dict(type='PackInputs')]

dataset = dict(type='ClassListDataset', data_root=data_root, metainfo=metainfo, data_prefix=name)
train_dataloader = dict(
    batch_size=8,
    num_workers=6,
    persistent_workers=True,
    # a worker that gives nothing for so many seconds ends the run
    timeout=300,
    sampler=dict(type='mmdet.ReplayableSampler', shuffle=True),
    batch_sampler=dict(type='ResumableBatchSampler'),
    dataset=dict(**dataset, ann_file=f'{name}/annotations/train.txt', pipeline=train_pipeline),
)
val_dataloader = dict(
    batch_size=1,
    num_workers=2,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(
        **dataset,
        ann_file=f'{name}/annotations/val_classification.txt',
        test_mode=True,
        pipeline=test_pipeline,
    ),
)
test_dataloader = dict(
    batch_size=1,
    num_workers=2,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(
        **dataset,
        ann_file=f'{name}/annotations/test_classification.txt',
        test_mode=True,
        pipeline=test_pipeline,
    ),
)

val_evaluator = dict(type='ClassificationMetric')
test_evaluator = dict(type='ClassificationMetric')
