"""Training procedures: which passes a step runs, and which masks of them are trained."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import torch
from mmdet.registry import TASK_UTILS
from torch import Tensor

from ultrasam.errors import ConfigError
from ultrasam.models.mask_decoder import MULTI_MASK, SINGLE_MASK
from ultrasam.models.ultrasam import Answer, pick
from ultrasam.prompts.corrections import corrective_clicks
from ultrasam.structures import PromptBatch

Losses = dict[str, Tensor]


@dataclass(frozen=True)
class TrainingStep:
    """One batch of encoded images, and what a procedure can do with it.

    Args:
        decode: Decodes prompts, given the mask logits (M, 1, 4h, 4w) of an earlier pass or None.
        loss: The losses of some of the four masks of an answer.
        features: (B, C, h, w), float, image embeddings.
        prompts: The prompts of M instances.
        targets: (M, 4h, 4w), float, 0 or 1.
        cell: Side of a cell of the targets in pixels of the padded input.
        refinements: Passes after the first that the model was built with.
        seed: Seed of draws that decide what is run, the same in every process.
    """

    decode: Callable[[PromptBatch, Tensor | None], Answer]
    loss: Callable[[Answer, slice], Losses]
    features: Tensor
    prompts: PromptBatch
    targets: Tensor
    cell: float
    refinements: int
    seed: int


class TrainingProcedure(Protocol):
    """Turns a step into losses; built from ``training_procedure`` of a model's config."""

    def __call__(self, step: TrainingStep) -> Losses:
        """Return the losses to be added up, and values to be logged (names without ``loss``)."""
        ...


@TASK_UTILS.register_module()
class TwoPass:
    """The published procedure: the same prompt in every pass, the mask fed back.

    Each pass trains the single mask, the last one the best of the three candidates.
    """

    def __call__(self, step: TrainingStep) -> Losses:
        """Return the losses of the first pass, and with the suffix ``.i`` those of refinement ``i``."""
        losses: Losses = {}
        mask_prompt = None
        for i in range(step.refinements + 1):
            answer = step.decode(step.prompts, mask_prompt)
            masks = MULTI_MASK if i == step.refinements else SINGLE_MASK
            suffix = f'.{i - 1}' if i else ''
            losses.update({f'{name}{suffix}': value for name, value in step.loss(answer, masks).items()})
            # the mask prompt keeps its gradient, as the published model was trained
            mask_prompt = answer.logits[:, SINGLE_MASK]
        return losses


@TASK_UTILS.register_module()
class CorrectiveClicks:
    """Rounds of corrective clicks; every round trains the single mask and the best of three.

    A round feeds back the mask of the round before, without gradient, as SAM was trained.  Some rounds add no click,
    so that a mask improves by a second look alone; some give the clicks without the mask, as a user does who clicks
    several times before asking.

    Args:
        rounds: Rounds after the first pass, a number or an inclusive range (a, b) of which every step draws one; at
            least one, which trains the mask prompt.
        click_probability: Chance that a round adds a click.
        mask_prompt_probability: Chance that a round with a click is given the mask; one without a click, and the last,
            always are.

    Raises:
        ConfigError: No round, an inverted range or a chance outside [0, 1].
    """

    def __init__(
        self,
        *,
        rounds: int | tuple[int, int] = 3,
        click_probability: float = 0.75,
        mask_prompt_probability: float = 0.75,
    ) -> None:
        fewest, most = (rounds, rounds) if isinstance(rounds, int) else tuple(rounds)
        chances = (click_probability, mask_prompt_probability)
        if not 1 <= fewest <= most or not all(0 <= chance <= 1 for chance in chances):
            raise ConfigError(
                f'CorrectiveClicks(rounds={rounds}, click_probability={click_probability}, '
                f'mask_prompt_probability={mask_prompt_probability}): give rounds >= 1 or a range (a, b) of them, and '
                'chances in [0, 1]'
            )
        self.rounds = (fewest, most)
        self.click_probability = click_probability
        self.mask_prompt_probability = mask_prompt_probability

    def __call__(self, step: TrainingStep) -> Losses:
        """Return losses averaged over the passes, and ``embedding_spread``, see :func:`embedding_spread`."""
        shared = torch.Generator().manual_seed(step.seed)
        rounds = int(torch.randint(self.rounds[0], self.rounds[1] + 1, (), generator=shared))
        prompts, mask_prompt = step.prompts, None
        total: Losses = {}
        for i in range(rounds + 1):
            answer = step.decode(prompts, mask_prompt)
            for masks in (SINGLE_MASK, MULTI_MASK):
                for name, value in step.loss(answer, masks).items():
                    total[name] = total.get(name, 0.0) + value / (2 * (rounds + 1))
            if i == rounds:
                break
            shown = _shown(answer, single=_chance(0.5, shared))
            click = _chance(self.click_probability, shared)
            if click:
                prompts = prompts.with_points(*corrective_clicks(shown[:, 0], step.targets, step.cell))
            # the last round always has the mask, so that no weight is without gradient in a distributed step
            given = i == rounds - 1 or not click or _chance(self.mask_prompt_probability, shared)
            mask_prompt = shown if given else None
        return {**total, 'embedding_spread': embedding_spread(step.features)}


def _chance(probability: float, generator: torch.Generator) -> bool:
    return bool(torch.rand((), generator=generator) < probability)


def _shown(answer: Answer, single: bool) -> Tensor:
    """Return the mask (M, 1, 4h, 4w) that a user would see, without gradient: the single one, or the best of three."""
    logits = answer.logits.detach()
    if single:
        return logits[:, SINGLE_MASK]
    return pick(logits[:, MULTI_MASK], answer.iou[:, MULTI_MASK].argmax(1))


@torch.no_grad()
def embedding_spread(embedding: Tensor) -> Tensor:
    """Return the deviation of an embedding (B, C, h, w) over frames, divided by its deviation over everything: scalar.

    It falls to zero when the encoder ignores its image.
    """
    return embedding.float().std(0, unbiased=False).mean() / embedding.float().std().clamp(min=1e-12)
