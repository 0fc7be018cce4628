"""Pictures show what they should, where they should, at any size."""

from __future__ import annotations

import time
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from mmdet.registry import VISUALIZERS
from mmdet.structures import DetDataSample
from mmdet.structures.mask import BitmapMasks
from mmengine.structures import InstanceData

from ultrasam.errors import ConfigError
from ultrasam.io.writers.canvas import GREEN, RED, Canvas, readable_on
from ultrasam.io.writers.pictures import instance_colour
from ultrasam.openmmlab.visualizer import PromptVisualizer
from ultrasam.structures import Prompt


def sample_of(
    masks: np.ndarray, prompts: list[Prompt] | None = None, *, zoom: float = 1.0, scores=None
) -> DetDataSample:
    """A predicted sample whose network input is ``zoom`` times the image."""
    height, width = masks.shape[1:]
    sample = DetDataSample(
        metainfo=dict(
            ori_shape=(height, width),
            img_shape=(int(height * zoom), int(width * zoom)),
            scale_factor=(zoom, zoom),
        )
    )
    sample.gt_instances = InstanceData(masks=BitmapMasks(masks.astype(np.uint8), height, width))
    if prompts is not None:
        sample.gt_instances.prompts = prompts
    scores = np.full(len(masks), 0.9) if scores is None else np.asarray(scores)
    sample.pred_instances = InstanceData(
        masks=torch.from_numpy(masks.astype(bool)), scores=torch.from_numpy(scores)
    )
    return sample


def square(height: int, width: int, x: int, y: int, side: int) -> np.ndarray:
    mask = np.zeros((height, width), bool)
    mask[y : y + side, x : x + side] = True
    return mask


def plain(**options) -> PromptVisualizer:
    """A visualizer without legend and enlargement, so that pictures have the size of the image."""
    return PromptVisualizer(legend=False, min_long_side=1, **options)


GRAY = np.full((300, 400, 3), 90, np.uint8)
MASK = square(300, 400, 100, 80, 120)


def click(x: float, y: float, label: int = 1) -> Prompt:
    return Prompt(points=[[x, y]], point_labels=[label])


def changed(picture: np.ndarray, image: np.ndarray = GRAY) -> np.ndarray:
    return (picture != image).any(-1)


def test_mask_is_tinted_and_the_rest_untouched():
    picture = plain(ground_truth='none').render(GRAY, sample_of(MASK[None]))
    assert changed(picture)[MASK].all()
    margin = cv2.dilate(MASK.astype(np.uint8), np.ones((9, 9))) > 0
    margin[50:90, 90:180] = True
    assert not changed(picture)[~margin].any()
    np.testing.assert_array_equal(picture[140, 105:115].std(0), 0)


@pytest.mark.parametrize(('label', 'colour'), [(1, GREEN), (0, RED)])
def test_clicks_are_drawn_where_the_image_was_clicked(label, colour):
    zoom = 2.5
    prompt = click(300 * zoom + 0.5, 200 * zoom + 0.5, label)
    picture = plain(ground_truth='none').render(GRAY, sample_of(MASK[None], [prompt], zoom=zoom))
    ys, xs = np.nonzero((picture == colour).all(-1))
    np.testing.assert_allclose([xs.mean(), ys.mean()], [300, 200], atol=0.6)


def test_boxes_are_drawn_on_the_mapped_edges():
    zoom = 0.5
    prompt = Prompt(box=np.array([200, 160, 300, 260]) * zoom + 0.5)
    sample = sample_of(MASK[None], [prompt], zoom=zoom)
    sample.pred_instances = sample.pred_instances[torch.tensor([False])]
    ys, xs = np.nonzero(changed(plain(ground_truth='none').render(GRAY, sample)))
    np.testing.assert_allclose([xs.min(), ys.min(), xs.max(), ys.max()], [200, 160, 300, 260], atol=3)


def test_prompts_on_a_picture_of_the_network_input():
    zoom = 2.0
    image = np.full((600, 800, 3), 90, np.uint8)
    sample = sample_of(MASK[None], [click(600.5, 400.5)], zoom=zoom)
    picture = plain(ground_truth='none').render(image, sample)
    ys, xs = np.nonzero((picture == GREEN).all(-1))
    np.testing.assert_allclose([xs.mean(), ys.mean()], [600, 400], atol=0.6)
    assert changed(picture, image)[2 * 140, 2 * 160]


def test_scores_below_the_threshold_are_not_drawn():
    masks = np.stack([MASK, square(300, 400, 260, 60, 80)])
    sample = sample_of(masks, scores=[0.2, 0.8])
    picture = plain(ground_truth='none').render(GRAY, sample, pred_score_thr=0.5)
    assert not changed(picture)[MASK].any()
    assert changed(picture)[masks[1]].all()


