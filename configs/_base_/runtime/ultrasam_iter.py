"""Logging, checkpoints and pictures of a run counted in iterations."""

custom_imports = dict(imports=['ultrasam.openmmlab.registry'], allow_failed_imports=False)
default_scope = 'mmdet'
runner_type = 'UltraSamRunner'

default_hooks = dict(
    timer=dict(type='IterTimerHook'),
    logger=dict(type='FirstStepLoggerHook', interval=50, log_metric_by_epoch=False),
    param_scheduler=dict(type='ParamSchedulerHook'),
    checkpoint=dict(
        type='VerifiedCheckpointHook',
        by_epoch=False,
        interval=2000,
        max_keep_ckpts=2,
        save_optimizer=True,
        save_best='coco/segm_mAP',
        rule='greater',
    ),
    sampler_seed=dict(type='DistSamplerSeedHook'),
    strict_checkpoint=dict(type='StrictCheckpointHook'),
    same_annotations=dict(type='SameAnnotationsHook'),
    throughput=dict(type='ThroughputHook'),
    # Every prompt has one answer: show it whatever its score.
    visualization=dict(type='DetVisualizationHook', draw=False, score_thr=0.0),
)

env_cfg = dict(
    cudnn_benchmark=False,
    mp_cfg=dict(mp_start_method='fork', opencv_num_threads=0),
    # seconds until a process that hangs ends the job
    dist_cfg=dict(backend='nccl', timeout=300),
)
randomness = dict(seed=0)

vis_backends = [dict(type='LocalVisBackend')]
visualizer = dict(type='PromptVisualizer', vis_backends=vis_backends, name='visualizer')
log_processor = dict(type='LogProcessor', window_size=50, by_epoch=False)
log_level = 'INFO'
load_from = None
resume = False
