"""Opening a checkpoint file: by content, strictly, without running anything that it contains."""

from __future__ import annotations

import os
import pickle
import pickletools
import re
import threading
import zipfile
from collections import OrderedDict
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any

import torch

from ultrasam.checkpoints.digests import check_digest
from ultrasam.checkpoints.saved_objects import SAFE_GLOBALS, RefusedContentError, finished
from ultrasam.checkpoints.trust import VARIABLE, read_if_trusted
from ultrasam.errors import CheckpointError
from ultrasam.optional import optional_module

_OVERRIDE = 'TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD'
_FALSE_WORDS = ('', '0', 'n', 'no', 'f', 'false', 'off')
_ADVICE = (
    'Do not load it with another tool unless you trust its author. If it is yours, save the plain weights '
    "again: torch.save({'state_dict': model.state_dict()}, path). To run its code nonetheless, name the sha256 that "
    f'its author publishes: --trust-pickle SHA256, or {VARIABLE}=SHA256.'
)
# what every checkpoint names
_ORDINARY = re.compile(
    r'torch\.(\w+Storage|storage\.UntypedStorage|Size|device|_utils\._rebuild_\w+|[a-z]+\d\w*|bool)'
    r'|collections\.(OrderedDict|Counter)|_codecs\.encode|builtins\.(set|complex|bytearray)'
)
# torch keeps one list of allowed names for the process
_ALLOWING = threading.Lock()


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

    The format is told from the content, never from the file name. Tensors, numpy arrays and numbers, plain Python
    containers and the log history of MMEngine (as :class:`~ultrasam.checkpoints.saved_objects.SavedHistory`) are read;
    everything else is refused by name. A config of MMEngine becomes a plain dictionary. A sha256 that is kept next to
    the file is compared first. A file that is refused is read after all if its own sha256 is declared as trusted (see
    :mod:`ultrasam.checkpoints.trust`); that runs what it holds.

    Args:
        path: The file, ``~`` allowed.
        map_location: Device of the tensors; None means the CPU.

    Returns:
        The dictionary that was saved. A bare sequence of named tensors stays as it is (see
        :func:`~ultrasam.checkpoints.state_dict_of`).

    Raises:
        CheckpointError: The file is missing, empty, damaged, not a checkpoint, or holds something that is not data; or
            the environment switches safe loading off.
    """
    file = Path(path).expanduser()
    _refuse_override(file)
    if callable(map_location) or isinstance(map_location, Mapping):
        raise CheckpointError(
            f'{file}: map_location must be a device such as "cpu" or "cuda:0", not {map_location!r}'
        )
    content = _read_by_content(file, torch.device('cpu' if map_location is None else map_location))
    if not isinstance(content, dict):
        raise CheckpointError(f'{file}: holds a {type(content).__name__}, not a dictionary of weights.')
    checkpoint = Checkpoint(content)
    checkpoint.source = str(file)
    if type(content) is OrderedDict:
        # A bare state dict carries the version table that torch's own loading reads.
        vars(checkpoint).update(vars(content))
    return checkpoint


def _refuse_override(file: Path) -> None:
    value = os.environ.get(_OVERRIDE, '')
    if value.strip().lower() not in _FALSE_WORDS:
        raise CheckpointError(
            f'{file}: not opened, because the environment variable {_OVERRIDE}={value} switches safe loading '
            f'off for the whole process. Unset it (unset {_OVERRIDE}) and run again.'
        )


def _read_by_content(file: Path, device: torch.device) -> Any:
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
        return _read_pickle(file, device, is_zip=True)
    # before the pickle: the length of the header may begin like one
    if len(head) > 8 and head[8:9] == b'{' and 2 <= int.from_bytes(head[:8], 'little') <= size - 8:
        return _read_safetensors(file, device)
    if head.startswith(b'\x80'):
        return _read_pickle(file, device, is_zip=False)
    if head[257:262] == b'ustar':
        raise CheckpointError(
            f'{file}: is a tar archive. Unpack it, or save tar checkpoints of torch 0.1 again.'
        )
    if head.lstrip()[:1] == b'<':
        raise CheckpointError(
            f'{file}: is a web page, not a checkpoint. The download was answered by a site; repeat it.'
        )
    raise CheckpointError(
        f'{file}: is not a checkpoint (it starts with {head[:8]!r}, unknown to torch and safetensors).'
    )


def _read_pickle(file: Path, device: torch.device, *, is_zip: bool) -> Any:
    """Read what ``torch.save`` wrote, with torch's own safe reader.

    Raises:
        CheckpointError: It is damaged, or holds more than data.
    """
    try:
        if is_zip:
            _check_archive(file)
        with _ALLOWING, torch.serialization.safe_globals(SAFE_GLOBALS):
            return finished(torch.load(file, map_location=device, weights_only=True))
    except CheckpointError:
        raise
    except (pickle.UnpicklingError, RefusedContentError) as error:
        refused: Exception = error
    # Damaged bytes surface as any of the errors of the decoders: all of them mean the same to the user.
    except Exception as error:
        if 'Invalid magic number' not in str(error):
            raise _damaged(file, error) from error
        refused = error
    trusted = read_if_trusted(file, device)
    if trusted is not None:
        return trusted
    raise _refusal(file, refused) from None


def _damaged(file: Path, error: Exception) -> CheckpointError:
    said = ' '.join(str(error).split())[:200]
    return CheckpointError(
        f'{file}: truncated or damaged ({type(error).__name__}: {said}). Fetch or copy the file again and compare its '
        'checksum.'
    )


def _refusal(file: Path, error: Exception) -> CheckpointError:
    names = names_in_pickle(file)
    text = str(error)
    if not names and not isinstance(error, RefusedContentError):
        with open(file, 'rb') as stream:
            is_bare = stream.read(1) == b'\x80' and ('magic' in text or 'Unsupported operand' in text)
        if is_bare:
            return CheckpointError(
                f'{file}: is a plain pickle, not a torch checkpoint. Save it with torch.save.'
            )
        if 'Unsupported operand' in text:
            return CheckpointError(
                f'{file}: refused, nothing was executed. It has instructions that weights do not need, or is of a '
                'pickle protocol other than 2, the default of torch (pickle_protocol of torch.save). Save it again '
                f'with torch.save. {_ADVICE}'
            )
    asked = f'The file names {len(names)} thing(s) that are not data: {", ".join(names)}. ' if names else ''
    cause = f'It holds {error}. ' if isinstance(error, RefusedContentError) else ''
    if not asked and not cause:
        cause = f'It is not data alone ({_first_sentence(error)}). '
    return CheckpointError(f'{file}: refused, nothing was executed. {asked}{cause}{_ADVICE}')


def _first_sentence(error: Exception) -> str:
    """Return what torch found, without its advice to load the file unsafely."""
    text = ' '.join(str(error).split())
    found = re.search(r'WeightsUnpickler error: (.+?)(?: Check the documentation| Please |$)', text)
    return (found[1] if found else text)[:200]


def _check_archive(file: Path) -> None:
    """Check that a zip file is one that torch wrote, and compare the checksums, which torch does not.

    Raises:
        CheckpointError: It is another archive, a program, or a record is damaged.
        zipfile.BadZipFile: It is truncated.
    """
    with zipfile.ZipFile(file) as archive:
        names = archive.namelist()
        roots = [n.removesuffix('data.pkl') for n in names if n.count('/') == 1 and n.endswith('/data.pkl')]
        if len(roots) != 1:
            raise CheckpointError(
                f'{file}: is a zip archive, but no torch checkpoint (it has no data.pkl). Unpack it first.'
            )
        if f'{roots[0]}constants.pkl' in names or any(n.startswith(f'{roots[0]}code/') for n in names):
            raise CheckpointError(
                f'{file}: is a TorchScript program, not weights. Use the checkpoint it was made from.'
            )
        packed = any(info.compress_type != zipfile.ZIP_STORED for info in archive.infolist())
        if packed or len(set(names)) != len(names):
            raise CheckpointError(
                f'{file}: is a zip archive that torch did not write. Save it with torch.save.'
            )
        damaged = archive.testzip()
    if damaged is not None:
        raise CheckpointError(
            f'{file}: truncated or damaged (the checksum of {damaged} differs). Fetch or copy the file again and '
            'compare its checksum.'
        )


def names_in_pickle(file: Path) -> list[str]:
    """Return the names that a checkpoint asks for beyond those of data, in the order of the file; nothing is run."""
    found: list[str] = []
    try:
        if zipfile.is_zipfile(file):
            with zipfile.ZipFile(file) as archive:
                for name in archive.namelist():
                    if name.endswith('/data.pkl'):
                        with archive.open(name) as stream:
                            _collect_names(stream, found)
        else:
            with open(file, 'rb') as stream:
                while stream.peek(1)[:1] == b'\x80':
                    _collect_names(stream, found)
    # after the last whole instruction there is nothing to tell
    except (ValueError, OSError, EOFError, zipfile.BadZipFile):
        pass
    safe = {name for _, name in SAFE_GLOBALS}
    return [name for name in dict.fromkeys(found) if name not in safe and not _ORDINARY.fullmatch(name)]


def _collect_names(stream: IO[bytes], found: list[str]) -> None:
    """Append the names that one pickle imports; one that is put together at run time is ``<computed>``."""
    memo: dict[int, str | None] = {}
    recent: list[str | None] = []
    for operation, argument, _ in pickletools.genops(stream):
        name = operation.name
        if name in ('GLOBAL', 'INST'):
            found.append(_as_in_python_3(str(argument)))
        elif name == 'STACK_GLOBAL':
            parts = [part or '<computed>' for part in recent[-2:]]
            found.append('.'.join(parts) if len(parts) == 2 else '<computed>')
        elif name in ('BINPUT', 'LONG_BINPUT', 'MEMOIZE'):
            memo[len(memo) if argument is None else argument] = recent[-1] if recent else None
            continue
        elif name in ('BINGET', 'LONG_BINGET'):
            recent.append(memo.get(int(argument or 0)))
            continue
        recent.append(argument if isinstance(argument, str) and 'UNICODE' in name else None)


def _as_in_python_3(name: str) -> str:
    module, _, attribute = name.partition(' ')
    return f'{"builtins" if module == "__builtin__" else module}.{attribute}'


def _read_safetensors(file: Path, device: torch.device) -> dict[str, Any]:
    safetensors = optional_module(
        'safetensors', need=f'{file}: a safetensors file', extra='train', error=CheckpointError
    )
    try:
        with safetensors.safe_open(str(file), framework='pt', device=str(device)) as archive:
            tensors = OrderedDict((name, archive.get_tensor(name)) for name in list(archive.keys()))
            return {'meta': dict(archive.metadata() or {}), 'state_dict': tensors}
    except Exception as error:
        raise _damaged(file, error) from error
