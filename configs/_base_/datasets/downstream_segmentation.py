"""COCO instances with their classes at 1024 px, resized and cropped at random for training; BUS-BRA."""

data_root = 'UltraSAM_DATA/UltraSAM'
name = 'BUSBRA'
image_size = 1024
metainfo = dict(classes=('breast_nodule_benign', 'breast_nodule_malignant'))

load_image = dict(type='LoadFrame', to_float32=True)
load_annotations = dict(type='LoadInstanceAnnotations', with_bbox=True, with_mask=True)
train_pipeline = [
    load_image,
    load_annotations,
    dict(type='ContiguousRandomFlip', prob=0.5),
    dict(
        type='RandomResize',
        scale=(image_size, image_size),
        ratio_range=(0.1, 2.0),
        resize_type='Resize',
        keep_ratio=True,
    ),
    dict(
        type='RandomCrop',
        crop_size=(image_size, image_size),
        crop_type='absolute',
        recompute_bbox=True,
        allow_negative_crop=True,
    ),
    # what the crop leaves without object is a sample too
    dict(type='FilterAnnotations', min_gt_bbox_wh=(1e-5, 1e-5), by_mask=True, keep_empty=False),
    dict(type='PackDetInputs'),
]
test_pipeline = [
    load_image,
    dict(type='Resize', scale=(image_size, image_size), keep_ratio=True),
    load_annotations,
    dict(type='PackDetInputs', meta_keys=('img_id', 'img_path', 'ori_shape', 'img_shape', 'scale_factor')),
]

dataset = dict(
    type='UltraSamCocoDataset',
    data_root=data_root,
    metainfo=metainfo,
    data_prefix=dict(img=f'{name}/images'),
)
train_dataloader = dict(
    batch_size=8,
    num_workers=6,
    persistent_workers=True,
    # a worker that gives nothing for so many seconds ends the run
    timeout=300,
    sampler=dict(type='ReplayableSampler', shuffle=True),
    batch_sampler=dict(type='ReplayableBatchSampler'),
    dataset=dict(
        **dataset,
        ann_file=f'{name}/annotations/train.{name}__coco.json',
        filter_cfg=dict(filter_empty_gt=True, min_size=16),
        pipeline=train_pipeline,
    ),
)
val_dataloader = dict(
    batch_size=1,
    num_workers=2,
    drop_last=False,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(
        **dataset,
        ann_file=f'{name}/annotations/val.{name}__coco.json',
        test_mode=True,
        pipeline=test_pipeline,
    ),
)
test_dataloader = dict(
    batch_size=1,
    num_workers=2,
    drop_last=False,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(
        **dataset,
        ann_file=f'{name}/annotations/test.{name}__coco.json',
        test_mode=True,
        pipeline=test_pipeline,
    ),
)

val_evaluator = dict(
    type='UltraSamCocoMetric',
    ann_file=f'{data_root}/{name}/annotations/val.{name}__coco.json',
    metric=['bbox', 'segm'],
    classwise=True,
)
test_evaluator = dict(
    type='UltraSamCocoMetric',
    ann_file=f'{data_root}/{name}/annotations/test.{name}__coco.json',
    metric=['bbox', 'segm'],
    classwise=True,
)
