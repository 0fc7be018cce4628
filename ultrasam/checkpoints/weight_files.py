"""Files and folders of weights: what they hold, and writing plain ones."""

from __future__ import annotations

import json
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ultrasam.atomic import publish_json, refuse_existing
from ultrasam.checkpoints.digests import publish_checkpoint
from ultrasam.checkpoints.model_card import NOTE_KEY, note_of
from ultrasam.checkpoints.reader import Checkpoint, load_checkpoint_file
from ultrasam.checkpoints.state_dicts import check_finite, state_dict_of
from ultrasam.errors import CheckpointError, OutputError
from ultrasam.hashing import file_sha256
from ultrasam.optional import optional_module

TORCH_SUFFIXES = ('.pth', '.pt', '.bin')
SAFETENSORS_SUFFIX = '.safetensors'
_CONFIG, _PREPROCESSOR = 'config.json', 'preprocessor_config.json'
_WHOLE = ('model.safetensors', 'pytorch_model.bin')
_INDEX = ('model.safetensors.index.json', 'pytorch_model.bin.index.json')


@dataclass(frozen=True, kw_only=True)
class WeightFile:
    """Weights as they were read.

    Args:
        path: the file or folder that was named.
        files: the files that hold the weights.
        weights: named tensors.
        note: what the file says about itself, if it is ours.
        content: everything in the file, of which the weights are a part.
        config: ``config.json`` of a folder of transformers.
        preprocessor: ``preprocessor_config.json`` of such a folder.
    """

    path: Path
    files: tuple[Path, ...]
    weights: Mapping[str, Tensor]
    note: dict[str, Any]
    content: Checkpoint
    config: dict[str, Any] | None = field(default=None)
    preprocessor: dict[str, Any] | None = field(default=None)

    @property
    def sha256(self) -> str:
        """Digest of the file; of several, joined by a plus."""
        return '+'.join(file_sha256(file) for file in self.files)


def read_weights(path: Path) -> WeightFile:
    """Read the weights of a file, or of a folder as transformers writes it.

    Raises:
        CheckpointError: it is missing, unsafe or damaged, holds no weights, or is a folder without them.
    """
    path = path.expanduser()
    files = _files_of_folder(path) if path.is_dir() else (path,)
    contents = [load_checkpoint_file(file) for file in files]
    parts = [state_dict_of(content, file) for content, file in zip(contents, files, strict=True)]
    weights = parts[0] if len(parts) == 1 else _joined(parts, path)
    folder = path if path.is_dir() else path.parent
    described = path.is_dir() or path.name in _WHOLE
    return WeightFile(
        path=path,
        files=files,
        weights=weights,
        note=note_of(contents[0].get('meta'), str(path)),
        content=contents[0],
        config=_read_json(folder / _CONFIG) if described else None,
        preprocessor=_read_json(folder / _PREPROCESSOR) if described else None,
    )


def _files_of_folder(folder: Path) -> tuple[Path, ...]:
    for name in _WHOLE:
        if (folder / name).is_file():
            return (folder / name,)
    for name in _INDEX:
        index = _read_json(folder / name)
        if index is None:
            continue
        parts = index.get('weight_map')
        if not isinstance(parts, dict) or not all(_is_plain_name(part) for part in parts.values()):
            raise CheckpointError(f'{folder / name}: no "weight_map" of plain file names')
        return tuple(folder / part for part in sorted(set(parts.values())))
    held = sorted(entry.name for entry in folder.iterdir())
    raise CheckpointError(
        f'{folder}: no weights in this folder: looked for {", ".join(_WHOLE + _INDEX)}, '
        f'found {", ".join(held[:8]) or "nothing"}. Name the file itself if it has another name.'
    )


def _is_plain_name(name: Any) -> bool:
    return isinstance(name, str) and Path(name).name == name


def _joined(parts: list[OrderedDict[str, Tensor]], path: Path) -> OrderedDict[str, Tensor]:
    weights: OrderedDict[str, Tensor] = OrderedDict()
    for part in parts:
        twice = [name for name in part if name in weights]
        if twice:
            raise CheckpointError(f'{path}: {len(twice)} tensors in several files, the first {twice[0]}')
        weights.update(part)
    return weights