def test_ground_truth_views():
    sample = sample_of(MASK[None])
    none = plain(ground_truth='none').render(GRAY, sample)
    outline = plain(ground_truth='outline').render(GRAY, sample)
    panel = plain(ground_truth='panel').render(GRAY, sample)
    assert none.shape == outline.shape == GRAY.shape
    assert panel.shape == (300, 800, 3)
    np.testing.assert_array_equal(panel[:, 400:], none)
    assert (outline == 255).all(-1).sum() > 50
    np.testing.assert_array_equal(plain().render(GRAY, sample, draw_gt=False), none)
    with pytest.raises(ConfigError, match='ground_truth'):
        PromptVisualizer(ground_truth='left')


def test_truth_alone_is_tinted():
    sample = sample_of(MASK[None], [click(160.5, 140.5)])
    del sample.pred_instances
    assert changed(plain().render(GRAY, sample))[MASK].all()


def test_without_sample_the_image_stays():
    np.testing.assert_array_equal(plain().render(GRAY, None), GRAY)


@pytest.mark.parametrize(('size', 'long_side'), [((150, 200), 800), ((533, 958), 958), ((1500, 2000), 2000)])
def test_small_images_are_enlarged(size, long_side):
    masks = square(*size, size[1] // 4, size[0] // 4, size[0] // 3)[None]
    picture = PromptVisualizer().render(np.full(size, 90, np.uint8), sample_of(masks, [click(30, 30)]))
    assert picture.shape[1] == long_side
    assert picture.shape[0] > size[0] * long_side // size[1]
    assert picture.dtype == np.uint8


@pytest.mark.parametrize('shape', [(300, 400), (300, 400, 1), (300, 400, 3)])
def test_gray_images(shape):
    picture = plain().render(np.full(shape, 90, np.uint8), sample_of(MASK[None]))
    assert picture.shape == (300, 400, 3)


def test_empty_predictions_and_empty_masks():
    sample = sample_of(np.zeros((0, 300, 400), bool))
    np.testing.assert_array_equal(plain().render(GRAY, sample), GRAY)
    picture = plain().render(GRAY, sample_of(np.zeros((1, 300, 400), bool), [click(9.5, 9.5)]))
    assert changed(picture).any()


def test_holes_stay_clear():
    mask = MASK.copy()
    mask[120:160, 140:180] = False
    picture = plain(ground_truth='none').render(GRAY, sample_of(mask[None]))
    assert not changed(picture)[130:150, 150:170].any()


def test_training_masks_one_pixel_larger_than_the_image():
    sample = sample_of(square(301, 400, 100, 80, 221)[None])
    del sample.pred_instances
    sample.set_metainfo(dict(img_shape=(300, 400)))
    assert plain().render(GRAY, sample).shape == GRAY.shape


def test_thirty_instances_have_thirty_colours_and_apart_scores():
    colours = [instance_colour(i) for i in range(30)]
    assert len(set(colours)) == 30
    assert colours == [instance_colour(i) for i in range(30)]
    canvas = Canvas(GRAY, min_long_side=1)
    for i in range(8):
        canvas.chip('0.50', np.array([100, 100]), colours[i])
    boxes = np.array(canvas._chips)
    for i in range(8):
        for j in range(i):
            (x, y, w, h), (u, v, s, t) = boxes[i], boxes[j]
            assert not (x < u + s and u < x + w and y < v + t and v < y + h)


def test_text_contrasts_with_its_chip():
    for colour in (instance_colour(i) for i in range(60)):
        text = readable_on(colour)
        luma = [0.299 * r + 0.587 * g + 0.114 * b for r, g, b in (colour, text)]
        assert abs(luma[0] - luma[1]) > 100


def test_same_picture_twice():
    sample = sample_of(MASK[None], [click(160.5, 140.5)])
    np.testing.assert_array_equal(
        PromptVisualizer().render(GRAY, sample), PromptVisualizer().render(GRAY, sample)
    )


def test_add_datasample_writes_files_and_backends(tmp_path: Path):
    visualizer = VISUALIZERS.build(
        dict(
            type='PromptVisualizer',
            name=f'test-{time.monotonic_ns()}',
            vis_backends=[dict(type='mmengine.LocalVisBackend')],
            save_dir=str(tmp_path),
        )
    )
    visualizer.dataset_meta = dict(classes=('object',))
    sample = sample_of(MASK[None], [click(160.5, 140.5)])
    # as mmdet's visualization hook calls it
    visualizer.add_datasample(
        'val_img', GRAY, data_sample=sample, show=False, wait_time=0, pred_score_thr=0.0, step=3
    )
    assert list(tmp_path.rglob('val_img_3.png'))
    out = tmp_path / 'shown' / 'a.png'
    visualizer.add_datasample('test_img', GRAY, data_sample=sample, out_file=str(out), step=4)
    np.testing.assert_array_equal(cv2.imread(str(out))[..., ::-1], visualizer.get_image())
