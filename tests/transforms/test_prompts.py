"""Prompt draws replay, and their application follows the published rules."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from mmdet.structures.bbox import HorizontalBoxes
from mmdet.structures.mask import BitmapMasks

from ultrasam.errors import ConfigError
from ultrasam.masks.foreground import foreground_centre, foreground_pixel, foreground_row_counts
from ultrasam.openmmlab.transforms import PromptDraw, PromptRecipe, SamplePrompts, apply_draw, draw_prompt

from .conftest import disc

BOX = np.array([10.0, 20.0, 50.0, 40.0])


def results_of(masks: list[np.ndarray], img_shape: tuple[int, int] | None = None, **extra) -> dict:
    """Pipeline results as the loaders and the resize leave them."""
    shape = masks[0].shape if masks else (64, 64)
    boxes = []
    for mask in masks:
        ys, xs = np.nonzero(mask)
        boxes.append([xs.min(), ys.min(), xs.max() + 1, ys.max() + 1] if ys.size else [1, 2, 5, 4])
    return dict(
        img_shape=img_shape or shape,
        gt_bboxes=HorizontalBoxes(np.array(boxes, np.float32).reshape(-1, 4)),
        gt_bboxes_labels=np.arange(len(masks)),
        gt_ignore_flags=np.zeros(len(masks), bool),
        gt_masks=BitmapMasks(list(masks), *shape),
        **extra,
    )


def apply(recipe: PromptRecipe, draw: PromptDraw, mask=None, box=BOX, **extra):
    return apply_draw(draw, recipe, mask=mask, box=box, size_hw=(100, 100), **extra)


def same(a, b) -> bool:
    boxes_equal = (a.box is None and b.box is None) or np.array_equal(a.box, b.box)
    return (
        np.array_equal(a.points, b.points) and np.array_equal(a.point_labels, b.point_labels) and boxes_equal
    )


class TestForeground:
    def test_pixel_equals_the_naive_choice(self):
        rng = np.random.default_rng(0)
        for _ in range(200):
            mask = rng.random(rng.integers(1, 40, 2)) < rng.random()
            if not mask.any():
                continue
            ys, xs = np.nonzero(mask)
            rows = foreground_row_counts(mask)
            for uniform in (0.0, *rng.random(5), np.nextafter(1, 0)):
                k = int(uniform * len(xs))
                assert foreground_pixel(mask, rows, uniform) == (xs[k], ys[k])

    def test_centre_equals_the_mean(self):
        rng = np.random.default_rng(1)
        for kind in (np.uint8, bool, np.int64):
            mask = (rng.random((37, 53)) < 0.3).astype(kind)
            ys, xs = np.nonzero(mask)
            centre = foreground_centre(mask, foreground_row_counts(mask))
            np.testing.assert_allclose(centre, [xs.mean(), ys.mean()], atol=1e-9)

    def test_masks_of_255_count_pixels(self):
        assert foreground_row_counts(disc(20, 20, (10, 10), 5) * 255).sum() == disc(20, 20, (10, 10), 5).sum()


class TestDraw:
    recipe = PromptRecipe(
        probabilities=dict(point=0.3, box=0.3, point_box=0.4),
        num_points=(1, 4),
        box_jitter=0.2,
        stage='train',
    )

    def test_replays(self):
        draws = [
            [draw_prompt(self.recipe, np.random.default_rng(seed)) for seed in range(20)] for _ in range(2)
        ]
        assert draws[0] == draws[1]
        assert len(set(draws[0])) == 20
        mask = disc(100, 100, (50, 50), 20)
        for first, second in zip(*draws, strict=True):
            assert same(apply(self.recipe, first, mask), apply(self.recipe, second, mask))

    def test_holds_only_what_its_kind_uses(self):
        rng = np.random.default_rng(3)
        for draw in (draw_prompt(self.recipe, rng) for _ in range(100)):
            assert (draw.num_points == 0) == (draw.kind == 'box')
            assert len(draw.pixels) == len(draw.shifts) == draw.num_points
            assert len(draw.corners) == (0 if draw.kind == 'point' else 4)
            assert all(0 <= u < 1 for u in draw.pixels + draw.shifts + draw.corners)

    def test_kinds_follow_their_probabilities(self):
        rng = np.random.default_rng(4)
        kinds = [draw_prompt(self.recipe, rng).kind for _ in range(4000)]
        for kind, share in self.recipe.probabilities.items():
            assert abs(kinds.count(kind) / 4000 - share) < 0.03

    def test_point_counts_cover_the_range(self):
        rng = np.random.default_rng(5)
        recipe = PromptRecipe(probabilities=dict(point=1.0), num_points=(2, 5))
        assert {draw_prompt(recipe, rng).num_points for _ in range(200)} == {2, 3, 4, 5}

    @pytest.mark.parametrize('kind', ['point', 'box'])
    def test_test_stage_needs_no_chance(self, kind):
        recipe = PromptRecipe(probabilities={kind: 1.0}, point='centre', stage='test')
        assert not recipe.is_random
        assert draw_prompt(recipe, None) == PromptDraw(kind, 1 if kind == 'point' else 0)

    def test_chance_needs_a_generator(self):
        with pytest.raises(ConfigError, match='generator'):
            draw_prompt(self.recipe, None)


class TestRules:
    def test_train_click_moves_both_axes_by_one_uniform(self):
        mask = np.zeros((100, 100), np.uint8)
        mask[30, 70] = 1
        recipe = PromptRecipe(probabilities=dict(point=1.0))
        prompt = apply(recipe, PromptDraw('point', 1, pixels=(0.4,), shifts=(0.25,)), mask)
        np.testing.assert_allclose(prompt.points, [[70.25, 30.25]])

    def test_test_click_is_the_scaled_centre_plus_half(self):
        mask = np.zeros((100, 100), np.uint8)
        mask[10:13, 20:25] = 1
        recipe = PromptRecipe(probabilities=dict(point=1.0), point='centre', stage='test')
        prompt = apply(recipe, PromptDraw('point', 1), mask, scale_xy=(2.0, 3.0))
        np.testing.assert_allclose(prompt.points, [[22 * 2 + 0.5, 11 * 3 + 0.5]])

    def test_boxes_are_scaled_and_shifted_by_half(self):
        recipe = PromptRecipe(probabilities=dict(box=1.0), stage='test')
        prompt = apply(recipe, PromptDraw('box', 0), scale_xy=(2.0, 3.0))
        np.testing.assert_allclose(prompt.box, [20.5, 60.5, 100.5, 120.5])

    def test_published_jitter_is_neither_clipped_nor_reordered(self):
        recipe = PromptRecipe(probabilities=dict(box=1.0), box_jitter=0.05)
        low = apply(
            recipe, PromptDraw('box', 0, corners=(0.0, 0.5, 0.75, 0.0)), box=np.array([0.0, 0, 40, 20])
        )
        # sides move by (2u - 1) * 0.05 of the width 40 and the height 20
        np.testing.assert_allclose(low.box, [-2 + 0.5, 0.5, 40 + 1 + 0.5, 20 - 1 + 0.5], atol=1e-5)

    def test_large_jitter_is_ordered_and_inside(self):
        recipe = PromptRecipe(probabilities=dict(box=1.0), box_jitter=1.5)
        rng = np.random.default_rng(6)
        for _ in range(500):
            x1, y1 = rng.uniform(0, 90, 2)
            box = np.array([x1, y1, rng.uniform(x1 + 2, 100), rng.uniform(y1 + 2, 100)])
            x1, y1, x2, y2 = apply(recipe, draw_prompt(recipe, rng), box=box).box
            assert -0.01 <= x1 < x2 <= 100.51
            assert -0.01 <= y1 < y2 <= 100.51

    def test_centre_inside_snaps_only_when_off_the_object(self):
        ring = disc(100, 100, (50, 50), 30) - disc(100, 100, (50, 50), 20)
        recipe = PromptRecipe(probabilities=dict(point=1.0), point='centre_inside', stage='test')
        (x, y), *_ = apply(recipe, PromptDraw('point', 1), ring).points - 0.5
        assert ring[int(y), int(x)]
        full = disc(100, 100, (50, 50), 30)
        np.testing.assert_allclose(apply(recipe, PromptDraw('point', 1), full).points, [[50.5, 50.5]])

    def test_box_centre_ignores_the_mask(self):
        recipe = PromptRecipe(probabilities=dict(point=1.0), point='box_centre', stage='test')
        assert not recipe.needs_masks
        prompt = apply(recipe, PromptDraw('point', 1), disc(100, 100, (80, 80), 5), scale_xy=(2.0, 2.0))
        np.testing.assert_allclose(prompt.points, [[60.5, 60.5]])

    def test_point_box_holds_both(self):
        recipe = PromptRecipe(probabilities=dict(point_box=1.0), point='centre', stage='test')
        prompt = apply(recipe, PromptDraw('point_box', 1), disc(100, 100, (50, 50), 9))
        np.testing.assert_allclose(prompt.points, [[50.5, 50.5]])
        np.testing.assert_allclose(prompt.box, BOX + 0.5)

    def test_random_clicks_are_uniform_over_the_mask(self):
        mask = np.zeros((8, 8), np.uint8)
        mask[1, 2:7] = mask[5, 0] = mask[6, 3:5] = 1
        recipe = PromptRecipe(probabilities=dict(point=1.0), num_points=4000)
        points = apply(recipe, draw_prompt(recipe, np.random.default_rng(7)), mask).points
        counts = np.zeros_like(mask, int)
        np.add.at(counts, (points[:, 1].astype(int), points[:, 0].astype(int)), 1)
        assert (counts[mask == 0] == 0).all()
        # chi-square with 7 degrees of freedom stays below 24.3 in 999 of 1000 cases
        assert (np.square(counts[mask == 1] - 500) / 500).sum() < 24.3
        shifts = points % 1
        np.testing.assert_allclose(shifts[:, 0], shifts[:, 1], atol=1e-5)
        assert abs(shifts[:, 0].mean() - 0.5) < 0.02


class TestSamplePrompts:
    def test_numbers_and_ranges_of_points(self):
        masks = [disc(64, 64, (20 + 5 * i, 30), 8) for i in range(6)]
        for num_points in (3, (1, 5), [1, 5]):
            np.random.seed(1)
            step = SamplePrompts(prompt_probabilities=dict(point=1.0), num_points=num_points)
            counts = [len(p.points) for p in step(results_of(masks))['prompts']]
            assert len(counts) == 6
            assert set(counts) == {3} if num_points == 3 else len(set(counts)) > 1

    def test_empty_masks_leave_training_with_all_their_fields(self):
        masks = [disc(64, 64, (20, 30), 8), np.zeros((64, 64), np.uint8), disc(64, 64, (40, 30), 8)]
        results = SamplePrompts(prompt_probabilities=dict(point=0.5, box=0.5))(results_of(masks))
        assert len(results['prompts']) == len(results['gt_bboxes']) == len(results['gt_masks']) == 2
        assert results['gt_bboxes_labels'].tolist() == [0, 2]
        assert len(results['gt_ignore_flags']) == 2

    def test_all_masks_empty(self):
        results = SamplePrompts(prompt_probabilities=dict(point=1.0))(
            results_of([np.zeros((64, 64), np.uint8)])
        )
        assert results['prompts'] == []
        assert len(results['gt_bboxes']) == len(results['gt_masks']) == 0

    def test_no_more_instances_than_asked_for_and_all_get_their_turn(self):
        masks = [disc(64, 64, (10 + 7 * i, 30), 3) for i in range(7)]
        step = SamplePrompts(prompt_probabilities=dict(box=1.0), max_instances=3)
        seen = set()
        for seed in range(20):
            np.random.seed(seed)
            results = step(results_of(masks))
            assert len(results['prompts']) == len(results['gt_bboxes']) == len(results['gt_masks']) == 3
            labels = results['gt_bboxes_labels'].tolist()
            assert labels == sorted(set(labels))
            seen.update(labels)
        assert seen == set(range(7))
        assert len(step(results_of(masks[:2]))['prompts']) == 2

    def test_a_limit_of_instances_is_for_training(self):
        for options in (dict(max_instances=0), dict(max_instances=2, stage='test')):
            with pytest.raises(ConfigError, match='max_instances'):
                SamplePrompts(prompt_probabilities=dict(box=1.0), **options)

    def test_empty_mask_in_testing_is_clicked_at_its_box_centre(self):
        step = SamplePrompts(prompt_probabilities=dict(point=1.0), point='centre', stage='test')
        results = step(results_of([np.zeros((64, 64), np.uint8)], scale_factor=(2.0, 4.0)))
        np.testing.assert_allclose(results['prompts'][0].points, [[6.5, 12.5]])

    @pytest.mark.parametrize('stage', ['train', 'test'])
    @pytest.mark.parametrize('kind', ['point', 'box', 'point_box'])
    def test_no_instance_gives_no_prompt(self, stage, kind):
        step = SamplePrompts(prompt_probabilities={kind: 1.0}, stage=stage)
        assert step(results_of([], scale_factor=(1.0, 1.0)))['prompts'] == []

    def test_mask_larger_than_the_image_by_one(self):
        mask = np.zeros((64, 65), np.uint8)
        mask[:, 60:] = 1
        step = SamplePrompts(prompt_probabilities=dict(point=1.0), num_points=500)
        points = step(results_of([mask], img_shape=(64, 64)))['prompts'][0].points
        assert points.min() >= 0
        assert points.max() < 64
        beyond = np.zeros((64, 65), np.uint8)
        beyond[:, 64] = 1
        assert step(results_of([beyond], img_shape=(64, 64)))['prompts'] == []

    def test_deterministic_recipes_leave_numpy_alone(self):
        np.random.seed(5)
        before = np.random.get_state()[1].copy()
        results = results_of([disc(64, 64, (30, 30), 8)], scale_factor=(1.0, 1.0))
        SamplePrompts(prompt_probabilities=dict(point=1.0), point='centre', stage='test')(results)
        SamplePrompts(prompt_probabilities=dict(box=1.0), stage='test')(results)
        assert np.array_equal(before, np.random.get_state()[1])

    def test_numpys_seed_alone_decides(self):
        step = SamplePrompts(
            prompt_probabilities=dict(point=0.5, box=0.5), num_points=(1, 3), box_jitter=0.05
        )
        runs = []
        for torch_seed in (0, 1):
            np.random.seed(9)
            torch.manual_seed(torch_seed)
            runs.append([step(results_of([disc(64, 64, (30, 30), 8)] * 4))['prompts'] for _ in range(2)])
        for first, second in zip(*runs, strict=True):
            assert all(map(same, first, second))
        assert not all(map(same, *runs[0]))

    def test_boxes_need_no_mask(self):
        results = results_of([disc(64, 64, (30, 30), 8)])
        del results['gt_masks']
        assert (
            len(SamplePrompts(prompt_probabilities=dict(box=1.0), box_jitter=0.05)(results)['prompts']) == 1
        )

    def test_missing_masks_are_named(self):
        results = results_of([disc(64, 64, (30, 30), 8)])
        del results['gt_masks']
        with pytest.raises(ConfigError, match=r'gt_masks.*with_mask=True'):
            SamplePrompts(prompt_probabilities=dict(point=1.0))(results)

    @pytest.mark.parametrize(
        ('arguments', 'message'),
        [
            (dict(prompt_probabilities=dict(click=1.0)), 'prompt kinds'),
            (dict(prompt_probabilities=dict(point=0.5, box=0.6)), 'sum to 1'),
            (dict(prompt_probabilities={}), 'sum to 1'),
            (dict(prompt_probabilities=dict(point=1.0), num_points=0), 'num_points'),
            (dict(prompt_probabilities=dict(point=1.0), num_points=(3, 2)), 'num_points'),
            (dict(prompt_probabilities=dict(point=1.0), num_points=1.5), 'num_points'),
            (dict(prompt_probabilities=dict(point=1.0), num_points=2, point='centre'), 'only'),
            (dict(prompt_probabilities=dict(point=1.0), point='middle'), 'point='),
            (dict(prompt_probabilities=dict(point=1.0), stage='val'), 'stage='),
            (dict(prompt_probabilities=dict(box=1.0), box_jitter=-0.1), 'box_jitter'),
        ],
    )
    def test_arguments_without_meaning(self, arguments, message):
        with pytest.raises(ConfigError, match=message):
            SamplePrompts(**arguments)
