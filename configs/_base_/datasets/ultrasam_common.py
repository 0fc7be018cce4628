"""Class-agnostic COCO data at 1024 px; the test prompt is left to ultrasam_point.py and ultrasam_box.py."""

dataset_type = 'UltraSamCocoDataset'
data_root = 'UltraSAM_DATA/UltraSAM'
metainfo = dict(classes=('object',))
train_ann_file = 'train.agnostic.noSmall.coco.json'
val_ann_file = 'val.agnostic.noSmall.coco.json'
test_ann_file = 'MMOTU_2d/annotations/test.agnostic.MMOTU_2d__coco.json'
image_size = 1024

load_image = dict(type='LoadFrame')
load_annotations = dict(type='LoadInstanceAnnotations', with_bbox=True, with_mask=True)
resize = dict(type='FixScaleResize', scale=(image_size, image_size), keep_ratio=True)
test_meta_keys = ('img_id', 'img_path', 'ori_shape', 'img_shape', 'scale_factor', 'instances')

train_pipeline = [
    load_image,
    load_annotations,
    dict(type='ContiguousRandomFlip', prob=0.5),
    resize,
    dict(type='SamplePrompts', prompt_probabilities=dict(point=0.5, box=0.5), box_jitter=0.05),
    dict(type='PackPromptedInputs', target_sizes=(image_size, image_size // 4)),
]

train_dataloader = dict(
    batch_size=8,
    num_workers=6,
    persistent_workers=True,
    # a worker that gives nothing for so many seconds ends the run
    timeout=300,
    sampler=dict(type='ReplayableSampler', shuffle=True),
    batch_sampler=dict(type='ReplayableBatchSampler'),
    dataset=dict(
        type=dataset_type,
        data_root=data_root,
        metainfo=metainfo,
        ann_file=train_ann_file,
        data_prefix=dict(img=''),
        filter_cfg=dict(filter_empty_gt=True),
        pipeline=train_pipeline,
    ),
)
val_dataloader = dict(
    batch_size=1,
    num_workers=2,
    drop_last=False,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(
        type=dataset_type,
        data_root=data_root,
        metainfo=metainfo,
        ann_file=val_ann_file,
        data_prefix=dict(img=''),
        test_mode=True,
    ),
)
test_dataloader = dict(
    batch_size=1,
    num_workers=2,
    drop_last=False,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(
        type=dataset_type,
        data_root=data_root,
        metainfo=metainfo,
        ann_file=test_ann_file,
        data_prefix=dict(img='MMOTU_2d/images'),
        test_mode=True,
    ),
)

val_evaluator = dict(
    type='UltraSamCocoMetric',
    ann_file=f'{data_root}/{val_ann_file}',
    metric=['bbox', 'segm'],
    classwise=True,
    format_only=False,
)
test_evaluator = dict(
    type='UltraSamCocoMetric',
    ann_file=f'{data_root}/{test_ann_file}',
    metric=['bbox', 'segm'],
    classwise=True,
    format_only=False,
)
