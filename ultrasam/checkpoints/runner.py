"""Makes MMEngine read checkpoints through this package."""

from __future__ import annotations

import os
import re
from pathlib import Path
from urllib.parse import urlparse

import torch
from mmengine.dist import barrier, is_main_process
from mmengine.runner import CheckpointLoader

from ultrasam.checkpoints.reader import Checkpoint, load_checkpoint_file
from ultrasam.checkpoints.state_dicts import check_finite, state_dict_of
from ultrasam.errors import CheckpointError

# A download names its own checksum like this: resnet50-0676ba61.pth.
_HASH_IN_NAME = re.compile(r'-([a-f0-9]{8,64})\.')


def load_from_verified_file(filename: str, map_location: str | torch.device | None = None) -> Checkpoint:
    """Read a local checkpoint for MMEngine: safely, with its weights found, named and finite.

    MMEngine looks under ``state_dict`` only and drops unknown names in silence, so a file that keeps its
    weights elsewhere would leave a model as it was initialised. Here they are always put there.

    Args:
        filename: The file.
        map_location: Device of the tensors; None means the CPU.

    Raises:
        CheckpointError: The file is unsafe, damaged, without weights, or holds values that are not finite.
    """
    checkpoint = load_checkpoint_file(filename, map_location=map_location)
    weights = state_dict_of(checkpoint, filename)
    check_finite(weights, filename)
    if 'state_dict' in checkpoint:
        checkpoint['state_dict'] = weights
        return checkpoint
    rest = {} if all(isinstance(value, torch.Tensor) for value in checkpoint.values()) else dict(checkpoint)
    rest.pop('model', None)
    unwrapped = Checkpoint(rest, state_dict=weights)
    unwrapped.source = checkpoint.source
    return unwrapped


def load_from_verified_http(filename: str, map_location: str | torch.device | None = None) -> Checkpoint:
    """Download a checkpoint once, into the cache folder of torch.hub, and read it like a local one.

    Args:
        filename: The address. A checksum in the file name (``name-0123abcd.pth``) is verified.
        map_location: Device of the tensors; None means the CPU.

    Raises:
        CheckpointError: The download failed, or the file is refused.
    """
    name = os.path.basename(urlparse(filename).path)
    if not name:
        raise CheckpointError(f'{filename}: the address names no file.')
    target = Path(torch.hub.get_dir()) / 'checkpoints' / name
    if is_main_process() and not target.exists():
        target.parent.mkdir(parents=True, exist_ok=True)
        checksum = _HASH_IN_NAME.search(name)
        try:
            torch.hub.download_url_to_file(
                filename, str(target), checksum and checksum.group(1), progress=False
            )
        except (OSError, RuntimeError) as error:
            raise CheckpointError(
                f'{filename}: download failed ({error}). Fetch the file and name its path.'
            ) from error
    barrier()
    return load_from_verified_file(str(target), map_location)


def install_safe_loader() -> None:
    """Make MMEngine open local files and web addresses with the reader of this package.

    Covers ``load_from``, ``resume``, ``--checkpoint`` and ``init_cfg=dict(type='Pretrained', ...)``. Uses the
    extension point of MMEngine; calling it again changes nothing.
    """
    CheckpointLoader.register_scheme(prefixes='', loader=load_from_verified_file, force=True)
    CheckpointLoader.register_scheme(
        prefixes=('http://', 'https://'), loader=load_from_verified_http, force=True
    )
