"""A decoder of one's own from a small file, hooks on every module, and what a prediction passes through."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import torch
from mmengine.config import Config

from tests.golden import ROOT
from tests.models.test_properties import batch_of, item, random_prompts, tiny_model
from ultrasam.checkpoints.model_card import read_card
from ultrasam.errors import CheckpointError
from ultrasam.structures import Prompt, PromptBatch

DECODER = """
from mmdet.registry import MODELS
from torch import nn

@MODELS.register_module(force=True)
class MeanDecoder(nn.Module):
    def __init__(self):
        super().__init__()
        self.mix = nn.Linear(256, 256)
    def forward(self, tokens, image, image_pe):
        tokens = tokens + self.mix(image.mean((2, 3)))[:, None]
        return tokens, image + tokens.mean(1)[:, :, None, None]
"""


@pytest.fixture
def custom(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> torch.nn.Module:
    (tmp_path / 'mean_decoder.py').write_text(DECODER)
    (tmp_path / 'config.py').write_text("custom_imports = dict(imports=['mean_decoder'])\n")
    monkeypatch.syspath_prepend(tmp_path)
    Config.fromfile(tmp_path / 'config.py')
    return tiny_model(decoder=dict(type='MeanDecoder', _delete_=True))


def test_trains_and_predicts(custom: torch.nn.Module):
    data = batch_of(item(random_prompts(3, 0), 0), item(random_prompts(2, 1), 1))
    loss, _ = custom.parse_losses(custom.train()(**custom.data_preprocessor(data, True), mode='loss'))
    loss.backward()
    assert custom.decoder.mix.weight.grad.abs().max() > 0
    before = custom.eval().test_step(data)[0].pred_instances.scores
    with torch.no_grad():
        custom.decoder.mix.weight.mul_(3)
    assert not torch.allclose(custom.test_step(data)[0].pred_instances.scores, before)


def test_export_says_why_not(custom: torch.nn.Module):
    with pytest.raises(CheckpointError, match='decoder'):
        read_card(custom.state_dict(), {}, 'custom.pth')


@torch.no_grad()
def test_hooks_of_every_module_fire():
    model = tiny_model()
    called = set()
    for name, module in model.model.named_modules():
        module.register_forward_hook(lambda *_args, name=name: called.add(name))
    model.test_step(batch_of(item(random_prompts(4, 0), 0)))
    losses = 'mask_decoder.losses'
    # containers are not called themselves, nor are heads whose weights are read by name
    silent = {
        name
        for name, module in model.model.named_modules()
        if name not in called and not name.startswith(losses) and not isinstance(module, torch.nn.ModuleList)
    }
    read_by_name = {name for name in silent if name.endswith('.attn') or name.endswith('label_embedding')}
    assert silent - read_by_name == set()


def entered(call) -> tuple[set[str], set[tuple[str, str]]]:
    """Files and functions of ours that a call enters."""
    found = set()

    def note(frame, event, _arg):
        name = frame.f_code.co_filename
        if event == 'call' and name.startswith(f'{ROOT}/ultrasam/'):
            found.add(
                (name, frame.f_code.co_qualname if sys.version_info >= (3, 11) else frame.f_code.co_name)
            )

    sys.setprofile(note)
    try:
        call()
    finally:
        sys.setprofile(None)
    functions = {one for one in found if '<' not in one[1].split('.')[-1]}
    return {name for name, _ in functions}, functions


@torch.no_grad()
def test_what_a_prediction_enters():
    model = tiny_model()
    embedding = model.extract_feat(torch.randn(1, 3, 128, 128))
    prompts = PromptBatch.from_prompts([[Prompt(box=[20, 20, 80, 70])]])
    sample = item([], 0)['data_samples']
    files, functions = entered(lambda: model.predict_logits(embedding, prompts, [sample], refinements=0))
    assert len(files) <= 8, files
    assert len(functions) <= 35, functions


def test_what_a_training_step_enters():
    model = tiny_model().train()
    data = model.data_preprocessor(batch_of(item(random_prompts(3, 0), 0)), True)

    def step():
        model.parse_losses(model(**data, mode='loss'))[0].backward()

    files, functions = entered(step)
    assert len(files) <= 14, files
    of_the_model = {name for name in files if '/models/' in name}
    assert len(of_the_model) <= 12, of_the_model
    assert functions
