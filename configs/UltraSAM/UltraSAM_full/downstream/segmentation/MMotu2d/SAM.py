"""Mask2Former on SAM's encoder, on MMOTU-2D."""

_base_ = [
    '../../../../../_base_/models/downstream_mask2former_sam.py',
    '../../../../../_base_/datasets/downstream_segmentation_mmotu_2d.py',
    '../../../../../_base_/schedules/downstream_segmentation_8k.py',
    '../../../../../_base_/runtime/downstream_segmentation.py',
]

model = dict(
    panoptic_head=dict(num_things_classes=8, loss_cls=dict(class_weight=[1.0] * 8 + [0.1])),
    panoptic_fusion_head=dict(num_things_classes=8),
)
