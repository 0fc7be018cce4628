from __future__ import annotations

import pytest
import torch

from ultrasam.errors import ConfigError
from ultrasam.models.feature_pyramid import SimpleFeaturePyramid


def test_strides_and_channels():
    torch.manual_seed(0)
    pyramid = SimpleFeaturePyramid(in_channels=16, out_channels=8)
    maps = pyramid([torch.full((2, 16, 4, 6), torch.nan), torch.randn(2, 16, 4, 6)])
    assert [tuple(one.shape) for one in maps] == [(2, 8, 16, 24), (2, 8, 8, 12), (2, 8, 4, 6), (2, 8, 2, 3)]
    assert all(torch.isfinite(one).all() for one in maps)


def test_gradient_reaches_every_level():
    pyramid = SimpleFeaturePyramid(in_channels=16, out_channels=8)
    image = torch.randn(1, 16, 4, 4, requires_grad=True)
    sum(one.square().sum() for one in pyramid([image])).backward()
    assert all(parameter.grad is not None for parameter in pyramid.parameters())
    assert image.grad is not None and image.grad.abs().min() > 0


def test_a_map_moves_with_its_input():
    torch.manual_seed(0)
    pyramid = SimpleFeaturePyramid(in_channels=8, out_channels=4, out_strides=(8,)).eval()
    image = torch.zeros(1, 8, 8, 8)
    image[..., 2, 2] = 1.0
    (here,), (there,) = pyramid([image]), pyramid([image.roll((3, 3), (2, 3))])
    # twice as fine: three cells are six
    assert torch.allclose(here[..., 2:9, 2:9], there[..., 8:15, 8:15], atol=1e-6)
    assert not torch.allclose(here[..., 2:9, 2:9], here[..., 8:15, 8:15], atol=1e-3)


@pytest.mark.parametrize('stride', [12, 0, -4, 48])
def test_strides_that_are_no_power_of_two_are_refused(stride: int):
    with pytest.raises(ConfigError, match=f'stride {stride}'):
        SimpleFeaturePyramid(out_strides=(stride,))
