"""Masks for clicks and boxes on plain images."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from mmdet.registry import MODELS
from mmdet.structures import DetDataSample
from mmengine.config import Config
from mmengine.registry import DefaultScope
from torch import Tensor

import ultrasam.registry  # noqa: F401
from ultrasam.checkpoints import load_checkpoint_file, load_strict, state_dict_of
from ultrasam.checkpoints.describe import ModelDescription, describe
from ultrasam.errors import ConfigError, PromptError
from ultrasam.inference.classes import class_names, packed, unpacked
from ultrasam.inference.embedding_cache import EmbeddingCache
from ultrasam.inference.prompts import network_prompt
from ultrasam.models.postprocess import MASK_UPSAMPLINGS, masks_at_image_size
from ultrasam.openmmlab.models import UltraSamDetector as UltraSam
from ultrasam.structures import Frame, ObjectPrompt, Prompt, PromptBatch, Segmentation

SHIPPED = 'ultrasam_nano_256.pth'
PRECISIONS = ('auto', 'fp32', 'bf16')


def shipped_checkpoint() -> Path:
    """The small checkpoint that comes with the package.

    Raises:
        ConfigError: it is not where an installation puts it.
    """
    package = Path(__file__).resolve().parents[1]
    places = (package.parent / 'weights' / SHIPPED, package / '.mim' / 'weights' / SHIPPED)
    for place in places:
        if place.is_file():
            return place
    raise ConfigError(
        f'the shipped checkpoint {SHIPPED} is in none of {", ".join(map(str, places))}: give one'
    )


def choose_device(device: str | None = None) -> torch.device:
    """The device asked for, or the best there is: CUDA, then MPS, then CPU.

    Raises:
        ConfigError: it is not there.
    """
    mps = getattr(torch.backends, 'mps', None)
    found = {
        'cuda': torch.cuda.is_available(),
        'mps': mps is not None and mps.is_available(),
        'cpu': True,
    }
    if device is None:
        return torch.device(next(name for name, there in found.items() if there))
    if not found.get(torch.device(device).type, True):
        there = ', '.join(name for name, usable in found.items() if usable)
        raise ConfigError(f'no device {device!r} on this machine: use one of {there}')
    return torch.device(device)


class UltraSamInferencer:
    """Segments what a prompt points at, in images without any annotation.

    Args:
        weights: a checkpoint of UltraSam, ours or the published one; None
            takes the small one that ships.
        model: a config to build the model from; None reads the architecture
            from the checkpoint.
        device: ``'cpu'``, ``'cuda'``, ``'cuda:1'``, ``'mps'``; None chooses.
        precision: ``'fp32'``, ``'bf16'``, or ``'auto'``: bf16 on a GPU that
            has it, fp32 elsewhere.
        mask_upsampling: ``'logits'`` interpolates mask logits to the size of
            the image and thresholds then; ``'binary'`` thresholds first, as
            the published figures were made.
        cache_dir: folder in which image embeddings are kept; None keeps none.
        compile_decoder: answer through ``torch.compile``, by CUDA graphs on a GPU: worth its minute of compiling for
            many prompts with equally many clicks; or the options of ``torch.compile``.

    Attributes:
        class_names: names of the classes that a prompted classifier tells apart, in the order of
            ``Segmentation.class_scores``; none for a model that gives masks alone.

    Raises:
        CheckpointError: weights that do not exist, are unsafe, or do not fit.
        ConfigError: an option that makes no sense here.

    Example:
        >>> inferencer = UltraSamInferencer()
        >>> inferencer.set_image('frame.png')
        >>> answer = inferencer.predict(points=[(120, 80)])
        >>> answer.masks.shape, answer.scores
    """

    def __init__(
        self,
        weights: str | Path | None = None,
        *,
        model: str | Path | None = None,
        device: str | None = None,
        precision: str = 'auto',
        mask_upsampling: str = 'logits',
        cache_dir: str | Path | None = None,
        compile_decoder: bool | Mapping[str, Any] = False,
    ) -> None:
        if precision not in PRECISIONS or mask_upsampling not in MASK_UPSAMPLINGS:
            raise ConfigError(
                f'precision {precision!r} is one of {", ".join(PRECISIONS)}; '
                f'mask_upsampling {mask_upsampling!r} is one of {", ".join(MASK_UPSAMPLINGS)}'
            )
        self.device = choose_device(device)
        self.bfloat16 = precision == 'bf16' or (
            precision == 'auto' and self.device.type == 'cuda' and torch.cuda.is_bf16_supported()
        )
        self.mask_upsampling = mask_upsampling
        self.weights = Path(weights) if weights is not None else shipped_checkpoint()
        if compile_decoder is True and self.device.type == 'cuda':
            compile_decoder = dict(mode='reduce-overhead')
        self.model = self._build(model, compile_decoder).to(self.device).eval()
        # the preprocessor keeps a device of its own
        self.model.data_preprocessor.to(self.device)
        self.cache = None if cache_dir is None else EmbeddingCache(Path(cache_dir), self.model, self.bfloat16)
        self._embedding: Tensor | None = None
        self._sample: DetDataSample | None = None

    def _build(self, config: str | Path | None, compile_decoder: bool | Mapping[str, Any]) -> UltraSam:
        checkpoint = load_checkpoint_file(self.weights)
        state_dict = state_dict_of(checkpoint, self.weights)
        self.description: ModelDescription | None = None
        whole: Config | None = None
        if config is None:
            self.description = describe(state_dict, checkpoint.get('meta'), str(self.weights))
            settings: Any = self.description.model_config()
        else:
            whole = Config.fromfile(str(config))
            settings = whole.model
        if compile_decoder is not False:
            settings = dict(settings, compile_decoder=compile_decoder)
        with DefaultScope.overwrite_default_scope('mmdet'):
            model = MODELS.build(settings)
        load_strict(model, state_dict, source=str(self.weights))
        self.class_names = class_names(model, checkpoint.get('meta'), whole, str(config or self.weights))
        return model

    @property
    def image_set(self) -> bool:
        """Whether an image was encoded."""
        return self._embedding is not None

    def set_image(self, image: np.ndarray | str | Path | Frame) -> None:
        """Encode an image, once for all prompts on it.

        Args:
            image: a file, read in this process; or (H, W, 3) uint8 RGB, or (H, W) uint8 gray; or a
                frame of a reader.

        Raises:
            InputError: a file that cannot be read, or holds several frames.
            PromptError: an array of another shape or type.
        """
        if isinstance(image, (str, Path)):
            image = _only_frame(Path(image))
        if isinstance(image, Frame):
            image = image.image
        (embedding,), (sample,) = self.encode([_checked_image(image)])
        self._embedding, self._sample = embedding[None], sample

    @torch.no_grad()
    def encode(self, images: Sequence[np.ndarray]) -> tuple[Tensor, list[DetDataSample]]:
        """Embeddings of images, several at once.

        Args:
            images: (H, W, 3), uint8, RGB, of any sizes.

        Returns:
            (B, C, h, w), float32, on the device, and what is known of each.
        """
        inputs, samples = zip(*(self._network_input(image) for image in images), strict=True)
        cached = [self.cache.get(image) if self.cache else None for image in images]
        missing = [i for i, found in enumerate(cached) if found is None]
        if missing:
            data = self.model.data_preprocessor(
                dict(inputs=[inputs[i] for i in missing], data_samples=[samples[i] for i in missing]), False
            )
            with self._autocast():
                fresh = packed(self.model.extract_feat(data['inputs']))
            for i, embedding in zip(missing, fresh, strict=True):
                cached[i] = embedding
                if self.cache:
                    self.cache.put(images[i], embedding)
        found = [embedding.to(self.device) for embedding in cached if embedding is not None]
        return torch.stack(found), list(samples)

    def _network_input(self, image: np.ndarray) -> tuple[Tensor, DetDataSample]:
        """Resized image (3, h, w), uint8, BGR, and its sizes; truncating resize as in the published pipeline."""
        height, width = image.shape[:2]
        side = self.model.prompt_encoder.img_size
        scale = min(side / max(height, width), side / min(height, width))
        new_size = max(1, int(width * scale)), max(1, int(height * scale))
        resized = cv2.resize(image[..., ::-1], new_size, interpolation=cv2.INTER_LINEAR)
        sample = DetDataSample(
            metainfo=dict(
                ori_shape=(height, width),
                img_shape=(new_size[1], new_size[0]),
                scale_factor=(new_size[0] / width, new_size[1] / height),
            )
        )
        return torch.from_numpy(np.ascontiguousarray(resized.transpose(2, 0, 1))), sample

    def predict(
        self,
        prompts: Sequence[ObjectPrompt] | ObjectPrompt | None = None,
        *,
        points: Sequence | np.ndarray | None = None,
        labels: Sequence | np.ndarray | None = None,
        box: Sequence | np.ndarray | None = None,
        mask_logits: np.ndarray | None = None,
        refinements: int | None = None,
        all_candidates: bool = False,
    ) -> Segmentation:
        """Masks of the objects that are pointed at, in the image set before.

        Give ``prompts`` for one or many objects, or the other arguments for
        one.

        Args:
            prompts: one prompt an object, of any kinds and numbers of clicks.
            points: (P, 2), xy pixels of the image.
            labels: (P,), 1 on the object, 0 off it; all 1 if left out.
            box: (4,), xyxy pixels of the image.
            mask_logits: (1, h, h), ``logits`` of an earlier answer.
            refinements: passes after the first; None for those that the model
                was trained with.
            all_candidates: all three candidate masks of each object, object by
                object, rather than the best.

        Returns:
            Masks at the size of the image, their predicted IoU and logits; with the probability of each of
            ``class_names`` where the model tells classes.

        Raises:
            PromptError: no image was set, or a prompt that means nothing.
        """
        if self._embedding is None or self._sample is None:
            raise PromptError('no image yet: call set_image first')
        if prompts is None:
            prompts = ObjectPrompt(
                points_xy=np.zeros((0, 2)) if points is None else points,
                point_labels=labels,
                box_xyxy=box,
                mask_logits=mask_logits,
            )
        if isinstance(prompts, ObjectPrompt):
            prompts = [prompts]
        return self.answer(
            self._embedding, self._sample, prompts, refinements=refinements, all_candidates=all_candidates
        )

    @torch.no_grad()
    def answer(
        self,
        embedding: Tensor,
        sample: DetDataSample,
        prompts: Sequence[ObjectPrompt],
        *,
        refinements: int | None = None,
        all_candidates: bool = False,
    ) -> Segmentation:
        """Masks on one encoded image; see :meth:`encode` and :meth:`predict`."""
        if refinements is not None and refinements < 0:
            raise PromptError(f'refinements={refinements}: give 0 or more')
        each = 3 if all_candidates else 1
        size = self.model.prompt_encoder.mask_prompt_size
        logits = embedding.new_zeros((len(prompts), each, size, size))
        scores = embedding.new_zeros((len(prompts), each))
        classes = embedding.new_zeros((len(prompts), len(self.class_names)))
        for members, batch, mask_prompt in self._batches(prompts, sample):
            with self._autocast():
                found, iou, class_logits = self.model.predict_logits(
                    unpacked(self.model, embedding),
                    batch,
                    [sample],
                    mask_prompt=mask_prompt,
                    refinements=refinements,
                    all_candidates=all_candidates,
                )
            logits[members], scores[members] = found.float(), iou.float()
            if class_logits is not None:
                classes[members] = self.model.bbox_head.class_scores(class_logits)
        logits = logits.flatten(0, 1)
        masks = masks_at_image_size(
            logits,
            input_size=self.model.prompt_encoder.img_size,
            resized_hw=sample.img_shape,
            original_hw=sample.ori_shape,
            upsampling=self.mask_upsampling,
        )
        return Segmentation(
            masks=masks.cpu().numpy(),
            scores=scores.flatten().cpu().numpy(),
            prompts=tuple(prompt for prompt in prompts for _ in range(each)),
            logits=logits.cpu().numpy(),
            class_names=self.class_names,
            class_scores=classes.repeat_interleave(each, 0).cpu().numpy() if self.class_names else None,
        )

    def _batches(
        self, prompts: Sequence[ObjectPrompt], sample: DetDataSample
    ) -> Iterator[tuple[Tensor, PromptBatch, Tensor | None]]:
        """Objects with and without an earlier mask, and their network prompts."""
        network: list[Prompt] = [
            network_prompt(prompt, sample, self.model.prompt_encoder.img_size, f'object {i}')
            for i, prompt in enumerate(prompts)
        ]
        size = self.model.prompt_encoder.mask_prompt_size
        for with_mask in (False, True):
            members = [i for i, p in enumerate(prompts) if (p.mask_logits is not None) == with_mask]
            if not members:
                continue
            batch = PromptBatch.from_prompts([[network[i] for i in members]], self.device)
            masks = None
            if with_mask:
                masks = torch.stack([_mask_prompt(prompts[i], size, i) for i in members]).to(self.device)
            yield torch.tensor(members, device=self.device), batch, masks

    def _autocast(self) -> contextlib.AbstractContextManager:
        return (
            torch.autocast(self.device.type, torch.bfloat16, enabled=True)
            if self.bfloat16
            else contextlib.nullcontext()
        )


def _mask_prompt(prompt: ObjectPrompt, size: int, index: int) -> Tensor:
    logits = np.asarray(prompt.mask_logits, np.float32)
    if logits.shape[-2:] != (size, size) or logits.size != size * size or not np.isfinite(logits).all():
        raise PromptError(
            f'object {index}: mask_logits of shape {logits.shape}: '
            f'give the logits of an earlier answer of this model, (1, {size}, {size}), all finite'
        )
    return torch.from_numpy(logits.reshape(1, size, size))


def _checked_image(image: Any) -> np.ndarray:
    array = np.asarray(image)
    if array.dtype != np.uint8 or array.ndim not in (2, 3) or (array.ndim == 3 and array.shape[2] != 3):
        raise PromptError(
            f'an image of type {array.dtype} and shape {array.shape}: give uint8, (H, W, 3) RGB or (H, W) gray'
        )
    if 0 in array.shape:
        raise PromptError(f'an image without pixels, shape {array.shape}')
    return np.repeat(array[..., None], 3, axis=2) if array.ndim == 2 else array


def _only_frame(path: Path) -> Frame:
    from ultrasam.errors import InputError
    from ultrasam.inference.readers import open_frames

    with open_frames(path) as source:
        if len(source) != 1:
            raise InputError(
                f'{path}: holds {len(source)} frames: open it with open_frames and set them one by one'
            )
        return source.frame(0)
