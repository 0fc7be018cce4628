"""Segment Anything as it is, on MMOTU-2D with a point prompt."""

_base_ = [
    '../../../../_base_/models/sam.py',
    '../../../../_base_/datasets/sam_point.py',
    '../../../../_base_/schedules/test_only.py',
    '../../../../_base_/runtime/ultrasam_iter.py',
]

load_from = 'weights/sam_vit_b.pth'
