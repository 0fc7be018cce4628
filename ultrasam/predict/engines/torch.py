"""The model in PyTorch."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ultrasam.checkpoints.build import build_preprocessing, load_model
from ultrasam.errors import ConfigError
from ultrasam.models.prompted_classifier import class_probabilities
from ultrasam.models.ultrasam import UltraSam
from ultrasam.predict.engines.absorbed_decoder import AbsorbedDecoder
from ultrasam.predict.engines.base import Decoded, ModelInfo
from ultrasam.predict.engines.classes import names_or_numbers, packed, unpacked
from ultrasam.structures.prompt_batch import PromptBatch
from ultrasam.structures.prompts import NOT_A_POINT

# Not measured: a bound on how long the first frame of a batch waits for the last.
LARGEST_BATCH = 16
# Of the memory that is free; the rest is for masks at the size of the images.
_SHARE_OF_MEMORY = 0.6


class TorchEngine:
    """Runs a model as it is, in evaluation mode; :meth:`from_checkpoint` reads one.

    Args:
        model: The model; it is moved to the device.
        prepare: Turns resized images (3, h, w), uint8 RGB, on the device into the network input (B, 3, S, S).
        settings: What decides about an embedding apart from the weights, such as the preprocessing.
        source: File of the weights.
        device: As for :class:`ultrasam.predict.Predictor`.
        precision: As there.
        class_names: Names of the classes of a prompted classifier.
        scores_of: Turns its class logits (M, C) into probabilities.

    Attributes:
        model: The model.
        device: Its device.
        bfloat16: True if it runs in bfloat16.

    Raises:
        ConfigError: A device that is not there.
    """

    def __init__(
        self,
        model: UltraSam,
        *,
        prepare: Callable[[Sequence[Tensor]], Tensor],
        settings: Mapping[str, Any],
        source: Path,
        device: str | None = None,
        precision: str = 'auto',
        class_names: Sequence[str] = (),
        scores_of: Callable[[Tensor], Tensor] | None = None,
    ) -> None:
        self.device = choose_device(device)
        self.bfloat16 = precision == 'bf16' or (
            precision == 'auto' and self.device.type == 'cuda' and torch.cuda.is_bf16_supported()
        )
        self.model = model.to(self.device).eval()
        self.source = source
        self.info = ModelInfo(
            input_size=model.prompt_encoder.img_size,
            mask_size=model.prompt_encoder.mask_prompt_size,
            refinements=model.refinements,
            point_refinement=model.point_refinement,
            mask_choice=model.mask_choice,
            key=embedding_key(model, settings, bfloat16=self.bfloat16),
            class_names=tuple(class_names),
        )
        self._prepare = prepare
        self._scores_of = scores_of
        self._decoder = _decoder_of(model, absorbs=self.device.type == 'cpu' and not self.bfloat16)
        # one image shows how much memory it takes; on a CPU a batch only delays the first mask
        self.batch_size = 1
        self._is_to_be_measured = self.device.type == 'cuda'

    @classmethod
    def from_checkpoint(
        cls, weights: Path, *, device: str | None = None, precision: str = 'auto'
    ) -> TorchEngine:
        """Read a checkpoint of UltraSam, ours or the published one, and build what its card says.

        Raises:
            CheckpointError: Weights that are unsafe, damaged, or not a promptable model.
            ConfigError: A device that is not there.
        """
        card, _, model = load_model(weights)
        return cls(
            model,
            prepare=build_preprocessing(card).to(choose_device(device)),
            settings=card.note(),
            source=weights,
            device=device,
            precision=precision,
            class_names=names_or_numbers(card.class_names, card.num_classes, str(weights)),
            scores_of=partial(class_probabilities, activation=card.class_activation),
        )

    @torch.no_grad()
    def encode(self, images: Sequence[np.ndarray]) -> list[np.ndarray]:
        """Encode images; see :meth:`ultrasam.predict.engines.base.Engine.encode`."""
        pixels = [
            torch.from_numpy(np.ascontiguousarray(image.transpose(2, 0, 1))).to(self.device)
            for image in images
        ]
        with self._measuring_memory(), self._autocast():
            return list(packed(self.model.encode(self._prepare(pixels))).cpu().numpy())

    @torch.no_grad()
    def prepare(self, embedding: np.ndarray) -> Any:
        """Prepare an image for several passes; see :meth:`ultrasam.predict.engines.base.Engine.prepare`."""
        image = unpacked(self.model, torch.from_numpy(embedding)[None].to(self.device))
        return self._decoder.prepare(image) if isinstance(self._decoder, AbsorbedDecoder) else image

    @torch.no_grad()
    def decode(
        self, embedding: Any, coords: np.ndarray, labels: np.ndarray, mask_logits: np.ndarray | None
    ) -> Decoded:
        """Decode prompts; see :meth:`ultrasam.predict.engines.base.Engine.decode`."""
        batch = self._prompt_batch(coords, labels)
        masks = None if mask_logits is None else torch.from_numpy(mask_logits).to(self.device)
        image = self.prepare(embedding) if isinstance(embedding, np.ndarray) else embedding
        with self._autocast():
            answer = self._decoder.decode(image, batch, masks)
            classes = (
                None
                if answer.class_logits is None or self._scores_of is None
                else self._scores_of(answer.class_logits)
            )
        return Decoded(
            logits=answer.logits.float().cpu().numpy(),
            iou=answer.iou.float().cpu().numpy(),
            class_scores=None if classes is None else classes.float().cpu().numpy(),
        )

    def _prompt_batch(self, coords: np.ndarray, labels: np.ndarray) -> PromptBatch:
        count, tokens = labels.shape
        # the table of the network starts one row later, and has padding at its end
        rows = np.where(labels < 0, NOT_A_POINT, labels + 1)
        return PromptBatch(
            coords=torch.from_numpy((coords + 0.5).astype(np.float32).reshape(-1, 2)).to(self.device),
            labels=torch.from_numpy(rows.reshape(-1)).to(self.device),
            counts=(tokens,) * count,
            image_index=torch.zeros(count, dtype=torch.long, device=self.device),
            num_images=1,
            single_clicks=(False,) * count,
        )

    def _autocast(self) -> contextlib.AbstractContextManager:
        return torch.autocast(self.device.type, torch.bfloat16) if self.bfloat16 else contextlib.nullcontext()

    @contextlib.contextmanager
    def _measuring_memory(self) -> Any:
        """On a GPU, set ``batch_size`` by the memory that the first image took."""
        if not self._is_to_be_measured:
            yield
            return
        torch.cuda.reset_peak_memory_stats(self.device)
        before = torch.cuda.memory_allocated(self.device)
        yield
        each = torch.cuda.max_memory_allocated(self.device) - before
        torch.cuda.empty_cache()
        free, _ = torch.cuda.mem_get_info(self.device)
        self.batch_size = fitting_batch(free, each)
        self._is_to_be_measured = False


def fitting_batch(free_bytes: int, bytes_each: int) -> int:
    """Return how many images fit into free memory, from 1 to ``LARGEST_BATCH``.

    Example:
        >>> fitting_batch(8_000_000_000, 1_000_000_000)
        4
    """
    return int(min(LARGEST_BATCH, max(1, _SHARE_OF_MEMORY * free_bytes // max(1, bytes_each))))


def choose_device(device: str | None = None) -> torch.device:
    """Return the device asked for, or the best there is: CUDA, then MPS, then CPU.

    Raises:
        ConfigError: It is not there.
    """
    mps = getattr(torch.backends, 'mps', None)
    gpus = torch.cuda.device_count() if torch.cuda.is_available() else 0
    there = {
        'cuda': gpus > 0,
        'mps': mps is not None and mps.is_available(),
        'cpu': True,
    }
    if device is None:
        return torch.device(next(name for name, usable in there.items() if usable))
    kind, _, index = device.partition(':')
    if not there.get(kind, False) or (kind == 'cuda' and index and int(index) >= gpus):
        usable = [name for name, is_usable in there.items() if is_usable]
        usable += [f'cuda:{i}' for i in range(1, gpus)]
        raise ConfigError(f'no device {device!r} on this machine: use one of {", ".join(usable)}')
    return torch.device(device)


def _decoder_of(model: UltraSam, *, absorbs: bool) -> UltraSam | AbsorbedDecoder:
    """Return what decodes: on a CPU the absorbed decoder, unless the decoder is somebody else's."""
    if absorbs:
        with contextlib.suppress(ConfigError):
            return AbsorbedDecoder(model)
    return model


def embedding_key(model: UltraSam, settings: Mapping[str, Any], *, bfloat16: bool) -> str:
    """Return a digest of all that decides about an embedding.

    Args:
        model: The model; a classifier keeps more of an image than another model with the same encoder.
        settings: Its preprocessing and other settings, as plain values.
        bfloat16: True if it runs in bfloat16.
    """
    key = hashlib.sha256()
    inference_dtype = getattr(model.image_encoder, 'inference_dtype', None)
    key.update(repr((type(model).__name__, bfloat16, str(inference_dtype))).encode())
    key.update(repr(sorted(settings.items())).encode())
    for name, tensor in model.image_encoder.state_dict().items():
        key.update(name.encode())
        key.update(_bytes_of(tensor))
    return key.hexdigest()


def _bytes_of(tensor: Tensor) -> bytes:
    return tensor.detach().cpu().contiguous().view(torch.uint8).numpy().tobytes()
