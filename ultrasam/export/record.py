"""What stands beside an export: where it came from, what was done to it, and how it is to be used."""

from __future__ import annotations

import platform
from dataclasses import asdict, dataclass, field
from importlib import metadata
from pathlib import Path
from typing import Any

from ultrasam.export.source import ExportSource
from ultrasam.hashing import file_sha256
from ultrasam.version import __version__

FORMAT = 'ultrasam-export'
RECORD_NAME = 'export.json'
"""Of the record in the folder of an export that has several files."""

_LIBRARIES = ('torch', 'numpy', 'onnx', 'safetensors')
_TWO_CALLS = (
    'This model answers in two passes and one call of this export is one pass. For its own answer take the first '
    'mask (token 0) of a call without mask_input, feed its low-resolution logits back as mask_input with '
    'has_mask_input 1, and take the mask of highest predicted IoU among tokens 1 to 3.'
)
_ONE_CLICK = ' In between, a lone click is replaced by the box of the first mask.'
_ONE_CALL = (
    'This model answers in one pass: the mask of highest predicted IoU among tokens 1 to 3. Mask prompts, which it '
    'has no weights for, change nothing.'
)


@dataclass
class Written:
    """What an exporter has to say about its files.

    Args:
        notes: what a user should know, a sentence each.
        decoder_skip: which skip the decoder of the files computes, and how it got there.
        interface: names, shapes and meaning of inputs and outputs, by file.
        settings: options that were used.
    """

    notes: list[str] = field(default_factory=list)
    decoder_skip: dict[str, Any] = field(default_factory=dict)
    interface: dict[str, Any] = field(default_factory=dict)
    settings: dict[str, Any] = field(default_factory=dict)


def build_record(source: ExportSource, target: str, written: Written, files: list[Path]) -> dict[str, Any]:
    """The record of an export, of plain values.

    Args:
        source: what was exported.
        target: to which form.
        written: what the exporter says.
        files: what it wrote.
    """
    known, note = source.card, source.card.note()
    return {
        'format': FORMAT,
        'target': target,
        'source': {'file': source.path.name, 'sha256': source.sha256, 'note': note},
        'licence': note.get('licence'),
        'model': {
            'img_size': known.img_size,
            'patch_size': known.patch_size,
            'window_size': known.window_size,
            'image_encoder': {**known.arch, 'global_attn_indexes': list(known.arch['global_attn_indexes'])},
            'passes': 1 + int(known.refines),
        },
        'preprocessing': preprocessing(source),
        'passes': passes(source),
        **asdict(written),
        'files': {
            file.name: {'sha256': file_sha256(file), 'bytes': file.stat().st_size} for file in sorted(files)
        },
        'versions': {'ultrasam': __version__, 'python': platform.python_version(), **_versions()},
    }


def passes(source: ExportSource) -> str:
    """How many calls make the model's own answer."""
    if not source.card.refines:
        return _ONE_CALL
    return _TWO_CALLS + (_ONE_CLICK if source.card.point_refinement == 'predicted_box' else '')


def preprocessing(source: ExportSource) -> dict[str, Any]:
    """How an image becomes the input of the network."""
    known = source.card
    normalisation: dict[str, Any] = {
        'normalisation': 'from 0 to 1 by the least and greatest value of the image'
    }
    if known.preprocessing == 'imagenet':
        normalisation = {
            'normalisation': 'minus the mean, over the standard deviation, by channel',
            'mean': list(known.pixel_mean),
            'std': list(known.pixel_std),
        }
    return {
        'channels': 'RGB, 0 to 255',
        'resize': f'longer side to {known.img_size} pixels, bilinear',
        **normalisation,
        'padding': 'zeros right and bottom to a square, after normalisation',
    }


def summary(record: dict[str, Any]) -> str:
    """A record in a few lines: files, fold, use, licence."""
    lines = [f'{name}  {entry["bytes"] / 1e6:.1f} MB' for name, entry in record['files'].items()]
    difference = record['decoder_skip'].get('largest_difference')
    if difference:
        measured = ', '.join(f'{name} {value:.1e}' for name, value in difference.items())
        lines.append(f'skip of the decoder folded into its weights; largest difference: {measured}')
    lines += [record['passes'], *record['notes']]
    return '\n'.join([*lines, f'licence of the source: {record["licence"] or "not stated"}'])


def _versions() -> dict[str, str]:
    found = {}
    for name in _LIBRARIES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found
