"""Simulated frames at 256 px (tools/simulate.py), prompted in every way, validated with the exact box."""

_base_ = './ultrasam_common.py'

image_size = 256
resize = dict(type='FixScaleResize', scale=(image_size, image_size), keep_ratio=True)
train_pipeline = [
    _base_.load_image,
    _base_.load_annotations,
    dict(type='ContiguousRandomFlip', prob=0.5),
    resize,
    # gain and dynamic range differ from one machine to the next
    dict(
        type='PhotoMetricDistortion',
        brightness_delta=32,
        contrast_range=(0.6, 1.4),
        saturation_range=(1, 1),
        hue_delta=0,
    ),
    dict(
        type='SamplePrompts',
        prompt_probabilities=dict(point=0.5, box=0.35, point_box=0.15),
        num_points=(1, 3),
        box_jitter=0.04,
    ),
    dict(type='PackPromptedInputs', target_sizes=(image_size, image_size // 4)),
]
test_pipeline = [
    _base_.load_image,
    resize,
    _base_.load_annotations,
    dict(type='SamplePrompts', prompt_probabilities=dict(box=1.0), stage='test'),
    dict(type='PackPromptedInputs', meta_keys=_base_.test_meta_keys),
]

# the frames name their structures, the model does not: every category is taken as 'object'
frames = dict(ann_file='annotations.json', data_prefix=dict(img='images'), class_agnostic=True)
train_dataloader = dict(
    num_workers=1, dataset=dict(data_root='data/simulated/train', pipeline=train_pipeline, **frames)
)
val_dataloader = dict(
    num_workers=1, dataset=dict(data_root='data/simulated/val', pipeline=test_pipeline, **frames)
)
test_dataloader = dict(
    num_workers=1, dataset=dict(data_root='data/simulated/val', pipeline=test_pipeline, **frames)
)
# the truth is read with the frames: their file knows more categories than the model
val_evaluator = dict(ann_file=None)
test_evaluator = dict(ann_file=None)
