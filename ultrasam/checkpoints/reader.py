"""Opening a checkpoint file: by content, strictly, without running anything that it contains.

One reader serves every torch release: a file that is read on one is read on all of them, the escapes found
in ``torch.load(weights_only=True)`` of older releases do not matter, and the checksums of an archive are
compared.
"""

from __future__ import annotations

import os
from collections import OrderedDict
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

import torch

from ultrasam.checkpoints.allowed_names import RefusedPickleError
from ultrasam.checkpoints.containers import RefusedNamesError, read_stream, read_zip
from ultrasam.checkpoints.digests import check_digest
from ultrasam.checkpoints.trust import VARIABLE, read_if_trusted
from ultrasam.errors import CheckpointError

_OVERRIDE = 'TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD'
_FALSE_WORDS = ('', '0', 'n', 'no', 'f', 'false', 'off')
_ADVICE = (
    'Do not load it with another tool unless you trust its author. If it is yours, save the plain weights '
    "again: torch.save({'state_dict': model.state_dict()}, path). To run its code nonetheless, name the sha256 that "
    f'its author publishes: --trust-pickle SHA256, or {VARIABLE}=SHA256.'
)


class Checkpoint(dict[str, Any]):
    """The content of a checkpoint file, which knows where it came from.

    Attributes:
        source: The path it was read from.
    """

    source: str = ''


def load_checkpoint_file(
    path: str | os.PathLike[str], *, map_location: str | torch.device | None = 'cpu'
) -> Checkpoint:
    """Read a checkpoint of torch, MMEngine or safetensors and run no code from it.

    The format is told from the content, never from the file name. Tensors, numpy arrays and numbers, plain
    Python containers and the log history of MMEngine are read; everything else is refused by name before any
    of it is built. A config of MMEngine becomes a plain dictionary. A sha256 that is kept beside the file is
    compared first. A file that is refused is read after all if its own sha256 is declared as trusted (see
    :mod:`ultrasam.checkpoints.trust`); that runs what it holds.

    Args:
        path: The file, ``~`` allowed.
        map_location: Device of the tensors; None means the CPU.

    Returns:
        The dictionary that was saved. A bare sequence of named tensors stays as it is (see
        :func:`~ultrasam.checkpoints.state_dict_of`); a safetensors file gives ``{'meta', 'state_dict'}``.

    Raises:
        CheckpointError: The file is missing, empty, damaged, not a checkpoint, or holds something that is not
            data; or the environment switches safe loading off.
    """
    file = Path(path).expanduser()
    _refuse_override(file)
    if callable(map_location) or isinstance(map_location, Mapping):
        raise CheckpointError(
            f'{file}: map_location must be a device such as "cpu" or "cuda:0", not {map_location!r}'
        )
    try:
        content = _read_by_content(file)
    except CheckpointError:
        raise
    except RefusedPickleError as error:
        content = read_if_trusted(file)
        if content is None:
            raise _refusal(file, error) from None
    # Damaged bytes surface as any of the errors of the decoders: all of them mean the same to the user.
    except Exception as error:
        raise CheckpointError(
            f'{file}: truncated or damaged ({type(error).__name__}: {error}). Fetch or copy the file again '
            'and compare its checksum.'
        ) from error
    if not isinstance(content, dict):
        raise CheckpointError(f'{file}: holds a {type(content).__name__}, not a dictionary of weights.')
    checkpoint = Checkpoint(content)
    checkpoint.source = str(file)
    if type(content) is OrderedDict:
        # A bare state dict carries the version table that torch's own loading reads.
        vars(checkpoint).update(vars(content))
    device = torch.device('cpu' if map_location is None else map_location)
    return checkpoint if device.type == 'cpu' else _moved(checkpoint, device, {})


def _refusal(file: Path, error: RefusedPickleError) -> CheckpointError:
    what = f'It asks for {error}.'
    if isinstance(error, RefusedNamesError):
        what = f'The file names {len(error.names)} thing(s) that are not data: {", ".join(error.names)}.'
    return CheckpointError(f'{file}: refused, nothing was executed. {what} {_ADVICE}')


def _refuse_override(file: Path) -> None:
    value = os.environ.get(_OVERRIDE, '')
    if value.strip().lower() not in _FALSE_WORDS:
        raise CheckpointError(
            f'{file}: not opened, because the environment variable {_OVERRIDE}={value} switches safe loading '
            f'off for the whole process. Unset it (unset {_OVERRIDE}) and run again.'
        )


def _read_by_content(file: Path) -> Any:
    if file.is_dir():
        raise CheckpointError(f'{file}: is a folder. Name the checkpoint file inside it.')
    if not file.is_file():
        raise CheckpointError(f'{file}: no such file. Check the path, or download the checkpoint first.')
    size = file.stat().st_size
    if size == 0:
        raise CheckpointError(
            f'{file}: is empty. The download or the save that wrote it failed; fetch it again.'
        )
    check_digest(file)
    with open(file, 'rb') as stream:
        head = stream.read(512)
    if head.startswith(b'PK\x03\x04'):
        return read_zip(file)
    if _is_safetensors(head, size):
        return _read_safetensors(file)
    if head[257:262] == b'ustar':
        raise CheckpointError(
            f'{file}: is a tar archive. Unpack it, or save tar checkpoints of torch 0.1 anew.'
        )
    if head.startswith(b'\x80'):
        return read_stream(file)
    if head.lstrip()[:1] == b'<':
        raise CheckpointError(
            f'{file}: is a web page, not a checkpoint. The download was answered by a site; repeat it.'
        )
    raise CheckpointError(
        f'{file}: is not a checkpoint (it starts with {head[:8]!r}, unknown to torch and safetensors).'
    )


def _is_safetensors(head: bytes, size: int) -> bool:
    return len(head) > 8 and head[8:9] == b'{' and 2 <= int.from_bytes(head[:8], 'little') <= size - 8


def _read_safetensors(file: Path) -> dict[str, Any]:
    try:
        safetensors = import_module('safetensors')
    except ImportError:
        raise CheckpointError(
            f'{file}: is a safetensors file. The package that reads it is missing: pip install safetensors'
        ) from None
    with safetensors.safe_open(str(file), framework='pt', device='cpu') as archive:
        names = list(archive.keys())
        tensors = OrderedDict((name, archive.get_tensor(name)) for name in names)
        return {'meta': dict(archive.metadata() or {}), 'state_dict': tensors}


def _moved(value: Any, device: torch.device, done: dict[int, Any]) -> Any:
    """Move every tensor of a nested value, in place where it is a container that can change.

    ``done`` maps the ids of parts to their results: shared parts stay shared, cycles end. Every part that is
    looked up existed before the walk, so the ids are distinct.
    """
    if id(value) in done:
        return done[id(value)]
    done[id(value)] = value
    if isinstance(value, torch.Tensor):
        done[id(value)] = value.detach().to(device)
    elif isinstance(value, dict):
        for key in value:
            value[key] = _moved(value[key], device, done)
    elif isinstance(value, list):
        value[:] = [_moved(item, device, done) for item in value]
    elif type(value) is tuple:
        done[id(value)] = tuple(_moved(item, device, done) for item in value)
    return done[id(value)]
