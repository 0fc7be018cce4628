"""Mask2Former on a feature pyramid from SAM's encoder, on GIST514-DB."""

_base_ = [
    '../../../../../_base_/models/downstream_mask2former_sam_pyramid.py',
    '../../../../../_base_/datasets/downstream_segmentation_gist514_db.py',
    '../../../../../_base_/schedules/downstream_segmentation_8k.py',
    '../../../../../_base_/runtime/downstream_segmentation.py',
]
