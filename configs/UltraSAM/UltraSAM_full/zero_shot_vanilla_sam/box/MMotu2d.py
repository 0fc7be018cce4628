"""Segment Anything as it is, on MMOTU-2D with a box prompt."""

_base_ = [
    '../../../../_base_/models/sam.py',
    '../../../../_base_/datasets/sam_box.py',
    '../../../../_base_/schedules/test_only.py',
    '../../../../_base_/runtime/ultrasam_iter.py',
]

load_from = 'weights/sam_vit_b.pth'
