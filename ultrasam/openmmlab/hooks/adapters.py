"""Small checkpoints for models with LoRA, tied to the base that they were trained on."""

from __future__ import annotations

from typing import Any

from mmengine.hooks import Hook
from mmengine.model import is_model_wrapper
from mmengine.registry import HOOKS
from mmengine.runner import Runner
from torch import nn

from ultrasam.checkpoints.model_card import NOTE_KEY
from ultrasam.errors import CheckpointError
from ultrasam.models.adapters.lora import LoraImageEncoder


@HOOKS.register_module()
class AdapterCheckpointHook(Hook):
    """Leaves the frozen encoder out of checkpoints, as the published ones do, and refuses another one on loading.

    The encoder that LoRA adapts never changes, so a checkpoint notes its checksum instead, with rank and alpha, under
    ``meta['ultrasam']['lora']``. Published checkpoints have no such note and are taken as they are.
    """

    # After the hooks that put averaged weights and other notes into the checkpoint.
    priority = 'LOWEST'

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict[str, Any]) -> None:
        """Take the base out of a checkpoint and note what it was.

        Args:
            runner: The runner, whose model is saved.
            checkpoint: The checkpoint about to be written.
        """
        prefix, encoder = _lora_encoder(runner.model)
        base = {prefix + name for name in encoder.base_names}
        for key in ('state_dict', 'ema_state_dict'):
            for name in [name for name in checkpoint.get(key, ()) if name.removeprefix('module.') in base]:
                del checkpoint[key][name]
        note = dict(
            rank=encoder.rank, alpha=encoder.alpha, targets=list(encoder.targets), base=encoder.fingerprint()
        )
        checkpoint['meta'][NOTE_KEY] = {**checkpoint['meta'].get(NOTE_KEY, {}), 'lora': note}

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict[str, Any]) -> None:
        """Compare the note of a checkpoint with the model that is to take its adapters.

        Args:
            runner: The runner, whose model waits for the weights.
            checkpoint: The checkpoint.

        Raises:
            CheckpointError: The adapters were trained on another base, or with another alpha.
        """
        note = ((checkpoint.get('meta') or {}).get(NOTE_KEY) or {}).get('lora')
        prefix, encoder = _lora_encoder(runner.model)
        if note is None or f'{prefix}{encoder.base_names[0]}' in checkpoint['state_dict']:
            return
        source = getattr(checkpoint, 'source', '') or 'checkpoint'
        if note['alpha'] / note['rank'] != encoder.alpha / encoder.rank:
            raise CheckpointError(
                f'{source}: LoRA with rank {note["rank"]} and alpha {note["alpha"]}, but the model has rank '
                f'{encoder.rank} and alpha {encoder.alpha}: set them under model.backbone'
            )
        if encoder.has_base and note['base'] != encoder.fingerprint():
            raise CheckpointError(
                f'{source}: these adapters were trained on another base than the model has (SHA-256 '
                f'{note["base"][:12]}... and {encoder.fingerprint()[:12]}...): give the file of that base as '
                'model.backbone.base_checkpoint'
            )


def _lora_encoder(model: nn.Module) -> tuple[str, LoraImageEncoder]:
    """The encoder with LoRA of a model, and the prefix of its names."""
    bare: Any = model.module if is_model_wrapper(model) else model
    for module in bare.modules():
        if isinstance(module, LoraImageEncoder):
            # in files the encoder of a detector is called backbone, whatever it is called inside
            return 'backbone.', module
    raise CheckpointError(
        f'{type(bare).__name__} has no encoder with LoRA: leave AdapterCheckpointHook out of custom_hooks'
    )
