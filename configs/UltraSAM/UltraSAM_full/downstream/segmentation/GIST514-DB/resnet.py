"""Mask2Former on a ResNet-50, on GIST514-DB."""

_base_ = [
    '../../../../../_base_/models/downstream_mask2former_resnet50.py',
    '../../../../../_base_/datasets/downstream_segmentation_gist514_db.py',
    '../../../../../_base_/schedules/downstream_segmentation_8k.py',
    '../../../../../_base_/runtime/downstream_segmentation.py',
]
