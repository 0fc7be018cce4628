"""The suite on a synthetic answerer whose masks follow from the prompts, so that every figure is known."""

from __future__ import annotations

import numpy as np
import pytest

from tests.evaluation.shapes import disc, square
from ultrasam.errors import AnnotationError, ConfigError
from ultrasam.evaluation import metrics
from ultrasam.evaluation.ground_truth import TrueFrame, TrueObject
from ultrasam.evaluation.protocols import SINGLE_PROMPTS, inscribed_ellipse
from ultrasam.evaluation.suite import PromptSuite, SuiteOptions, click_curves, united_scores
from ultrasam.evaluation.summary import number_of_clicks
from ultrasam.masks.foreground import box_of_mask
from ultrasam.predict import EncodedImage, ObjectPrompt
from ultrasam.predict.geometry import ImageGeometry
from ultrasam.structures import Segmentation

SIZE = (64, 64)


class Answerer:
    """Answers a box with the box, a click with 8 x 8 pixels around it; the embedding tells which frame it saw."""

    mask_upsampling = 'logits'

    def __init__(self) -> None:
        self.seen: list[tuple[float, int]] = []

    def mask(self, prompt) -> np.ndarray:
        mask = np.zeros(SIZE, bool)
        if prompt.box_xyxy is not None:
            x1, y1, x2, y2 = np.round(prompt.box_xyxy).astype(int).clip(0, 64)
            mask[y1:y2, x1:x2] = True
        else:
            x, y = np.round(prompt.points_xy[0]).astype(int)
            mask[max(0, y - 4) : y + 4, max(0, x - 4) : x + 4] = True
        return mask

    def decode(self, encoded, prompts) -> Segmentation:
        prompts = [prompts] if isinstance(prompts, ObjectPrompt) else prompts
        self.seen.append((float(encoded.embedding.flatten()[0]), len(prompts)))
        masks = np.array([self.mask(prompt) for prompt in prompts])
        logits = np.where(masks, 1.0, -1.0).astype(np.float32)
        return Segmentation(masks, np.full(len(prompts), 0.75, np.float32), tuple(prompts), logits)


def encoded(number: float, size: tuple[int, int] = SIZE) -> EncodedImage:
    return EncodedImage(np.full((1, 1, 1), number), ImageGeometry(size, size, 64))


def frame(name: str, *masks: np.ndarray, spacing_mm: tuple[float, float] | None = None) -> TrueFrame:
    objects = tuple(TrueObject(i, 'cyst', mask) for i, mask in enumerate(masks))
    return TrueFrame(name, name, SIZE, name, 'image', 'made', 'liver', spacing_mm, objects, {})


def run(frames: list[TrueFrame], *protocols: str, clicks: int = 3, seed: int = 0):
    pytest.importorskip('monai', reason='the extra evaluation is not installed')
    answerer = Answerer()
    suite = PromptSuite(answerer, SuiteOptions(protocols=protocols, clicks=clicks, seed=seed))
    for number, one in enumerate(frames):
        suite.add(encoded(number), one)
    return suite.finish(), answerer


def test_scores_follow_from_the_prompts():
    truths = square(8, 8, 16, SIZE), disc(44, 40, 12, SIZE)
    results, answerer = run([frame('a', *truths)], 'box', 'centre', 'ellipse')
    box = results.scores['box']
    assert box['dice'][0] == box['nsd_px'][0] == 1
    assert box['iou'][1] == pytest.approx(truths[1].sum() / 25**2)
    assert box['predicted_iou'] == [0.75, 0.75]
    assert results.scores['centre']['iou'][0] == 64 / 256
    ellipse = inscribed_ellipse(box_of_mask(truths[1]), SIZE)
    assert results.scores['ellipse']['dice'][1] == metrics.dice(ellipse, truths[1])
    assert 'predicted_iou' not in results.scores['ellipse']
    # logits of one value: the binary map dilates only where a resampling would, here nowhere
    assert results.scores['box|binary']['dice'] == box['dice']
    assert [one.area_px for one in results.objects] == [256, int(truths[1].sum())]
    assert answerer.seen == [(0, 2), (0, 2)]


def test_millimetres_where_they_are_known():
    truth = square(8, 8, 16, SIZE)
    results, _ = run([frame('a', truth), frame('b', truth, spacing_mm=(0.5, 0.5))], 'centre', 'box-swapped')
    scores = results.scores['centre']
    assert np.isnan(scores['hd95_mm'][0])
    assert scores['hd95_mm'][1] == scores['hd95_px'][1] / 2
    assert np.isnan(results.scores['box-swapped']['hd95_mm'][0])
    assert results.scores['box-swapped']['hd95_mm'][1] == 0
    assert len({len(values) for values in results.scores['box-swapped'].values()}) == 1


