"""Training as an annotator works: look at the mask, click where it is wrong, look again."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from ultrasam.errors import ConfigError
from ultrasam.models.mask_head import ALL_MASKS, MULTI_MASK, SINGLE_MASK
from ultrasam.structures import PromptBatch

if TYPE_CHECKING:
    from ultrasam.models.detector import UltraSam


def corrective_clicks(logits: Tensor, targets: Tensor, cell: float) -> tuple[Tensor, Tensor]:
    """One click an instance, drawn uniformly from where its mask is wrong.

    A click on a missed part is positive, one on a part too much is negative
    (Sofiiuk et al. 2022, section 4; Kirillov et al. 2023, appendix A).  Where
    nothing is wrong the click falls on the object, or anywhere if there is
    none.

    Args:
        logits: (M, h, h), float, mask logits over the padded input.
        targets: (M, h, h), float, 0 or 1.
        cell: side of a cell of the logits, in pixels of the padded input.

    Returns:
        Points (M, 2), float, xy pixels of the padded input, and labels (M,),
        bool, True for positive.
    """
    truth = targets > 0
    wrong = (logits > 0) ^ truth
    fallback = torch.where(truth.flatten(1).any(1)[:, None, None], truth, True)
    weights = torch.where(wrong.flatten(1).any(1)[:, None, None], wrong, fallback).flatten(1).float()
    index = torch.multinomial(weights, 1)[:, 0] if len(weights) else weights.new_zeros(0, dtype=torch.long)
    labels = truth.flatten(1).gather(1, index[:, None])[:, 0]
    size = logits.shape[-1]
    corner = torch.stack([index % size, index.div(size, rounding_mode='floor')], 1)
    return (corner + torch.rand_like(corner, dtype=torch.float32)) * cell, labels


class InteractiveTraining:
    """Rounds of corrective clicks; every round supervises the single mask and the best of three.

    A round feeds back the mask of the round before, without gradient, as SAM
    was trained.  Some rounds add no click, so that a mask improves by a second
    look alone; some give the clicks without the mask, as a user does who
    clicks several times before asking.

    Args:
        rounds: rounds after the first pass, a number or an inclusive range
            (a, b) of which every step draws one; at least one, which trains the
            mask prompt.
        click_probability: chance that a round adds a click.
        mask_prompt_probability: chance that a round with a click is given the
            mask; one without a click, and the last, always are.

    Raises:
        ConfigError: no round, an inverted range or a chance outside [0, 1].
    """

    def __init__(
        self,
        *,
        rounds: int | tuple[int, int] = 3,
        click_probability: float = 0.75,
        mask_prompt_probability: float = 0.75,
    ) -> None:
        fewest, most = (rounds, rounds) if isinstance(rounds, int) else tuple(rounds)
        if (
            not 1 <= fewest <= most
            or not 0 <= click_probability <= 1
            or not 0 <= mask_prompt_probability <= 1
        ):
            raise ConfigError(
                f'interactive training with rounds={rounds}, click_probability={click_probability}, '
                f'mask_prompt_probability={mask_prompt_probability}: give rounds >= 1 or a range (a, b) of '
                'them, and chances in [0, 1]'
            )
        self.rounds = (fewest, most)
        self.click_probability = click_probability
        self.mask_prompt_probability = mask_prompt_probability

    def loss(
        self, model: UltraSam, embedding: Tensor, prompts: PromptBatch, targets: Tensor
    ) -> dict[str, Tensor]:
        """Losses averaged over the passes, and how much the embedding tells frames apart.

        Args:
            model: the detector that is trained.
            embedding: (B, C, h, w), float, image embeddings.
            prompts: the prompts of M instances.
            targets: (M, 4h, 4w), float, 0 or 1.

        Returns:
            ``loss_dice``, ``loss_focal``, ``loss_iou``, and the logged
            ``embedding_spread``: deviation over frames divided by deviation
            over all, which falls to zero when the encoder ignores its image.
        """
        cell = model.prompt_encoder.img_size / targets.shape[-1]
        mask_prompt = None
        fewest, most = self.rounds
        rounds = fewest if fewest == most else int(torch.randint(fewest, most + 1, ()))
        total: dict[str, Tensor] = {}
        for i in range(rounds + 1):
            logits, iou = model.decode(embedding, prompts, mask_prompt=mask_prompt, candidates=ALL_MASKS)
            for kind in (SINGLE_MASK, MULTI_MASK):
                for name, value in model.bbox_head.loss(logits[:, kind], iou[:, kind], targets).items():
                    total[name] = total.get(name, 0.0) + value / (2 * (rounds + 1))
            if i < rounds:
                shown = self._shown(logits.detach(), iou)
                click = self._chance(self.click_probability)
                if click:
                    prompts = prompts.with_points(*corrective_clicks(shown[:, 0], targets, cell))
                # the last round always has the mask, so that no weight is without gradient in a distributed step
                last = i == rounds - 1
                mask_prompt = (
                    shown if last or not click or self._chance(self.mask_prompt_probability) else None
                )
        return {**total, 'embedding_spread': embedding_spread(embedding)}

    @staticmethod
    def _chance(probability: float) -> bool:
        return bool(torch.rand(()) < probability)

    def _shown(self, logits: Tensor, iou: Tensor) -> Tensor:
        """The mask (M, 1, h, h) that a user would see: the single one, or the best of three."""
        if self._chance(0.5):
            return logits[:, SINGLE_MASK]
        best = iou[:, MULTI_MASK].argmax(1)[:, None, None, None].expand(-1, -1, *logits.shape[2:])
        return logits[:, MULTI_MASK].gather(1, best)


@torch.no_grad()
def embedding_spread(embedding: Tensor) -> Tensor:
    """Deviation of an embedding (B, C, h, w) over frames, divided by its deviation over everything: scalar."""
    return embedding.float().std(0, unbiased=False).mean() / embedding.float().std().clamp(min=1e-12)