def _read_json(path: Path) -> dict[str, Any] | None:
    if not path.is_file():
        return None
    try:
        value = json.loads(path.read_text(encoding='utf-8'))
    except (OSError, ValueError) as error:
        raise CheckpointError(f'{path}: cannot be read as JSON ({error})') from error
    if not isinstance(value, dict):
        raise CheckpointError(f'{path}: holds a {type(value).__name__}, not an object')
    return value


def manifest_path(out: Path) -> Path:
    """Where the record of a written file goes: ``NAME.json`` beside it."""
    return out.with_name(f'{out.name}.json')


def check_writable(out: Path, *, overwrite: bool) -> None:
    """See that weights can be written there, before any work.

    Raises:
        OutputError: an unknown suffix, or something is there already.
    """
    if out.suffix not in (*TORCH_SUFFIXES, SAFETENSORS_SUFFIX):
        raise OutputError(
            f'{out}: the suffix chooses the format: give {", ".join(TORCH_SUFFIXES)} or {SAFETENSORS_SUFFIX}'
        )
    if out.suffix == SAFETENSORS_SUFFIX:
        _safetensors(out)
    for target in (out, manifest_path(out)):
        refuse_existing(target, overwrite=overwrite)


def write_weights(
    out: Path,
    weights: Mapping[str, Tensor],
    note: Mapping[str, Any],
    *,
    record: Mapping[str, Any],
    overwrite: bool = False,
) -> str:
    """Write tensors and a note, nothing else, and a record beside them; what was written is read back.

    Args:
        out: the file; its suffix chooses the format.
        weights: named tensors.
        note: plain values about them, kept in the file.
        record: plain values for ``NAME.json``, which gets the name, size and SHA-256 of the file besides.
        overwrite: replace files that are there.

    Returns:
        The SHA-256 of the file.

    Raises:
        CheckpointError: a value is not finite.
        OutputError: a file is there, or cannot be written.
    """
    check_writable(out, overwrite=overwrite)
    check_finite(weights, out)
    tensors = {name: _own(tensor) for name, tensor in weights.items()}
    digest = ''

    def verify(path: Path) -> None:
        nonlocal digest
        found = load_checkpoint_file(path)
        written = state_dict_of(found, out)
        same = (
            list(written) == list(tensors)
            if out.suffix != SAFETENSORS_SUFFIX
            else set(written) == set(tensors)
        )
        same = same and all(torch.equal(written[name], tensor) for name, tensor in tensors.items())
        if not same or note_of(found.get('meta'), str(out)) != dict(note):
            raise OutputError(
                f'{out}: what was written reads back differently; see to the disk, then run again'
            )
        digest = file_sha256(path)
        # a manifest of the former file must not stand beside the new one
        manifest_path(out).unlink(missing_ok=True)

    with publish_checkpoint(out, overwrite=overwrite, verify=verify) as path:
        if out.suffix == SAFETENSORS_SUFFIX:
            save_safetensors(path, tensors, {NOTE_KEY: json.dumps(dict(note), sort_keys=True)})
        else:
            # an open file, so that the name of the temporary does not get into the archive
            with path.open('wb') as file:
                torch.save({'meta': {NOTE_KEY: dict(note)}, 'state_dict': tensors}, file)
    facts = {'file': out.name, 'bytes': out.stat().st_size, 'sha256': digest}
    publish_json(manifest_path(out), {**facts, **record}, overwrite=True)
    return digest


def _own(tensor: Tensor) -> Tensor:
    """A plain contiguous tensor that shares its memory with no other and holds no more than it shows."""
    tensor = tensor.detach()
    alone = (
        tensor.is_contiguous() and tensor.untyped_storage().nbytes() == tensor.numel() * tensor.element_size()
    )
    return tensor if alone else tensor.contiguous().clone()


def save_safetensors(path: Path, tensors: Mapping[str, Tensor], metadata: Mapping[str, str]) -> None:
    """Write tensors with text beside them.

    Raises:
        OutputError: safetensors is not installed.
    """
    # save_file would leave a file that nobody else can read
    path.write_bytes(_safetensors(path).save(dict(tensors), metadata={'format': 'pt', **metadata}))


def _safetensors(out: Path) -> Any:
    return optional_module('safetensors.torch', need=f'{out}: this format', extra='export', error=OutputError)
