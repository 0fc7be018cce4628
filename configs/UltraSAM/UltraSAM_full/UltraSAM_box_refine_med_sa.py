"""UltraSam with Medical SAM adapters, trained from SAM's weights, mask refined once, tested with a box prompt."""

_base_ = [
    '../../_base_/models/ultrasam_med_sa.py',
    '../../_base_/datasets/ultrasam_box.py',
    '../../_base_/schedules/ultrasam_30k_adapters.py',
    '../../_base_/runtime/ultrasam_iter.py',
]

load_from = 'weights/mapped_sam_vit_b_01ec64.pth'
