"""UltraSam, from a click to a mask.

1. A prompt is a point or a box in pixels of the padded input; ``structures/prompts.py`` turns the prompts of a batch
   into tokens: coordinates, and what each stands for.
2. ``image_encoder.py`` encodes the image once (attention in ``attention.py``, small layers in ``layers.py``).
3. ``prompt_encoder.py`` embeds tokens and, if there is one, a mask; it appends five output tokens.
4. ``mask_decoder.py`` lets tokens and image exchange (``two_way_transformer.py``) and reads off four masks with their
   predicted IoU: a single one, and three candidates for a prompt that is ambiguous.
5. Refining feeds the single mask back, once as published; a click is then replaced by the box of its first mask.
6. Of the candidates the one of highest predicted IoU is chosen, and ``postprocess.py`` enlarges it to the image.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from ultrasam.errors import ConfigError
from ultrasam.models.mask_decoder import MULTI_MASK, SINGLE_MASK, Decoded
from ultrasam.models.names import PublishedNames
from ultrasam.models.postprocess import ImageGeometry, boxes_of_masks
from ultrasam.structures.prompt_batch import PromptBatch

POINT_REFINEMENTS = ('predicted_box', 'keep')
MASK_CHOICES = ('best_candidate', 'segment_anything', 'single')


class Answer(NamedTuple):
    """What the model says about M prompts: all four masks after :meth:`UltraSam.decode`.

    Args:
        logits: (M, K, 4h, 4w), float, mask logits over the padded input.
        iou: (M, K), float, predicted IoU of each.
        class_logits: (M, C), float, of a model that tells classes.
    """

    logits: Tensor
    iou: Tensor
    class_logits: Tensor | None = None


class UltraSam(PublishedNames):
    """Promptable segmentation as the published UltraSam does it.

    Args:
        image_encoder: Images to embeddings, :class:`~ultrasam.models.image_encoder.SamImageEncoder`.
        prompt_encoder: Prompts to embeddings, :class:`~ultrasam.models.prompt_encoder.SamPromptEncoder`.
        mask_decoder: Embeddings to masks, :class:`~ultrasam.models.mask_decoder.MaskDecoder`.
        refinements: Passes after the first, at inference.
        point_refinement: Prompt of the refining passes for an instance prompted by one click: ``'predicted_box'``,
            the box of its first mask, as published; ``'keep'``, the click.
        mask_choice: Which mask answers: ``'best_candidate'`` of the three by predicted IoU, as published;
            ``'segment_anything'``, that for a single click and the single mask for any other prompt; ``'single'``,
            the single mask, as MedSAM.
        mask_upsampling: How logits become masks at image size, see
            :func:`~ultrasam.models.postprocess.masks_at_image_size`.
        instances_per_pass: Instances decoded at once by :meth:`predict`; bounds memory.

    Raises:
        ConfigError: An unknown option, or a number below its least.
    """

    published_names = {  # noqa: RUF012
        'image_encoder.': 'backbone.',
        'mask_decoder.transformer.': 'decoder.',
        'mask_decoder.': 'bbox_head.',
    }

    def __init__(
        self,
        image_encoder: nn.Module,
        prompt_encoder: nn.Module,
        mask_decoder: nn.Module,
        *,
        refinements: int = 1,
        point_refinement: str = 'predicted_box',
        mask_choice: str = 'best_candidate',
        mask_upsampling: str = 'binary',
        instances_per_pass: int = 16,
    ) -> None:
        super().__init__()
        self.use_published_names()
        if refinements < 0 or instances_per_pass < 1:
            raise ConfigError(
                f'refinements {refinements}, instances_per_pass {instances_per_pass}: give at least 0 and 1'
            )
        if point_refinement not in POINT_REFINEMENTS:
            raise ConfigError(
                f'point_refinement {point_refinement!r}: use one of {", ".join(POINT_REFINEMENTS)}'
            )
        if mask_choice not in MASK_CHOICES:
            raise ConfigError(f'mask_choice {mask_choice!r}: use one of {", ".join(MASK_CHOICES)}')
        self.image_encoder: Any = image_encoder
        self.prompt_encoder: Any = prompt_encoder
        self.mask_decoder: Any = mask_decoder
        self.refinements = refinements
        self.point_refinement = point_refinement
        self.mask_choice = mask_choice
        self.mask_upsampling = mask_upsampling
        self.instances_per_pass = instances_per_pass

    def encode(self, images: Tensor) -> Any:
        """Return the embedding (B, C, h, w) of normalised, padded images (B, 3, S, S)."""
        return self.image_encoder(images)

    def decode(self, embedding: Any, prompts: PromptBatch, mask_prompt: Tensor | None = None) -> Answer:
        """Decode all four masks of M prompts.

        Args:
            embedding: What :meth:`encode` returned.
            prompts: The prompts of M instances.
            mask_prompt: (M, 1, 4h, 4w), float, mask logits of an earlier answer.
        """
        answers = []
        for group in prompts.groups:
            masks = None if mask_prompt is None else mask_prompt[group.members]
            tokens, dense = self.prompt_encoder(group.coords, group.labels, masks)
            decoded = self.mask_decoder(
                self.features(embedding)[group.image_index],
                self.prompt_encoder.dense_positions(),
                tokens,
                dense,
            )
            answers.append(self.answer(decoded, embedding, group.image_index))
        return joined(answers, torch.cat([group.members for group in prompts.groups]))

    def forward(
        self,
        embedding: Any,
        prompts: PromptBatch,
        geometry: Sequence[ImageGeometry],
        *,
        mask_prompt: Tensor | None = None,
        refinements: int | None = None,
    ) -> Answer:
        """Decode, and refine: all four masks of the last pass.

        Args:
            embedding: What :meth:`encode` returned for B images.
            prompts: The prompts of M instances.
            geometry: Where each of the B images lies in the input.
            mask_prompt: (M, 1, 4h, 4w), float, mask logits of an earlier answer, for the first pass.
            refinements: Passes after the first; None for those of the model.
        """
        answer = self.decode(embedding, prompts, mask_prompt)
        refinements = self.refinements if refinements is None else refinements
        if refinements and self.point_refinement == 'predicted_box' and any(prompts.single_clicks):
            boxes = self.predicted_boxes(answer.logits, prompts, geometry)
            prompts = prompts.with_boxes(boxes, prompts.single_clicks)
        for _ in range(refinements):
            answer = self.decode(embedding, prompts, answer.logits[:, SINGLE_MASK])
        return answer

    def predict(
        self,
        embedding: Any,
        prompts: PromptBatch,
        geometry: Sequence[ImageGeometry],
        *,
        mask_prompt: Tensor | None = None,
        refinements: int | None = None,
        all_candidates: bool = False,
    ) -> Answer:
        """Run :meth:`forward` on a few instances at a time, and choose their masks.

        Args:
            embedding: As for :meth:`forward`, like the others.
            prompts: Likewise.
            geometry: Likewise.
            mask_prompt: Likewise.
            refinements: Likewise.
            all_candidates: Return the three candidates rather than the mask that :attr:`mask_choice` says.

        Returns:
            One mask an instance (K = 1), or three.
        """
        answers, order = [], []
        for members, part in prompts.split(self.instances_per_pass):
            masks = None if mask_prompt is None else mask_prompt[members]
            answer = self(embedding, part, geometry, mask_prompt=masks, refinements=refinements)
            if not all_candidates:
                chosen = self.choose(answer, part, refinements)
                answer = answer._replace(logits=pick(answer.logits, chosen), iou=pick(answer.iou, chosen))
            else:
                answer = answer._replace(logits=answer.logits[:, MULTI_MASK], iou=answer.iou[:, MULTI_MASK])
            answers.append(answer)
            order += members
        return joined(answers, torch.tensor(order, dtype=torch.long))

    def features(self, embedding: Any) -> Tensor:
        """Return the map (B, C, h, w) of an embedding."""
        return embedding

    def answer(self, decoded: Decoded, embedding: Any, image_index: Tensor) -> Answer:
        """Return the answer for instances of the images ``image_index`` (G,), from what was decoded for them."""
        return Answer(decoded.logits, decoded.iou)

    def choose(self, answer: Answer, prompts: PromptBatch, refinements: int | None = None) -> Tensor:
        """Return which of the four masks answers each of M prompts: (M,), int64; arguments as for :meth:`forward`."""
        best = MULTI_MASK.start + answer.iou[:, MULTI_MASK].argmax(1)
        refinements = self.refinements if refinements is None else refinements
        if self.mask_choice == 'best_candidate' or refinements:
            return best
        ambiguous = torch.tensor(prompts.single_clicks, dtype=torch.bool, device=best.device)
        return torch.where(ambiguous & (self.mask_choice == 'segment_anything'), best, SINGLE_MASK.start)

    def predicted_boxes(
        self, logits: Tensor, prompts: PromptBatch, geometry: Sequence[ImageGeometry]
    ) -> Tensor:
        """Return the boxes of the single masks of instances prompted by one click.

        Args:
            logits: (M, 4, 4h, 4w), float, mask logits of the first pass.
            prompts: As for :meth:`forward`.
            geometry: Likewise.

        Returns:
            (M, 4), float, xyxy pixels of the padded input; zeros for other instances.
        """
        clicked = torch.tensor(prompts.single_clicks, device=logits.device)
        boxes = logits.new_zeros((len(logits), 4))
        for i, image in enumerate(geometry):
            members = (clicked & (prompts.image_index == i)).nonzero()[:, 0]
            of_masks = boxes_of_masks(image.masks(logits[members, 0], self.mask_upsampling))
            # published: scaled like a given box, but without the shift to pixel centres
            boxes[members] = of_masks.to(boxes) * boxes.new_tensor(image.scale_xy * 2)
        return boxes


def pick(candidates: Tensor, chosen: Tensor) -> Tensor:
    """Return the candidates (M, 1, ...) of (M, K, ...) at the indices ``chosen`` (M,)."""
    index = chosen.view(-1, 1, *[1] * (candidates.ndim - 2))
    return candidates.gather(1, index.expand(-1, 1, *candidates.shape[2:]))


def joined(answers: Sequence[Answer], order: Tensor) -> Answer:
    """Join answers for instances, given in the order ``order`` (M,), into one in the order of the batch."""
    if len(answers) == 1:
        return answers[0]
    logits, iou, class_logits = zip(*answers, strict=True)
    back = order.to(logits[0].device).argsort()
    classes = None if class_logits[0] is None else torch.cat(class_logits)[back]
    return Answer(torch.cat(logits)[back], torch.cat(iou)[back], classes)
