"""Simulated frames and a length that was measured on each, at 1024 px (tools/label_lists.py)."""

data_root = 'data/simulated'
image_size = 1024

load_image = dict(type='LoadFrame')
flip = dict(type='RandomFlip', prob=0.5, direction='horizontal')
# lengths are lengths only where both sides are scaled alike
resize = dict(type='mmdet.FixScaleResize', scale=(image_size, image_size), keep_ratio=True)
pad = dict(type='mmdet.Pad', size=(image_size, image_size), pad_val=dict(img=0))
train_pipeline = [load_image, flip, resize, pad, dict(type='PackInputs')]
test_pipeline = [load_image, resize, pad, dict(type='PackInputs')]

dataset = dict(type='ValueListDataset', data_root=data_root, values=('circumference_px',))
train_dataloader = dict(
    batch_size=8,
    num_workers=2,
    persistent_workers=True,
    # a worker that gives nothing for so many seconds ends the run
    timeout=300,
    sampler=dict(type='mmdet.ReplayableSampler', shuffle=True),
    batch_sampler=dict(type='ResumableBatchSampler'),
    dataset=dict(**dataset, data_prefix='train', ann_file='train/circumference.txt', pipeline=train_pipeline),
)
val_dataloader = dict(
    batch_size=8,
    num_workers=1,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(
        **dataset,
        data_prefix='val',
        ann_file='val/circumference.txt',
        test_mode=True,
        pipeline=test_pipeline,
    ),
)
test_dataloader = dict(
    batch_size=8,
    num_workers=1,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(
        **dataset,
        data_prefix='test',
        ann_file='test/circumference.txt',
        test_mode=True,
        pipeline=test_pipeline,
    ),
)

val_evaluator = dict(type='AgreementMetric')
test_evaluator = dict(type='AgreementMetric')
