"""Masks for clicks and boxes on images: numpy in, numpy out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from ultrasam.errors import ConfigError, InputError, PromptError
from ultrasam.masks.foreground import box_of_mask
from ultrasam.predict.embedding_cache import EmbeddingCache
from ultrasam.predict.engines import open_engine
from ultrasam.predict.engines.base import MASKS_PER_PASS, Decoded, Engine
from ultrasam.predict.geometry import MASK_UPSAMPLINGS, ImageGeometry, masks_at_image_size
from ultrasam.predict.prompts import BOX_LABELS, NetworkPrompt, network_prompt
from ultrasam.structures.frames import Frame, ObjectPrompt, Segmentation

# Objects decoded at once: bounds memory at some megabytes each.
_OBJECTS_PER_CALL = 16


@dataclass(frozen=True)
class EncodedImage:
    """An image that was encoded once, for any number of prompts.

    Args:
        embedding: Embedding (C, h, w), float32.
        geometry: Sizes of the image and of the network input.
    """

    embedding: np.ndarray = field(repr=False)
    geometry: ImageGeometry
    _prepared: dict[Engine, Any] = field(default_factory=dict, init=False, repr=False, compare=False)

    def prepared(self, engine: Engine) -> Any:
        """Return what an engine needs of this image for every prompt, made at the first one and kept with the image."""
        if engine not in self._prepared:
            self._prepared[engine] = engine.prepare(self.embedding)
        return self._prepared[engine]


class Predictor:
    """Segments what clicks, boxes and earlier masks point at.

    ``set_image`` and ``predict`` keep an image between calls, for one user. Calling the predictor, ``encode`` and
    ``decode`` keep nothing, and may be used from many threads at once.

    Args:
        weights: A checkpoint of UltraSam, or an ONNX pair (either file, or the folder with both); None takes the
            small model that ships.
        engine: ``'onnx'`` runs in onnxruntime and needs no PyTorch; a checkpoint is exported once and kept in the
            user's cache folder. ``'torch'`` runs in PyTorch. ``'auto'`` takes onnx for ONNX files and for the shipped
            model, torch for checkpoints and wherever an option needs it. Or an engine of one's own, with two calls as
            :class:`~ultrasam.predict.engines.base.Engine` says; the other options are then its own.
        device: ``'cpu'``, ``'cuda'``, ``'cuda:1'`` or ``'mps'``; None takes the best that the engine finds.
        precision: ``'fp32'``, ``'bf16'``, or ``'auto'``: bf16 on a GPU that has it, else fp32.
        mask_upsampling: ``'logits'`` interpolates mask logits to the size of the image and thresholds then;
            ``'binary'`` thresholds first, as the published figures were made.
        cache_dir: Folder that keeps image embeddings between sessions; None keeps none.
        threads: Threads of one call of the onnx engine; None for one a core.

    Attributes:
        engine: The engine that runs the model.
        weights: File of the weights; of an ONNX pair the encoder.

    Raises:
        CheckpointError: Weights that are unsafe, damaged, or of another model.
        ConfigError: Weights that do not exist, or an option that makes no sense here.

    Example:
        >>> predictor = Predictor()
        >>> predictor.set_image('frame.png')
        >>> predictor.predict(points=[(120, 80)])
        Segmentation(1 mask of 400 x 600 pixels, predicted IoU 0.91)
    """

    def __init__(
        self,
        weights: str | Path | None = None,
        *,
        engine: str | Engine = 'auto',
        device: str | None = None,
        precision: str = 'auto',
        mask_upsampling: str = 'logits',
        cache_dir: str | Path | None = None,
        threads: int | None = None,
    ) -> None:
        if mask_upsampling not in MASK_UPSAMPLINGS:
            raise ConfigError(
                f'mask_upsampling {mask_upsampling!r}: use one of {", ".join(MASK_UPSAMPLINGS)}'
            )
        if isinstance(engine, str):
            engine = open_engine(weights, engine=engine, device=device, precision=precision, threads=threads)
        self.engine: Engine = engine
        self.weights = self.engine.source
        self.mask_upsampling = mask_upsampling
        self.cache = None if cache_dir is None else EmbeddingCache(Path(cache_dir), self.engine.info.key)
        self._encoded: EncodedImage | None = None

    @property
    def class_names(self) -> tuple[str, ...]:
        """Names of the classes of a prompted classifier, in the order of ``Segmentation.class_scores``; else none."""
        return self.engine.info.class_names

    def __call__(
        self,
        image: np.ndarray | str | Path | Frame | EncodedImage,
        prompts: ObjectPrompt | Sequence[ObjectPrompt],
        *,
        refinements: int | None = None,
        all_candidates: bool = False,
    ) -> Segmentation:
        """Segment objects on an image, keeping nothing: safe from many threads.

        Args:
            image: As for :meth:`set_image`; or an image encoded before, which costs the decoder alone.
            prompts: The prompt of one object, or of each of several.
            refinements: As for :meth:`predict`.
            all_candidates: As for :meth:`predict`.

        Raises:
            InputError: A file that cannot be read, or that holds several frames.
            PromptError: An array that is not an image, or a prompt that means nothing on this image.
        """
        encoded = image if isinstance(image, EncodedImage) else self.encode(image)
        return self.decode(encoded, prompts, refinements=refinements, all_candidates=all_candidates)

    def set_image(self, image: np.ndarray | str | Path | Frame) -> None:
        """Encode an image, once for all prompts that :meth:`predict` is given.

        Args:
            image: A file; or an RGB image (H, W, 3), or a gray one (H, W), uint8; or a frame of a reader.

        Raises:
            InputError: A file that cannot be read, or that holds several frames.
            PromptError: An array of another shape or type.
        """
        self._encoded = self.encode(image)

    @property
    def image_set(self) -> bool:
        """Return True if an image was set."""
        return self._encoded is not None

    def predict(
        self,
        points: Sequence | np.ndarray | None = None,
        labels: Sequence | np.ndarray | None = None,
        box: Sequence | np.ndarray | None = None,
        mask_logits: np.ndarray | None = None,
        *,
        prompts: ObjectPrompt | Sequence[ObjectPrompt] | None = None,
        refinements: int | None = None,
        all_candidates: bool = False,
    ) -> Segmentation:
        """Segment one object of the image set before, or several with ``prompts``.

        Args:
            points: Clicks (P, 2), xy pixels of the image; the centre of the first pixel is (0, 0).
            labels: Labels (P,) of the clicks, 1 on the object, 0 off it; None for all 1.
            box: Box (4,), xyxy pixels of the image.
            mask_logits: ``logits`` (1, h, h) of an earlier answer, to be corrected by the other prompts.
            prompts: Prompts of several objects, in place of the four above.
            refinements: Passes after the first; None for as many as the model was trained with.
            all_candidates: Return all three candidate masks of each object, object by object, not the best alone.

        Returns:
            Masks at the size of the image, their predicted IoU and their logits; with probabilities of
            ``class_names`` for a prompted classifier.

        Raises:
            PromptError: No image was set, or a prompt means nothing on it.
        """
        encoded = self._encoded
        if encoded is None:
            raise PromptError('no image yet: call set_image first')
        if prompts is None:
            prompts = ObjectPrompt(
                points_xy=np.zeros((0, 2)) if points is None else points,
                point_labels=labels,
                box_xyxy=box,
                mask_logits=mask_logits,
            )
        elif any(given is not None for given in (points, labels, box, mask_logits)):
            raise PromptError(
                'prompts together with points, labels, box or mask_logits: give one or the other'
            )
        return self.decode(encoded, prompts, refinements=refinements, all_candidates=all_candidates)

    def encode(self, image: np.ndarray | str | Path | Frame) -> EncodedImage:
        """Encode one image; see :meth:`set_image` for what it may be."""
        return self.encode_batch([image])[0]

    def encode_batch(self, images: Sequence[np.ndarray | str | Path | Frame]) -> list[EncodedImage]:
        """Encode several images in one call of the engine; those in the cache are neither resized nor encoded."""
        pixels = [_pixels(image) for image in images]
        geometries = [ImageGeometry.of_image(p.shape[:2], self.engine.info.input_size) for p in pixels]
        found: list[np.ndarray | None] = [self.cache.get(p) if self.cache else None for p in pixels]
        missing = [i for i, embedding in enumerate(found) if embedding is None]
        if missing:
            fresh = self.engine.encode([geometries[i].resize(pixels[i]) for i in missing])
            for i, embedding in zip(missing, fresh, strict=True):
                found[i] = embedding
                if self.cache:
                    self.cache.put(pixels[i], embedding)
        return [EncodedImage(e, g) for e, g in zip(found, geometries, strict=True) if e is not None]

    def decode(
        self,
        encoded: EncodedImage,
        prompts: ObjectPrompt | Sequence[ObjectPrompt],
        *,
        refinements: int | None = None,
        all_candidates: bool = False,
    ) -> Segmentation:
        """Segment objects on an encoded image; arguments and errors as for :meth:`predict`."""
        prompts = [prompts] if isinstance(prompts, ObjectPrompt) else list(prompts)
        passes = 1 + (self.engine.info.refinements if refinements is None else refinements)
        if passes < 1:
            raise PromptError(f'refinements={refinements}: give 0 or more')
        each = MASKS_PER_PASS - 1 if all_candidates else 1
        size = self.engine.info.mask_size
        logits = np.zeros((len(prompts), each, size, size), np.float32)
        scores = np.zeros((len(prompts), each), np.float32)
        classes = np.zeros((len(prompts), len(self.class_names)), np.float32)
        network = [
            network_prompt(prompt, encoded.geometry, size, f'object {i}') for i, prompt in enumerate(prompts)
        ]
        image = encoded.prepared(self.engine) if network else None
        for members in _groups(network):
            found = self._run_passes(image, encoded.geometry, [network[i] for i in members], passes)
            if all_candidates:
                chosen = np.tile(np.arange(1, MASKS_PER_PASS), (len(members), 1))
            else:
                chosen = self._choice(found.iou, network[members[0]].is_single_click, passes)[:, None]
            scores[members] = np.take_along_axis(found.iou, chosen, 1)
            logits[members] = np.take_along_axis(found.logits, chosen[..., None, None], 1)
            if found.class_scores is not None:
                classes[members] = found.class_scores
        flat = logits.reshape(-1, size, size)
        return Segmentation(
            masks=masks_at_image_size(flat, encoded.geometry, self.mask_upsampling),
            scores=scores.reshape(-1),
            prompts=tuple(prompt for prompt in prompts for _ in range(each)),
            logits=flat,
            class_names=self.class_names,
            class_scores=classes.repeat(each, 0) if self.class_names else None,
        )

    def _choice(self, iou: np.ndarray, is_single_click: bool, passes: int) -> np.ndarray:
        """Return which of four masks answers, (N,), for prompts of one kind; see ``ModelInfo.mask_choice``."""
        rule = self.engine.info.mask_choice
        if passes > 1 or rule == 'best_candidate' or (rule == 'segment_anything' and is_single_click):
            return 1 + iou[:, 1:].argmax(1)
        return np.zeros(len(iou), np.int64)

    def _run_passes(
        self, image: Any, geometry: ImageGeometry, prompts: Sequence[NetworkPrompt], passes: int
    ) -> Decoded:
        """Decode prompts of equal shape: each pass gets the single mask of the one before as mask prompt."""
        coords = np.stack([prompt.coords for prompt in prompts])
        labels = np.stack([prompt.labels for prompt in prompts])
        given = [prompt.mask_logits for prompt in prompts if prompt.mask_logits is not None]
        mask = np.stack(given) if given else None
        found = self.engine.decode(image, coords, labels, mask)
        asks_box = prompts[0].is_single_click and self.engine.info.point_refinement == 'predicted_box'
        if passes > 1 and asks_box:
            coords = _boxes_of_masks(found.logits[:, 0], geometry)
            labels = np.tile(BOX_LABELS, (len(prompts), 1))
        for _ in range(1, passes):
            found = self.engine.decode(image, coords, labels, found.logits[:, :1])
        return found


def _groups(prompts: Sequence[NetworkPrompt]) -> list[list[int]]:
    """Return which objects are decoded together: equally many tokens, all single clicks or none, all masks or none."""
    groups: dict[tuple[int, bool, bool], list[int]] = {}
    for i, prompt in enumerate(prompts):
        key = len(prompt.labels), prompt.is_single_click, prompt.mask_logits is not None
        groups.setdefault(key, []).append(i)
    return [
        members[start : start + _OBJECTS_PER_CALL]
        for members in groups.values()
        for start in range(0, len(members), _OBJECTS_PER_CALL)
    ]


def _boxes_of_masks(logits: np.ndarray, geometry: ImageGeometry) -> np.ndarray:
    """Return box tokens (N, 2, 2) of first masks, upsampled and scaled as published: without the half pixel."""
    masks = masks_at_image_size(logits, geometry, 'binary')
    boxes = np.stack([box_of_mask(mask) for mask in masks]).reshape(-1, 2, 2)
    return boxes * geometry.scale_xy - 0.5


def _pixels(image: np.ndarray | str | Path | Frame) -> np.ndarray:
    """Return the RGB pixels (H, W, 3), uint8, of an image.

    Raises:
        InputError: A file that cannot be read, or that holds several frames.
        PromptError: An array that is not an image.
    """
    if isinstance(image, (str, Path)):
        return _only_frame(Path(image)).image
    if isinstance(image, Frame):
        return image.image
    array = np.asarray(image)
    if array.dtype != np.uint8 or array.ndim not in (2, 3) or (array.ndim == 3 and array.shape[2] != 3):
        raise PromptError(
            f'an image of type {array.dtype} and shape {array.shape}: give uint8, (H, W, 3) RGB or (H, W) gray'
        )
    if 0 in array.shape:
        raise PromptError(f'an image without pixels, shape {array.shape}')
    return np.repeat(array[..., None], 3, axis=2) if array.ndim == 2 else array


def _only_frame(path: Path) -> Frame:
    from ultrasam.io.readers import open_frames

    with open_frames(path) as source:
        if len(source) != 1:
            raise InputError(
                f'{path}: holds {len(source)} frames: open it with open_frames and encode them one by one'
            )
        return source.frame(0)
