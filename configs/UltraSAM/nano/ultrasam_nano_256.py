"""A small model at 256 px, trained from scratch on simulated frames with corrective clicks."""

_base_ = [
    '../../_base_/models/ultrasam.py',
    '../../_base_/datasets/simulated_256.py',
    '../../_base_/schedules/nano.py',
    '../../_base_/runtime/ultrasam_iter.py',
]

model = dict(
    data_preprocessor=dict(pad_size_divisor=256),
    backbone=dict(
        img_size=256,
        attention='bias',
        # 256 tokens see each other in every layer: a window would save nothing
        arch=dict(
            _delete_=True,
            embed_dims=192,
            num_layers=8,
            num_heads=6,
            feedforward_channels=768,
            global_attn_indexes=tuple(range(8)),
        ),
    ),
    prompt_encoder=dict(img_size=256, box_mask='ellipse'),
    decoder=dict(dropout=0.0),
    bbox_head=dict(mask_upsampling='logits', iou_supervision='all', loss_iou=dict(loss_weight=2.0)),
    point_refinement='keep',
    # trained with clicks between the passes, it has nothing to gain from a second look at the same prompt
    inference_refinements=0,
    training_procedure=dict(type='CorrectiveClicks', rounds=2),
)
