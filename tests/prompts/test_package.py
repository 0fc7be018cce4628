"""What the samplers of training and evaluation share, and what they may import."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from ultrasam.errors import ConfigError
from ultrasam.masks.foreground import box_of_mask
from ultrasam.openmmlab.config_checks import _arguments
from ultrasam.openmmlab.transforms import SamplePrompts
from ultrasam.prompts.recipe import PromptDraw, PromptRecipe, apply_draw
from ultrasam.prompts.users import box_rule, centre_rule, moved_box, random_pixels


@pytest.mark.parametrize(
    ('module', 'foreign'),
    [
        ('ultrasam.prompts.recipe', ('torch',)),
        ('ultrasam.prompts.users', ('torch',)),
        ('ultrasam.prompts.corrections', ()),
    ],
)
def test_samplers_load_no_layer_above_them(module, foreign):
    above = ('mmengine', 'mmcv', 'mmdet', 'mmpretrain', 'ultrasam.openmmlab', 'ultrasam.evaluation')
    code = f'import sys, {module}; print([name for name in {above + foreign} if name in sys.modules])'
    found = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == '[]'


def test_random_pixels_equal_the_choice_from_the_list_of_all():
    masks = np.random.default_rng(0)
    for seed in range(100):
        mask = masks.random(masks.integers(1, 40, 2)) < masks.random()
        if not mask.any():
            continue
        pixels = np.argwhere(mask)[:, ::-1]
        chosen = pixels[np.random.default_rng(seed).integers(len(pixels), size=4)]
        assert random_pixels(mask, 4, np.random.default_rng(seed)) == [tuple(pixel) for pixel in chosen]


def test_training_and_evaluation_agree_on_centre_and_box():
    mask = np.zeros((30, 40), bool)
    mask[3:9, 5:25] = mask[3:25, 5:8] = True
    box, none = box_of_mask(mask), np.random.default_rng(0)
    recipe = PromptRecipe(probabilities=dict(point_box=1.0), point='centre', stage='test')
    trained = apply_draw(PromptDraw('point_box', 1), recipe, mask=mask, box=box, size_hw=mask.shape)
    # the first pixel is (0.5, 0.5) for the network, and (0, 0) for a user
    np.testing.assert_allclose(trained.points - 0.5, centre_rule(mask, none).points_xy, rtol=1e-6)
    np.testing.assert_array_equal(trained.box - 0.5, box_rule()(mask, none).box_xyxy)


def test_sides_move_by_a_share_of_the_size():
    box = np.array([10.0, 20, 50, 40])
    assert moved_box(box, np.array([-1, 0.5, 1, 0]), 0.1).tolist() == [6, 21, 54, 40]


def test_an_unknown_option_names_the_known_ones():
    with pytest.raises(ConfigError, match=r'SamplePrompts.*jitter.*point, num_points, box_jitter, stage'):
        SamplePrompts(prompt_probabilities=dict(box=1.0), jitter=0.1)


def test_the_check_of_configs_knows_the_options_of_a_recipe():
    known = _arguments(SamplePrompts)
    assert known is not None
    assert {'prompt_probabilities', 'max_instances', 'point', 'num_points', 'box_jitter', 'stage'} <= known
