"""Images are squeezed as MedSAM's were."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from mmdet.datasets.transforms import RandomFlip

from ultrasam.errors import ConfigError
from ultrasam.openmmlab.transforms.resizing import ContiguousRandomFlip, SquareSplineResize, square_spline


def picture(height: int, width: int, seed: int = 0, channels: int = 3) -> np.ndarray:
    noise = np.random.default_rng(seed).integers(0, 256, (height, width, channels), dtype=np.uint8)
    return cv2.GaussianBlur(noise, (0, 0), 2.0)


@pytest.mark.parametrize('size_hw', [(60, 43), (150, 260), (96, 48)], ids=['grow', 'shrink', 'both'])
@pytest.mark.parametrize('gray', [True, False], ids=['gray', 'colour'])
def test_equals_the_library_that_medsam_used(size_hw: tuple[int, int], gray: bool):
    reference = pytest.importorskip('skimage.transform', reason='scikit-image is not installed')
    image = picture(*size_hw)
    if gray:
        image = np.repeat(image[..., :1], 3, axis=2)
    expected = reference.resize(image, (96, 96), order=3, preserve_range=True, anti_aliasing=True)
    difference = np.abs(square_spline(image, 96).astype(int) - expected.astype(np.uint8))
    # truncation may fall to either side of a whole number
    assert difference.max() <= 1
    assert (difference > 0).mean() < 1e-3


def test_tells_what_it_did():
    results = SquareSplineResize(size=64)(dict(img=picture(40, 80)))
    assert results['img'].shape == (64, 64, 3)
    assert results['img'].dtype == np.uint8
    assert results['img_shape'] == (64, 64)
    assert results['scale_factor'] == (64 / 80, 64 / 40)
    assert results['keep_ratio'] is False


def test_refuses_what_it_cannot_do():
    with pytest.raises(ConfigError, match='size=0'):
        SquareSplineResize(size=0)
    with pytest.raises(ConfigError, match='float32'):
        SquareSplineResize(size=8)(dict(img=np.zeros((4, 4, 3), np.float32)))


@pytest.mark.parametrize('direction', ['horizontal', 'vertical', 'diagonal'])
def test_contiguous_flip_is_the_flip(direction: str):
    for seed in range(6):
        found = []
        for kind in (ContiguousRandomFlip, RandomFlip):
            np.random.seed(seed)
            image = picture(20, 30)
            results = dict(img=image, img_shape=image.shape[:2])
            found.append(kind(prob=0.5, direction=direction)(results))
        assert found[0]['flip'] == found[1]['flip']
        assert np.array_equal(found[0]['img'], found[1]['img'])
        assert found[0]['img'].flags.c_contiguous
