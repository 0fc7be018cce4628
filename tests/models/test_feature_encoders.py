from __future__ import annotations

from pathlib import Path

import pytest
import torch

from tests.models.test_properties import SIZE, TINY, tiny_model
from ultrasam.errors import CheckpointError, ConfigError
from ultrasam.openmmlab.models.feature_encoders import (
    LoraFeatureEncoder,
    MedSaFeatureEncoder,
    SamFeatureEncoder,
)

OPTIONS = dict(arch=TINY, img_size=SIZE)


@pytest.fixture(scope='module')
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp('weights') / 'UltraSam.pth'
    torch.save({'state_dict': tiny_model().state_dict()}, path)
    return path


def pretrained(file: Path) -> dict:
    return dict(type='Pretrained', checkpoint=str(file), prefix='backbone.')


def test_the_last_map_is_what_the_neck_is_given(file: Path):
    detector = tiny_model().eval()
    encoder = SamFeatureEncoder(**OPTIONS, out_indices=(0, 1), init_cfg=pretrained(file)).eval()
    encoder.init_weights()
    image = torch.randn(2, 3, SIZE, SIZE)
    with torch.no_grad():
        first, last = encoder(image)
        embedding = detector.backbone(image)
        torch.testing.assert_close(detector.backbone.channel_reduction(last), embedding)
    assert first.shape == last.shape == (2, TINY['embed_dims'], SIZE // 16, SIZE // 16)
    assert not torch.allclose(first, last)
    assert encoder.out_channels == TINY['embed_dims']
    assert not any(key.startswith('channel_reduction') for key in encoder.state_dict())


def test_layers_that_are_computed_anew_give_the_same_gradient(file: Path):
    image = torch.randn(1, 3, SIZE, SIZE)
    gradients = []
    for recompute in (False, True):
        encoder = SamFeatureEncoder(
            **OPTIONS, out_indices=(0, 1), grad_checkpointing=recompute, init_cfg=pretrained(file)
        )
        encoder.init_weights()
        encoder.train()
        maps = encoder(image)
        assert len(maps) == 2
        sum(one.square().mean() for one in maps).backward()
        gradients.append({key: parameter.grad for key, parameter in encoder.named_parameters()})
    assert all(torch.allclose(gradients[0][key], gradients[1][key], atol=1e-6) for key in gradients[0])


def test_medical_sam_adapters_that_do_nothing_change_nothing(file: Path):
    plain = SamFeatureEncoder(**OPTIONS, init_cfg=pretrained(file))
    adapted = MedSaFeatureEncoder(**OPTIONS, zero_init=True, frozen_stages=1, init_cfg=pretrained(file))
    for encoder in (plain, adapted):
        encoder.init_weights()
    image = torch.randn(1, 3, SIZE, SIZE)
    with torch.no_grad():
        assert torch.allclose(plain.eval()(image)[0], adapted.train()(image)[0], atol=1e-5)
    left = {key.split('.')[0] for key in adapted.state_dict()} - {'pos_embed', 'patch_embed', 'layers'}
    assert not left


def test_fresh_lora_is_its_base(file: Path):
    plain = SamFeatureEncoder(**OPTIONS, init_cfg=pretrained(file))
    plain.init_weights()
    adapted = LoraFeatureEncoder(**OPTIONS, base_checkpoint=file)
    assert set(adapted.base_names) == set(plain.state_dict())
    image = torch.randn(1, 3, SIZE, SIZE)
    with torch.no_grad():
        assert torch.allclose(plain.eval()(image)[0], adapted.train()(image)[0], atol=1e-5)
    trained = {key for key, parameter in adapted.named_parameters() if parameter.requires_grad}
    assert trained == set(adapted.adapter_names)


def test_an_encoder_that_lacks_a_tensor_is_refused(file: Path, tmp_path: Path):
    weights = torch.load(file, weights_only=True)['state_dict']
    del weights['backbone.layers.1.attn.qkv.weight']
    torch.save({'state_dict': weights}, tmp_path / 'part.pth')
    encoder = SamFeatureEncoder(**OPTIONS, init_cfg=pretrained(tmp_path / 'part.pth'))
    with pytest.raises(CheckpointError, match=r'layers\.1\.attn\.qkv\.weight'):
        encoder.init_weights()
    with pytest.raises(CheckpointError, match='no base for this encoder'):
        LoraFeatureEncoder(**OPTIONS, base_checkpoint=tmp_path / 'part.pth')


@pytest.mark.parametrize('indices', [(), (2,), (0, -3)])
def test_layers_that_there_are_not(indices: tuple[int, ...]):
    with pytest.raises(ConfigError, match='layers 0 to 1'):
        SamFeatureEncoder(**OPTIONS, out_indices=indices)


@pytest.mark.parametrize('kind', [SamFeatureEncoder, LoraFeatureEncoder, MedSaFeatureEncoder])
def test_options_of_the_neck_are_refused(kind: type):
    with pytest.raises(ConfigError, match='has no neck'):
        kind(**OPTIONS, out_channels=256)


def test_another_image_size_is_refused():
    with pytest.raises(ConfigError, match='pad to a square'):
        SamFeatureEncoder(**OPTIONS)(torch.zeros(1, 3, SIZE, SIZE // 2))
