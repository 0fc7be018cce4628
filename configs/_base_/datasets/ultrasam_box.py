"""Class-agnostic COCO data at 1024 px, tested with the exact box."""

_base_ = './ultrasam_common.py'

test_pipeline = [
    _base_.load_image,
    _base_.resize,
    _base_.load_annotations,
    dict(type='SamplePrompts', prompt_probabilities=dict(box=1.0), stage='test'),
    dict(type='PackPromptedInputs', meta_keys=_base_.test_meta_keys),
]
val_dataloader = dict(dataset=dict(pipeline=test_pipeline))
test_dataloader = dict(dataset=dict(pipeline=test_pipeline))
