"""The model in PyTorch, built from the config or from the checkpoint itself."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmdet.registry import MODELS
from mmengine.config import Config
from mmengine.registry import DefaultScope
from torch import Tensor

import ultrasam.registry  # noqa: F401
from ultrasam.checkpoints import load_checkpoint_file, load_strict, state_dict_of
from ultrasam.checkpoints.describe import describe
from ultrasam.checkpoints.notes import note_of_model
from ultrasam.errors import ConfigError
from ultrasam.models import Answer
from ultrasam.openmmlab.models import UltraSamDetector
from ultrasam.predict.engines.absorbed_decoder import AbsorbedDecoder
from ultrasam.predict.engines.base import Decoded, ModelInfo
from ultrasam.predict.engines.classes import class_names, packed, unpacked
from ultrasam.structures.prompts import NOT_A_POINT, PromptBatch

# Not measured: a bound on how long the first frame of a batch waits for the last.
LARGEST_BATCH = 16
# Of the memory that is free; the rest is for masks at the size of the images.
_SHARE_OF_MEMORY = 0.6


class TorchEngine:
    """Runs a detector.

    Args:
        weights: A checkpoint of UltraSam, ours or the published one.
        device: As for :class:`ultrasam.predict.Predictor`.
        precision: As there.
        config: As there.

    Attributes:
        model: The detector, in evaluation mode.
        device: Its device.
        bfloat16: True if it runs in bfloat16.

    Raises:
        CheckpointError: Weights that are unsafe, damaged, or do not fit.
        ConfigError: A device that is not there.
    """

    def __init__(
        self,
        weights: Path,
        *,
        device: str | None = None,
        precision: str = 'auto',
        config: str | Path | None = None,
    ) -> None:
        self.device = choose_device(device)
        self.bfloat16 = precision == 'bf16' or (
            precision == 'auto' and self.device.type == 'cuda' and torch.cuda.is_bf16_supported()
        )
        checkpoint = load_checkpoint_file(weights)
        state_dict = state_dict_of(checkpoint, weights)
        whole = None if config is None else Config.fromfile(str(config))
        if whole is None:
            settings: Any = describe(state_dict, checkpoint.get('meta'), str(weights)).model_config()
        else:
            settings = whole.model
        with DefaultScope.overwrite_default_scope('mmdet'):
            model = MODELS.build(settings)
        load_strict(model, state_dict, source=str(weights))
        names = class_names(model, checkpoint.get('meta'), whole, str(config or weights))
        self.model: Any = model.to(self.device).eval()
        # the preprocessor keeps a device of its own
        self.model.data_preprocessor.to(self.device)
        self.info = ModelInfo(
            input_size=model.prompt_encoder.img_size,
            mask_size=model.prompt_encoder.mask_prompt_size,
            refinements=model.inference_refinements,
            point_refinement=model.point_refinement,
            mask_choice=model.mask_choice,
            key=_encoder_key(model, self.bfloat16),
            class_names=names,
        )
        self.source = weights
        self._decode = _decode_of(self.model, absorbs=self.device.type == 'cpu' and not self.bfloat16)
        # one image shows how much memory it takes; on a CPU a batch only delays the first mask
        self.batch_size = 1
        self._is_to_be_measured = self.device.type == 'cuda'

    @torch.no_grad()
    def encode(self, images: Sequence[np.ndarray]) -> list[np.ndarray]:
        """Encode images; see :meth:`ultrasam.predict.engines.base.Engine.encode`."""
        # mmdet's preprocessor takes BGR
        inputs = [
            torch.from_numpy(np.ascontiguousarray(image[..., ::-1].transpose(2, 0, 1))) for image in images
        ]
        with self._measuring_memory(), self._autocast():
            data = self.model.data_preprocessor(dict(inputs=inputs), False)
            return list(packed(self.model.extract_feat(data['inputs'])).cpu().numpy())

    @torch.no_grad()
    def decode(
        self, embedding: np.ndarray, coords: np.ndarray, labels: np.ndarray, mask_logits: np.ndarray | None
    ) -> Decoded:
        """Decode prompts; see :meth:`ultrasam.predict.engines.base.Engine.decode`."""
        batch = self._prompt_batch(coords, labels)
        masks = None if mask_logits is None else torch.from_numpy(mask_logits).to(self.device)
        image = unpacked(self.model, torch.from_numpy(embedding)[None].to(self.device))
        with self._autocast():
            answer = self._decode(image, batch, masks)
            classes = (
                None
                if answer.class_logits is None
                else self.model.bbox_head.class_scores(answer.class_logits)
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


def _decode_of(model: UltraSamDetector, *, absorbs: bool) -> Callable[..., Answer]:
    """Return what decodes: on a CPU the absorbed decoder, unless the decoder is somebody else's."""
    if absorbs:
        with contextlib.suppress(ConfigError):
            return AbsorbedDecoder(model.model).decode
    return model.decode


def _encoder_key(model: UltraSamDetector, bfloat16: bool) -> str:
    """Return a digest of all that decides about an embedding."""
    key = hashlib.sha256()
    # an encoder of equal weights: a prompted classifier keeps more of it, and precision or padding may differ
    inference_dtype = getattr(model.backbone, 'inference_dtype', None)
    key.update(repr((type(model).__name__, bfloat16, str(inference_dtype))).encode())
    key.update(repr(sorted(note_of_model(model).items())).encode())
    for name, tensor in model.state_dict().items():
        if name.startswith('backbone.'):
            key.update(name.encode())
            key.update(_bytes_of(tensor))
    return key.hexdigest()


def _bytes_of(tensor: Tensor) -> bytes:
    return tensor.detach().cpu().contiguous().view(torch.uint8).numpy().tobytes()
