"""One command for all exports: check, write, record, publish."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ultrasam.atomic import publish_folder, publish_json, refuse_existing
from ultrasam.checkpoints.digests import publish_checkpoint
from ultrasam.errors import ConfigError, OutputError
from ultrasam.export import graphs, layouts
from ultrasam.export.onnx_files import DEFAULT_OPSET, check_opset
from ultrasam.export.record import RECORD_NAME, Written, build_record
from ultrasam.export.source import open_source
from ultrasam.optional import optional_module


@dataclass(frozen=True)
class Target:
    """A form to export to.

    Args:
        write: writes the files; takes the source, where to write, and for ONNX the opset.
        folder: whether a folder is written rather than one file.
        packages: modules that it needs beside torch.
        traced: whether it writes ONNX and so takes an opset.
    """

    write: Callable[..., Written]
    folder: bool
    packages: tuple[str, ...] = ()
    traced: bool = False


TARGETS: dict[str, Target] = {
    'segment-anything': Target(layouts.write_segment_anything, folder=False),
    'transformers': Target(layouts.write_transformers, folder=True, packages=('safetensors.torch',)),
    'safetensors': Target(layouts.write_safetensors, folder=False, packages=('safetensors.torch',)),
    'onnx': Target(graphs.write_onnx, folder=True, packages=('onnx',), traced=True),
    'predictor': Target(graphs.write_predictor, folder=True, packages=('onnx',), traced=True),
    'x-anylabeling': Target(graphs.write_x_anylabeling, folder=True, packages=('onnx',), traced=True),
    'cvat': Target(graphs.write_cvat, folder=True, packages=('onnx',), traced=True),
}


def export_checkpoint(
    source: Path, out: Path, target: str, *, opset: int | None = None, overwrite: bool = False
) -> dict[str, Any]:
    """Write a model in a form that other software reads, with a record of what it is.

    The record lies beside a file as ``OUT.json``, and in a folder as ``export.json``.

    Args:
        source: a checkpoint of UltraSam, ours or the published one.
        out: the file or, for forms of several files, the folder to write.
        target: one of ``TARGETS``.
        opset: of ONNX files; None for the usual one.
        overwrite: replace an export that is there.

    Returns:
        The record.

    Raises:
        CheckpointError: no promptable UltraSam model, or one that the target cannot express.
        ConfigError: an unknown target or opset, or a package that is missing.
        OutputError: ``out`` exists already, or cannot be written.
    """
    if target not in TARGETS:
        raise ConfigError(f'no target {target!r}: use one of {", ".join(TARGETS)}')
    form = TARGETS[target]
    options = _options(form, target, opset)
    for package in form.packages:
        optional_module(package, need='this export', extra='export')
    _refuse_out(out, form, overwrite=overwrite)
    opened = open_source(source)
    if form.folder:
        with publish_folder(out, overwrite=overwrite) as folder:
            written = form.write(opened, folder, **options)
            record = build_record(opened, target, written, list(folder.iterdir()))
            publish_json(folder / RECORD_NAME, record, overwrite=False)
        return record
    with publish_checkpoint(out, overwrite=overwrite) as path:
        written = form.write(opened, path, **options)
    record = build_record(opened, target, written, [out])
    # a reader of ours compares a file with a record that names it so
    record = {'file': out.name, 'sha256': record['files'][out.name]['sha256'], **record}
    publish_json(record_file(out), record, overwrite=True)
    return record


def _options(form: Target, target: str, opset: int | None) -> dict[str, int]:
    """Options of the writer.

    Raises:
        ConfigError: an opset that cannot be written, or one for files that have none.
    """
    if form.traced:
        opset = DEFAULT_OPSET if opset is None else opset
        check_opset(opset)
        return {'opset': opset}
    if opset is not None:
        raise ConfigError(f'opset {opset}: {target} is no ONNX and has none; leave it out')
    return {}


def record_file(out: Path) -> Path:
    """Where the record of a file is."""
    return out.with_name(f'{out.name}.json')


def _refuse_out(out: Path, form: Target, *, overwrite: bool) -> None:
    """See that the place is free, before any work; never replace a folder that is no export.

    Raises:
        OutputError: it is not.
    """
    if not form.folder:
        refuse_existing(out, overwrite=overwrite)
        refuse_existing(record_file(out), overwrite=overwrite)
        return
    if out.is_symlink() or (out.exists() and not out.is_dir()):
        raise OutputError(f'{out} is in the way: this export is a folder. Choose another name, or remove it.')
    if not out.is_dir() or not any(out.iterdir()):
        return
    if not overwrite:
        raise OutputError(
            f'{out} exists already: choose another folder, remove it, or allow it to be overwritten (--overwrite).'
        )
    if not _is_export(out):
        raise OutputError(
            f'{out} holds other things than an export (no {RECORD_NAME} of ours), and is not replaced: choose '
            'another folder.'
        )


def _is_export(folder: Path) -> bool:
    try:
        content = json.loads((folder / RECORD_NAME).read_text(encoding='utf-8'))
    except (OSError, ValueError):
        return False
    return isinstance(content, dict) and content.get('target') in TARGETS