def test_another_frame_is_seen_by_every_object_once():
    frames = [
        frame('a', square(8, 8, 16, SIZE)),
        frame('empty'),
        frame('b', square(0, 0, 4, SIZE), square(9, 9, 9, SIZE)),
    ]
    results, answerer = run(frames, 'box-swapped')
    # b sees the frame before it; a, the first, sees the last
    assert answerer.seen == [(1, 2), (2, 1)]
    assert len(results.scores['box-swapped']['dice']) == 3
    _, answerer = run([frame('empty'), frame('a', square(8, 8, 16, SIZE))], 'box-swapped')
    assert answerer.seen == [(0, 1)]
    alone, answerer = run([frames[0]], 'box-swapped')
    assert (alone.scores, answerer.seen) == ({}, [])


def test_frames_without_object_count_their_false_positives():
    results, answerer = run([frame('a'), frame('b')], 'centre', 'random', 'box', 'inner')
    assert set(results.empty_frames) == {'centre', 'random'}
    assert results.empty_frames['centre']['area_share'] == [64 / 64**2] * 2
    assert len(answerer.seen) == 4
    assert [one.objects for one in results.frames] == [0, 0]


def test_random_prompts_depend_on_seed_protocol_file_and_object_alone():
    frames = [frame(name, square(8, 8, 30, SIZE), square(20, 20, 30, SIZE)) for name in 'ab']
    both, _ = run(frames, 'random', 'box-jitter-10')
    again, _ = run(frames[::-1], 'random')
    other, _ = run(frames, 'random', seed=1)
    assert both.scores['random']['dice'][:2] == again.scores['random']['dice'][2:]
    assert both.scores['random']['dice'] != other.scores['random']['dice']


def test_an_image_of_another_size_is_refused():
    pytest.importorskip('monai', reason='the extra evaluation is not installed')
    suite = PromptSuite(Answerer(), SuiteOptions(protocols=('box',)))
    with pytest.raises(AnnotationError, match='a: the image has 64 x 32 pixels, its record says 64 x 64'):
        suite.add(encoded(0, (64, 32)), frame('a', square(8, 8, 16, SIZE)))


class Learner(Answerer):
    """Finds a fifth of the true rows more with each click, and remembers its last mask."""

    def __init__(self, truth: np.ndarray) -> None:
        super().__init__()
        self.truth = truth

    def mask(self, prompt) -> np.ndarray:
        clicks = len(prompt.points_xy)
        assert (prompt.mask_logits is None) == (clicks == 1)
        assert all(self.truth[int(y), int(x)] for x, y in prompt.points_xy)
        mask = self.truth.copy()
        mask[8 + 4 * clicks :] = False
        return mask


def test_clicks_of_a_learner_that_needs_five():
    truth = square(8, 8, 20, SIZE)
    learner = Learner(truth)
    curves = click_curves(learner, encoded(0), truth[None], 7)
    assert curves['iou'][0].tolist() == pytest.approx([0.2, 0.4, 0.6, 0.8, 1, 1, 1])
    assert number_of_clicks(curves['iou'], 0.85).tolist() == [5]
    assert curves['dice'][0, 1] == pytest.approx(0.8 / 1.4)
    assert len(learner.seen) == 5  # an object without error is not asked for again


def test_united_masks():
    truth, mask = square(0, 0, 32, SIZE), square(0, 0, 16, SIZE)
    found = united_scores(mask, truth)
    assert found['iou'] == 0.25
    assert found['iou_with_background'] == pytest.approx((0.25 + 3072 / 3840) / 2)
    assert found['iou_256'] == 0.25  # four times the size, the same shares
    two = square(0, 0, 8, SIZE), square(40, 40, 8, SIZE)
    results, _ = run([frame('a', *two)], 'box', 'centre')
    assert results.united['box']['dice'] == [1]
    assert results.united['centre']['dice'] == [metrics.dice(*(np.any(m, 0) for m in (two, _around(two))))]


def _around(masks: tuple[np.ndarray, ...]) -> list[np.ndarray]:
    answerer = Answerer()
    rule = SINGLE_PROMPTS['centre'].rule
    return [answerer.mask(rule(mask, np.random.default_rng(0))) for mask in masks]


@pytest.mark.parametrize('options', [{'clicks': 0}, {'seed': -1}])
def test_options_that_cannot_be(options):
    with pytest.raises(ConfigError, match='at least 1 click'):
        SuiteOptions(protocols=('box',), **options)
