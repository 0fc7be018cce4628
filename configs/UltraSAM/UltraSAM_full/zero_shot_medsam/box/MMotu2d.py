"""MedSAM as it is, on MMOTU-2D with a box prompt."""

_base_ = [
    '../../../../_base_/models/medsam.py',
    '../../../../_base_/datasets/medsam_box.py',
    '../../../../_base_/schedules/test_only.py',
    '../../../../_base_/runtime/ultrasam_iter.py',
]

load_from = 'weights/mapped_medsam_vit_b.pth'
