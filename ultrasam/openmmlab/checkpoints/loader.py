"""Lets MMEngine read checkpoints through this package, for as long as a run of ours takes."""

from __future__ import annotations

import difflib
import os
import re
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlparse

import torch
from mmengine.dist import barrier, is_main_process
from mmengine.registry import WEIGHT_INITIALIZERS
from mmengine.runner import (
    CheckpointLoader,
    get_deprecated_model_names,
    get_external_models,
    get_mmcls_models,
    get_torchvision_models,
)

from ultrasam.checkpoints.reader import Checkpoint, load_checkpoint_file
from ultrasam.checkpoints.state_dicts import check_finite, state_dict_of
from ultrasam.errors import CheckpointError
from ultrasam.openmmlab.checkpoints.pretrained import COLLECTIONS, StrictPretrainedInit

# A download names its own checksum like this: resnet50-0676ba61.pth.
_HASH_IN_NAME = re.compile(r'-([a-f0-9]{8,64})\.')


def load_from_verified_file(filename: str, map_location: str | torch.device | None = None) -> Checkpoint:
    """Read a local checkpoint for MMEngine: safely, with its weights found, named and finite.

    MMEngine looks under ``state_dict`` only and drops unknown names in silence, so a file that keeps its weights
    elsewhere would leave a model as it was initialised. Here they are always put there. A config inside the file,
    which MMEngine would execute to compare the number of GPUs, is left out.

    Args:
        filename: The file.
        map_location: Device of the tensors; None means the CPU.

    Raises:
        CheckpointError: The file is unsafe, damaged, without weights, or holds values that are not finite.
    """
    checkpoint = load_checkpoint_file(filename, map_location=map_location)
    weights = state_dict_of(checkpoint, filename)
    check_finite(weights, filename)
    if isinstance(checkpoint.get('meta'), dict):
        checkpoint['meta'].pop('config', None)
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


def load_from_verified_collection(
    filename: str, map_location: str | torch.device | None = None
) -> Checkpoint:
    """Read a checkpoint that is named by its collection: ``torchvision://resnet50``, ``open-mmlab://...``.

    Args:
        filename: ``torchvision://``, ``modelzoo://``, ``open-mmlab://``, ``openmmlab://`` or ``mmcls://`` and a name.
        map_location: Device of the tensors; None means the CPU.

    Raises:
        CheckpointError: The collection has no such name, the download failed, or the file is refused.
    """
    scheme, _, name = filename.partition('://')
    if scheme in ('torchvision', 'modelzoo'):
        addresses: Mapping[str, str] = get_torchvision_models()
    elif scheme == 'mmcls':
        addresses = get_mmcls_models()
    else:
        addresses = get_external_models()
        name = get_deprecated_model_names().get(name, name)
    if name not in addresses:
        close = difflib.get_close_matches(name, list(addresses), n=3)
        hint = f' Did you mean {" or ".join(close)}?' if close else ''
        raise CheckpointError(f'{filename}: the collection {scheme} has no {name!r}.{hint}')
    address = addresses[name]
    if address.startswith(('http://', 'https://')):
        checkpoint = load_from_verified_http(address, map_location)
    else:
        cache = os.getenv('XDG_CACHE_HOME', '~/.cache')
        home = Path(os.getenv('MMENGINE_HOME', f'{cache}/mmengine')).expanduser()
        checkpoint = load_from_verified_file(str(home / address), map_location)
    if scheme == 'mmcls':
        prefix = 'backbone.'
        weights = checkpoint['state_dict'].items()
        checkpoint['state_dict'] = OrderedDict(
            (key.removeprefix(prefix), value) for key, value in weights if key.startswith(prefix)
        )
    return checkpoint


def refuse_scheme(filename: str, map_location: str | torch.device | None = None) -> Checkpoint:
    """Refuse an address whose loader reads pickles without looking at them.

    Raises:
        CheckpointError: Always.
    """
    raise CheckpointError(
        f'{filename}: checkpoints are not read from {filename.partition(":")[0]}, whose loader runs what a file asks '
        'for. Copy the file to this machine and name its path.'
    )


@contextmanager
def safe_loading() -> Iterator[None]:
    """Make MMEngine open every checkpoint with the reader of this package, whatever its address, within the block.

    Covers ``load_from``, ``resume``, ``--checkpoint`` and ``init_cfg=dict(type='Pretrained', ...)``; afterwards
    MMEngine's loaders are what they were, for the models of others in the same process. Blocks may be nested.
    """
    schemes, pretrained = CheckpointLoader._schemes, WEIGHT_INITIALIZERS.get('Pretrained')
    CheckpointLoader._schemes = dict.fromkeys(schemes, refuse_scheme)
    try:
        for prefixes, loader in (
            ('', load_from_verified_file),
            (('http://', 'https://'), load_from_verified_http),
            (COLLECTIONS, load_from_verified_collection),
        ):
            CheckpointLoader.register_scheme(prefixes=prefixes, loader=loader, force=True)
        WEIGHT_INITIALIZERS.register_module(name='Pretrained', module=StrictPretrainedInit, force=True)
        yield
    finally:
        CheckpointLoader._schemes = schemes
        WEIGHT_INITIALIZERS.register_module(name='Pretrained', module=pretrained, force=True)
