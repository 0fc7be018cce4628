"""Every quirk that the published weights depend on is watched: undo any one of them and a comparison fails."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from mmcv.transforms import Resize

import ultrasam.models.prompt_encoder as prompt_module
import ultrasam.models.ultrasam as ultrasam_module
import ultrasam.openmmlab.models.detector as detector_module
import ultrasam.openmmlab.models.heads as head_module
import ultrasam.openmmlab.models.procedures as procedures_module
from tests.golden import needs_frames, needs_golden, seeded_model
from tests.models.test_golden import check_losses, check_mask_logits, check_predictions
from tests.transforms import test_golden as pipeline_golden
from ultrasam.models import SamPromptEncoder, SamTwoWayTransformer, UltraSam
from ultrasam.models.mask_decoder import SINGLE_MASK
from ultrasam.openmmlab.models import SamMaskHead
from ultrasam.openmmlab.transforms import sampling
from ultrasam.structures import Prompt

pytestmark = [needs_golden, needs_frames]

Mutation = Callable[[pytest.MonkeyPatch], dict]
POINT, BOX = 'small_point_refine', 'small_box_refine'


def single_skip(patch: pytest.MonkeyPatch) -> dict:
    return {'decoder.mlp_skip': 'single'}


def position_on_not_a_point(patch: pytest.MonkeyPatch) -> dict:
    patch.setattr(prompt_module, 'NOT_A_POINT', 99)
    return {}


def no_token_after_a_lone_point(patch: pytest.MonkeyPatch) -> dict:
    tokens = Prompt.tokens
    patch.setattr(
        Prompt,
        'tokens',
        lambda self: tuple(t[:1] for t in tokens(self)) if self.is_single_click else tokens(self),
    )
    return {}


def swapped_box_corners(patch: pytest.MonkeyPatch) -> dict:
    patch.setattr('ultrasam.structures.prompts.BOX_TOP_LEFT', 4)
    patch.setattr('ultrasam.structures.prompts.BOX_BOTTOM_RIGHT', 3)
    return {}


def iou_token_first(patch: pytest.MonkeyPatch) -> dict:
    forward = SamTwoWayTransformer.forward

    def mutated(self, *args):
        tokens, image = forward(self, *args)
        return torch.cat([tokens[:, :-5], tokens[:, -5:].roll(1, 1)], 1), image

    patch.setattr(SamTwoWayTransformer, 'forward', mutated)
    return {}


def dense_grid_without_half_cell(patch: pytest.MonkeyPatch) -> dict:
    def shifted(self):
        centres = torch.arange(self.map_size) / self.map_size
        y, x = torch.meshgrid(centres, centres, indexing='ij')
        return self.pe_layer(torch.stack([x, y], -1)).flatten(0, 1)

    patch.setattr(SamPromptEncoder, 'dense_positions', shifted)
    return {}


def candidate_fed_back(patch: pytest.MonkeyPatch) -> dict:
    patch.setattr(ultrasam_module, 'SINGLE_MASK', slice(1, 2))
    return {}


def single_mask_in_the_last_pass(patch: pytest.MonkeyPatch) -> dict:
    patch.setattr(UltraSam, 'choose', lambda self, answer, *a: torch.zeros(len(answer.iou), dtype=torch.long))
    return {}


def click_kept_in_the_second_pass(patch: pytest.MonkeyPatch) -> dict:
    return {'point_refinement': 'keep'}


def predicted_box_shifted_to_pixel_centres(patch: pytest.MonkeyPatch) -> dict:
    boxes = UltraSam.predicted_boxes
    patch.setattr(UltraSam, 'predicted_boxes', lambda self, *a: boxes(self, *a) + 0.5)
    return {}


def mask_prompt_without_gradient(patch: pytest.MonkeyPatch) -> dict:
    dense = SamPromptEncoder.dense
    patch.setattr(
        SamPromptEncoder,
        'dense',
        lambda self, mask, *tokens: dense(self, None if mask is None else mask.detach(), *tokens),
    )
    return {}


def logits_upsampled(patch: pytest.MonkeyPatch) -> dict:
    return {'bbox_head.mask_upsampling': 'logits'}


def clamped_score(patch: pytest.MonkeyPatch) -> dict:
    predict = UltraSam.predict

    def mutated(self, *args, **kwargs):
        answer = predict(self, *args, **kwargs)
        return answer._replace(iou=answer.iou.sigmoid())

    patch.setattr(UltraSam, 'predict', mutated)
    return {}


def first_candidate_kept(patch: pytest.MonkeyPatch) -> dict:
    patch.setattr(UltraSam, 'choose', lambda self, answer, *a: torch.ones(len(answer.iou), dtype=torch.long))
    return {}


def targets_at_half_coverage(patch: pytest.MonkeyPatch) -> dict:
    def mutated(masks, input_size, target_size):
        masks = F.pad(masks.float(), (0, input_size - masks.shape[2], 0, input_size - masks.shape[1]))
        return (
            F.interpolate(masks[:, None], (target_size, target_size), mode='bilinear')[:, 0] >= 0.5
        ).float()

    patch.setattr(detector_module, 'mask_targets', mutated)
    return {}


def candidate_of_best_predicted_iou(patch: pytest.MonkeyPatch) -> dict:
    loss = SamMaskHead.loss

    def mutated(self, logits, iou, targets, count):
        best = iou.argmax(1)
        rows = torch.arange(len(best))
        return loss(self, logits[rows, best][:, None], iou[rows, best][:, None], targets, count)

    patch.setattr(SamMaskHead, 'loss', mutated)
    return {}


def single_mask_trained_in_the_last_pass(patch: pytest.MonkeyPatch) -> dict:
    patch.setattr(procedures_module, 'MULTI_MASK', SINGLE_MASK)
    return {}


def focal_weight_one(patch: pytest.MonkeyPatch) -> dict:
    return {'bbox_head.loss_focal.loss_weight': 1.0}


def plain_dice(patch: pytest.MonkeyPatch) -> dict:
    return {'bbox_head.loss_dice.naive_dice': True}


def iou_of_soft_masks(patch: pytest.MonkeyPatch) -> dict:
    iou = head_module.mask_iou
    patch.setattr(head_module, 'mask_iou', lambda a, b: iou(a, b) * 0.9)
    return {}


def model_with(patch: pytest.MonkeyPatch, mutation: Mutation, refine: bool = True):
    return seeded_model(refine=refine, **mutation(patch))


@pytest.mark.parametrize(
    'mutation, variant',
    [
        (single_skip, BOX),
        (position_on_not_a_point, POINT),
        (no_token_after_a_lone_point, POINT),
        (swapped_box_corners, BOX),
        (iou_token_first, BOX),
        (dense_grid_without_half_cell, BOX),
        (candidate_fed_back, BOX),
        (single_mask_in_the_last_pass, BOX),
        (click_kept_in_the_second_pass, POINT),
        (predicted_box_shifted_to_pixel_centres, POINT),
        (first_candidate_kept, BOX),
    ],
)
def test_logits_notice(mutation: Mutation, variant: str, monkeypatch: pytest.MonkeyPatch):
    model = model_with(monkeypatch, mutation)
    with pytest.raises(AssertionError):
        check_mask_logits(model, variant)


@pytest.mark.parametrize('mutation', [logits_upsampled, clamped_score])
def test_predictions_notice(mutation: Mutation, monkeypatch: pytest.MonkeyPatch):
    model = model_with(monkeypatch, mutation)
    with pytest.raises(AssertionError):
        check_predictions(model, BOX)


@pytest.mark.parametrize(
    'mutation',
    [
        mask_prompt_without_gradient,
        single_mask_trained_in_the_last_pass,
        targets_at_half_coverage,
        candidate_of_best_predicted_iou,
        focal_weight_one,
        plain_dice,
        iou_of_soft_masks,
    ],
)
def test_losses_and_gradients_notice(mutation: Mutation, monkeypatch: pytest.MonkeyPatch):
    model = model_with(monkeypatch, mutation)
    with pytest.raises(AssertionError):
        check_losses(model, refine=True)


def no_half_pixel(patch: pytest.MonkeyPatch) -> None:
    apply = sampling.apply_draw

    def mutated(*args, **kwargs):
        prompt = apply(*args, **kwargs)
        box = None if prompt.box is None else prompt.box - 0.5
        return type(prompt)(points=prompt.points - 0.5, point_labels=prompt.point_labels, box=box)

    patch.setattr(sampling, 'apply_draw', mutated)


def rounded_size(patch: pytest.MonkeyPatch) -> None:
    from mmdet.datasets.transforms import FixScaleResize

    patch.setattr(FixScaleResize, '_resize_img', Resize._resize_img)


@pytest.mark.parametrize('mutation', [no_half_pixel, rounded_size])
@pytest.mark.parametrize('kind', ['point', 'box'])
def test_prompts_notice(mutation, kind: str, monkeypatch: pytest.MonkeyPatch):
    mutation(monkeypatch)
    with pytest.raises(AssertionError):
        pipeline_golden.test_prompts_of_all_frames(kind)


def test_logits_notice_padding_before_normalisation(monkeypatch: pytest.MonkeyPatch):
    model = seeded_model()
    grey = model.data_preprocessor.mean / model.data_preprocessor.std
    preprocess = type(model.data_preprocessor).forward

    def mutated(self, data, training=False):
        out = preprocess(self, data, training)
        for image, sample in zip(out['inputs'], out['data_samples'], strict=True):
            height, width = sample.img_shape
            image[:, height:] = -grey
            image[:, :, width:] = -grey
        return out

    monkeypatch.setattr(type(model.data_preprocessor), 'forward', mutated)
    with pytest.raises(AssertionError):
        check_mask_logits(model, BOX)


def test_logits_notice_an_antialiased_resize(monkeypatch: pytest.MonkeyPatch):
    from tests import golden

    resize = golden.cv2.resize
    monkeypatch.setattr(
        golden.cv2,
        'resize',
        lambda image, size, interpolation: resize(image, size, interpolation=golden.cv2.INTER_AREA),
    )
    with pytest.raises(AssertionError):
        check_mask_logits(seeded_model(), BOX)


def test_dropout_of_the_published_recipe():
    decoder = seeded_model().decoder
    rates = {m.p for m in decoder.modules() if isinstance(m, torch.nn.Dropout)}
    assert rates == {0.1}
