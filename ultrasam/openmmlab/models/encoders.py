"""Image encoders and decoder parts under the names of configs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mmdet.registry import MODELS

from ultrasam.checkpoints import load_checkpoint_file, load_strict, state_dict_of
from ultrasam.errors import CheckpointError
from ultrasam.models.adapters import LoraImageEncoder, MedSaImageEncoder
from ultrasam.models.image_encoder import SamImageEncoder
from ultrasam.models.prompt_encoder import SamPromptEncoder
from ultrasam.models.two_way_transformer import SamTwoWayTransformer

_DETECTOR_PREFIX = 'backbone.'

for _module in (SamImageEncoder, MedSaImageEncoder, SamPromptEncoder, SamTwoWayTransformer):
    MODELS.register_module(module=_module)


@MODELS.register_module(name='LoraImageEncoder')
class LoraImageEncoderFromFile(LoraImageEncoder):
    """The image encoder of SAM with LoRA, whose base may come from a file.

    Args:
        base_checkpoint: File of the base, read on construction: a detector (names under ``backbone.``) or an encoder
            alone; None if the base comes with a checkpoint that is loaded later.
        **options: Arguments of :class:`~ultrasam.models.adapters.LoraImageEncoder`.

    Raises:
        CheckpointError: The base cannot be read or does not fit.
    """

    def __init__(self, *, base_checkpoint: str | Path | None = None, **options: Any) -> None:
        super().__init__(**options)
        if base_checkpoint is not None:
            load_base(self, base_checkpoint)


def load_base(encoder: LoraImageEncoder, path: str | Path) -> None:
    """Read the base of an encoder with LoRA from a checkpoint of a detector or of an encoder.

    Raises:
        CheckpointError: The file is missing or unsafe, or does not hold exactly this encoder.
    """
    weights = state_dict_of(load_checkpoint_file(path), path)
    if any(name.startswith(_DETECTOR_PREFIX) for name in weights):
        weights = type(weights)(
            (name.removeprefix(_DETECTOR_PREFIX), tensor)
            for name, tensor in weights.items()
            if name.startswith(_DETECTOR_PREFIX)
        )
    missing = [name for name in encoder.base_names if name not in weights]
    if missing:
        raise CheckpointError(
            f'{path}: is no base for this encoder: it lacks {len(missing)} of its {len(encoder.base_names)} tensors; '
            'give the file of a complete model of the same architecture'
        )
    # an encoder without a neck has no use for that of the file
    load_strict(encoder, weights, source=path, allow_unexpected=(r'channel_reduction\..*',))
