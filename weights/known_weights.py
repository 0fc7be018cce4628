"""Published weights that this package loads, converts or compares with: a description, no control flow.

Sizes are about right, in 10^6 bytes: four bytes for each published parameter where the publisher states none.
Meta's names of SAM carry the first digits of the MD5, OpenMMLab's and torchvision's those of the SHA-256.
"""

from __future__ import annotations

from ultrasam.downloads.known_weights import KnownWeights

_SAM_PAPER = 'Kirillov et al., Segment Anything, ICCV 2023, arXiv 2304.02643'
_SAM_PAGE = 'https://github.com/facebookresearch/segment-anything'
_SAM_UNSURE = 'that the digits in the file name are those of the MD5 (recalled; the publisher does not say)'
_SAM_HOST = 'https://dl.fbaipublicfiles.com/segment_anything'
_VIT_SAM_PAGE = 'https://github.com/open-mmlab/mmpretrain/tree/main/configs/sam'

KNOWN_WEIGHTS = (
    KnownWeights(
        name='UltraSam',
        file='UltraSam.pth',
        urls=('https://s3.unistra.fr/camma_public/github/ultrasam/UltraSam.pth',),
        page='https://github.com/CAMMA-public/UltraSam',
        size_mb=375,
        sha256='d7c223dd03f56b0b77cd246aa3edfae651e99f0ee2dde2e8c50eda7b21fa8a0c',
        sha256_source='reported by a third party, not by the authors',
        licence='CC BY-NC-SA 4.0',
        citation='Meyer et al., UltraSam, 2024, arXiv 2411.16222',
        purpose='ultrasound: prediction, evaluation, fine-tuning',
        unsure='the address (recalled; look on the page if it fails)',
    ),
    KnownWeights(
        name='sam_vit_b',
        file='sam_vit_b_01ec64.pth',
        urls=(f'{_SAM_HOST}/sam_vit_b_01ec64.pth',),
        page=_SAM_PAGE,
        size_mb=375,
        md5_prefix='01ec64',
        licence='Apache-2.0',
        citation=_SAM_PAPER,
        purpose='start of training (convert it first), baseline',
        unsure=_SAM_UNSURE,
    ),
    KnownWeights(
        name='sam_vit_l',
        file='sam_vit_l_0b3195.pth',
        urls=(f'{_SAM_HOST}/sam_vit_l_0b3195.pth',),
        page=_SAM_PAGE,
        size_mb=1250,
        md5_prefix='0b3195',
        licence='Apache-2.0',
        citation=_SAM_PAPER,
        purpose='start of training, larger encoder',
        unsure=_SAM_UNSURE,
    ),
    KnownWeights(
        name='sam_vit_h',
        file='sam_vit_h_4b8939.pth',
        urls=(f'{_SAM_HOST}/sam_vit_h_4b8939.pth',),
        page=_SAM_PAGE,
        size_mb=2565,
        md5_prefix='4b8939',
        licence='Apache-2.0',
        citation=_SAM_PAPER,
        purpose='start of training, largest encoder',
        unsure=_SAM_UNSURE,
    ),
    KnownWeights(
        name='medsam_vit_b',
        file='medsam_vit_b.pth',
        urls=('https://zenodo.org/records/10689643/files/medsam_vit_b.pth',),
        page='https://github.com/bowang-lab/MedSAM',
        size_mb=375,
        licence='Apache-2.0',
        citation='Ma et al., Segment anything in medical images, Nature Communications 15:654, 2024',
        purpose='baseline; encoder of downstream tasks',
        unsure='the address (recalled; if it fails, the page links to Google Drive, which asks for a click)',
    ),
    KnownWeights(
        name='sam-med2d_b',
        file='sam-med2d_b.pth',
        urls=(),
        page='https://github.com/OpenGVLab/SAM-Med2D',
        size_mb=1084,
        licence='Apache-2.0',
        citation='Cheng et al., SAM-Med2D, 2023, arXiv 2308.16184',
        purpose='baseline (has adapters and 256 px tables of its own)',
        unsure='the size (from the 271 M parameters of the paper), and the licence (that of the repository)',
    ),
    KnownWeights(
        name='vit-base-p16_sam-pre',
        file='vit-base-p16_sam-pre_3rdparty_sa1b-1024px_20230411-2320f9cc.pth',
        urls=(
            'https://mmassets.onedl.ai/mmclassification/v1/vit_sam/vit-base-p16_sam-pre_3rdparty_sa1b-1024px_20230411-2320f9cc.pth',
            'https://download.openmmlab.com/mmclassification/v1/vit_sam/vit-base-p16_sam-pre_3rdparty_sa1b-1024px_20230411-2320f9cc.pth',
        ),
        page=_VIT_SAM_PAGE,
        size_mb=359,
        sha256_prefix='2320f9cc',
        licence='Apache-2.0',
        citation=_SAM_PAPER,
        purpose='encoder of SAM ViT-B alone, under OpenMMLab names',
    ),
    KnownWeights(
        name='vit-large-p16_sam-pre',
        file='vit-large-p16_sam-pre_3rdparty_sa1b-1024px_20230411-595feafd.pth',
        urls=(
            'https://mmassets.onedl.ai/mmclassification/v1/vit_sam/vit-large-p16_sam-pre_3rdparty_sa1b-1024px_20230411-595feafd.pth',
            'https://download.openmmlab.com/mmclassification/v1/vit_sam/vit-large-p16_sam-pre_3rdparty_sa1b-1024px_20230411-595feafd.pth',
        ),
        page=_VIT_SAM_PAGE,
        size_mb=1232,
        sha256_prefix='595feafd',
        licence='Apache-2.0',
        citation=_SAM_PAPER,
        purpose='encoder of SAM ViT-L alone',
    ),
    KnownWeights(
        name='vit-huge-p16_sam-pre',
        file='vit-huge-p16_sam-pre_3rdparty_sa1b-1024px_20230411-3f13c653.pth',
        urls=(
            'https://mmassets.onedl.ai/mmclassification/v1/vit_sam/vit-huge-p16_sam-pre_3rdparty_sa1b-1024px_20230411-3f13c653.pth',
            'https://download.openmmlab.com/mmclassification/v1/vit_sam/vit-huge-p16_sam-pre_3rdparty_sa1b-1024px_20230411-3f13c653.pth',
        ),
        page=_VIT_SAM_PAGE,
        size_mb=2548,
        sha256_prefix='3f13c653',
        licence='Apache-2.0',
        citation=_SAM_PAPER,
        purpose='encoder of SAM ViT-H alone',
    ),
    KnownWeights(
        name='vit-base-p16_mae-in1k',
        file='vit-base-p16_pt-32xb128-mae_in1k_20220623-4c544545.pth',
        urls=(
            'https://mmassets.onedl.ai/mmclassification/v0/vit/vit-base-p16_pt-32xb128-mae_in1k_20220623-4c544545.pth',
            'https://download.openmmlab.com/mmclassification/v0/vit/vit-base-p16_pt-32xb128-mae_in1k_20220623-4c544545.pth',
        ),
        page='https://github.com/open-mmlab/mmpretrain/tree/main/configs/vision_transformer',
        size_mb=346,
        sha256_prefix='4c544545',
        licence='Apache-2.0 (trained on ImageNet)',
        citation='He et al., Masked Autoencoders Are Scalable Vision Learners, CVPR 2022, arXiv 2111.06377',
        purpose='baseline of image classification',
        unsure='terms of the weights apart from those of their repository, and of ImageNet behind them',
    ),
    KnownWeights(
        name='resnet50_in1k',
        file='resnet50-0676ba61.pth',
        urls=('torchvision://ResNet50_Weights.IMAGENET1K_V1',),
        page='https://github.com/pytorch/vision',
        size_mb=103,
        sha256_prefix='0676ba61',
        licence='BSD-3-Clause (trained on ImageNet)',
        citation='He et al., Deep Residual Learning for Image Recognition, CVPR 2016, arXiv 1512.03385',
        purpose='baseline of image classification and segmentation',
        unsure='terms of the weights apart from those of their repository, and of ImageNet behind them',
    ),
    KnownWeights(
        name='mask2former_r50_coco',
        file='mask2former_r50_coco.pth',
        urls=(
            'https://download.openmmlab.com/mmdetection/v3.0/mask2former/mask2former_r50_8xb2-lsj-50e_coco/mask2former_r50_8xb2-lsj-50e_coco_20220506_191028-41b088b6.pth',
        ),
        page='https://github.com/open-mmlab/mmdetection/tree/main/configs/mask2former',
        size_mb=176,
        sha256_prefix='41b088b6',
        licence='Apache-2.0 (trained on COCO)',
        citation='Cheng et al., Masked-attention Mask Transformer, CVPR 2022, arXiv 2112.01527',
        purpose='baseline of instance segmentation',
        unsure='the size (from the 44 M parameters of the paper)',
    ),
)
