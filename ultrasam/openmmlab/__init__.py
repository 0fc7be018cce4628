"""The shell: UltraSam's plain parts registered with OpenMMLab, built from configs, trained and tested there.

Nothing else in this package imports mmengine, mmcv, mmdet or mmpretrain.
"""
