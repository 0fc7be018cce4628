"""Foreign weights become ours: recognised, renamed, checked against the model, noted."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ultrasam.checkpoints.build import build_model
from ultrasam.checkpoints.folding import fold_doubled_skip, unfold_doubled_skip
from ultrasam.checkpoints.lora import DEFAULT_ALPHA, LoraMerge, merge_lora
from ultrasam.checkpoints.model_card import NOTE_KEY, read_card, read_encoder_card
from ultrasam.checkpoints.provenance import provenance
from ultrasam.checkpoints.sources import Kind, NameTable, kind_of
from ultrasam.checkpoints.sources.names import KeyAccount, size_of, some
from ultrasam.checkpoints.state_dicts import KeyReport, compare_keys
from ultrasam.checkpoints.weight_files import WeightFile, check_writable, read_weights, write_weights
from ultrasam.errors import CheckpointError
from ultrasam.models import SamImageEncoder
from ultrasam.models.adapters.loading import base_fingerprint

_NO_NECK = r'backbone\.channel_reduction\..*'


@dataclass(frozen=True, kw_only=True)
class Imported:
    """Weights under our names.

    Args:
        kind: what the file was.
        weights: under our names.
        note: plain values to keep in the file.
        account: where every tensor went.
        remarks: what a user should be told.
    """

    kind: Kind
    weights: OrderedDict[str, Tensor]
    note: dict[str, Any]
    account: KeyAccount
    remarks: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Conversion:
    """A file that was converted.

    Args:
        title: what it was.
        accounts: where every tensor went, in words.
        note: what the new file says about itself.
        remarks: what a user should be told.
        sha256: of the new file.
    """

    title: str
    accounts: tuple[str, ...]
    note: dict[str, Any]
    remarks: tuple[str, ...]
    sha256: str


def convert_file(
    path: Path,
    out: Path,
    *,
    profile: str | None = None,
    lora_base: Path | None = None,
    lora_alpha: float | None = None,
    mlp_skip: str | None = None,
    half: bool = False,
    overwrite: bool = False,
) -> Conversion:
    """Convert a file of weights to ours, or merge adapters into their base.

    Args:
        path: a file, or a folder of transformers.
        out: the file to write, ``.pth`` or ``.safetensors``; a record goes to ``NAME.json`` beside it.
        profile: who trained the weights, one of ``PROFILES``: sets the licence and how images are prepared.
        lora_base: the weights that the adapters in ``path`` were trained on, of any kind that can be converted.
        lora_alpha: numerator of the scale of the adapters; None takes the note of the file, or 16.
        mlp_skip: skip of the decoder to write weights for, ``'single'`` or ``'doubled'``; None keeps that of the
            source. See :mod:`ultrasam.checkpoints.folding`.
        half: store float16; values that do not fit are refused.
        overwrite: replace files that are there.

    Raises:
        CheckpointError: weights of another kind, incomplete, misshapen, unsafe, damaged or not finite.
        OutputError: ``out`` exists or cannot be written.
    """
    check_writable(out, overwrite=overwrite)
    file = read_weights(path)
    if lora_base is None:
        imported = import_weights(file, profile=profile)
        accounts: dict[str, Any] = {'keys': imported.account.record()}
        words: tuple[str, ...] = (imported.account.message,)
    else:
        imported, merge = merge_files(file, read_weights(lora_base), alpha=lora_alpha, profile=profile)
        accounts = {'base': imported.account.record(), 'lora': _lora_record(merge)}
        words = (f'base: {imported.account.message}', merge.message)
    imported = with_skip(imported, mlp_skip, str(path))
    weights: Mapping[str, Tensor] = imported.weights
    if half:
        weights = {name: t.half() if t.is_floating_point() else t for name, t in weights.items()}
    record = {'note': imported.note, 'remarks': list(imported.remarks), **accounts}
    sha256 = write_weights(out, weights, imported.note, record=record, overwrite=overwrite)
    return Conversion(
        title=imported.kind.title,
        accounts=words,
        note=imported.note,
        remarks=imported.remarks,
        sha256=sha256,
    )


def with_skip(imported: Imported, mlp_skip: str | None, source: str) -> Imported:
    """The same weights for a decoder with another skip, and the note that says so.

    Raises:
        CheckpointError: there is no decoder, or an unknown skip.
    """
    if mlp_skip is None or imported.note.get('mlp_skip') == mlp_skip:
        return imported
    folds = {'single': fold_doubled_skip, 'doubled': unfold_doubled_skip}
    if mlp_skip not in folds or 'mlp_skip' not in imported.note:
        raise CheckpointError(
            f'{source}: no decoder with skip {mlp_skip!r} can be made of it: give {" or ".join(folds)}, '
            'and weights that have a decoder'
        )
    word = {'single': 'halved', 'doubled': 'doubled'}[mlp_skip]
    remark = f'last linear layer of the decoder MLPs {word}, for a decoder with {mlp_skip} skip: same masks'
    return replace(
        imported,
        weights=folds[mlp_skip](imported.weights),
        note={**imported.note, 'mlp_skip': mlp_skip},
        remarks=(*imported.remarks, remark),
    )


def import_weights(file: WeightFile, *, profile: str | None = None) -> Imported:
    """Give weights our names, and check that they are a whole model or a whole image encoder.

    Args:
        file: as it was read.
        profile: who trained them, one of ``PROFILES``.

    Raises:
        CheckpointError: they cannot be converted, are incomplete or misshapen, or the profile does not fit.
    """
    source = str(file.path)
    kind = kind_of(file.weights)
    if kind is None:
        raise CheckpointError(
            f'{source}: unknown weights: {len(file.weights)} tensors ({some(file.weights)}). Known are '
            'segment-anything, MedSAM, SamModel of transformers, ViTSAM of mmpretrain, and UltraSam.'
        )
    if kind.names is None and kind.name != 'ultrasam':
        raise CheckpointError(
            f'{source}: {_size_of_extras(kind, file.weights)}; {kind.advice.format(file=source)}'
        )
    if kind.names is None:
        weights = OrderedDict(file.weights)
        account = KeyAccount({name: (name,) for name in weights}, size_of(weights), size_of(weights))
    else:
        weights, account = kind.names.to_ours(file.weights, source)
    note, remarks = provenance(file, kind, profile)
    if kind.name == 'vit-sam':
        check_encoder(weights, source)
    else:
        check_complete(weights, note, source, names=kind.names)
    return Imported(kind=kind, weights=weights, note=note, account=account, remarks=remarks)


def _size_of_extras(kind: Kind, weights: Mapping[str, Tensor]) -> str:
    """What it is, and how much of it is what we lack."""
    if kind.name != 'sam-med2d':
        return kind.title
    adapters = {name: tensor for name, tensor in weights.items() if '.Adapter.' in name}
    count, values = size_of(adapters)
    return (
        f'{kind.title}: {count} of {len(weights)} tensors, {values:,} values, are adapters ({some(adapters)})'
    )


def check_complete(
    weights: Mapping[str, Tensor],
    note: Mapping[str, Any],
    source: str,
    *,
    names: NameTable | None = None,
) -> KeyReport:
    """See that weights are a whole promptable model, every tensor in its shape.

    Args:
        weights: under our names.
        note: what names and shapes cannot tell.
        source: where they came from, for messages.
        names: their names at the source, for messages; foreign weights must take mask prompts.

    Raises:
        CheckpointError: a tensor is missing, too many or misshapen.
    """
    card = read_card(weights, {NOTE_KEY: dict(note)}, source)
    if names is not None:
        card = replace(card, refines=True)
    return _check(lambda: build_model(card), '', weights, source, names)


def check_encoder(weights: Mapping[str, Tensor], source: str) -> KeyReport:
    """See that weights under ``backbone.`` are a whole image encoder, with its neck or without.

    Raises:
        CheckpointError: a tensor is missing, too many or misshapen.
    """
    card = read_encoder_card(weights, source)
    has_neck = any(name.startswith('backbone.channel_reduction.') for name in weights)
    allow_missing = () if has_neck else (_NO_NECK,)
    return _check(
        lambda: SamImageEncoder(**card.encoder_options()), 'backbone.', weights, source, None, allow_missing
    )


def _check(
    build: Callable[[], nn.Module],
    prefix: str,
    weights: Mapping[str, Tensor],
    source: str,
    names: NameTable | None,
    allow_missing: tuple[str, ...] = (),
) -> KeyReport:
    with torch.device('meta'):
        model = build()
    shapes = {f'{prefix}{name}': tensor.shape for name, tensor in model.state_dict().items()}
    report = compare_keys(shapes, weights, allow_missing=allow_missing)
    if not report.fits:
        if names is not None:
            report = replace(
                report, missing=tuple(theirs for ours in report.missing for theirs in names.their_names(ours))
            )
        raise CheckpointError(f'{source}: not a whole model: {report.message}. Nothing was converted.')
    return report


def merge_files(
    adapters: WeightFile, base: WeightFile, *, alpha: float | None = None, profile: str | None = None
) -> tuple[Imported, LoraMerge]:
    """Merge adapters into the weights that they were trained on.

    Args:
        adapters: file of LoRA adapters, with the decoder or the head that was trained beside them.
        base: weights of any kind that can be converted.
        alpha: numerator of the scale; None takes the note of the adapters, or 16.
        profile: who trained the base.

    Returns:
        The merged weights with the account of the base, and the account of the merge.

    Raises:
        CheckpointError: the adapters are none, or do not fit the base; or the base cannot be converted.
    """
    source = str(adapters.path)
    kind = kind_of(adapters.weights)
    if kind is None or kind.name != 'lora':
        raise CheckpointError(
            f'{source}: has no LoRA adapters{"" if kind is None else f": it is {kind.title}"}; --merge-lora is for '
            'a file of adapters, and takes the weights that they adapt'
        )
    imported = import_weights(base, profile=profile)
    remarks = list(imported.remarks)
    lora_note = adapters.note.get('lora')
    lora_note = lora_note if isinstance(lora_note, Mapping) else {}
    _check_base(imported.weights, lora_note.get('base'), source, str(base.path))
    if alpha is None:
        noted = lora_note.get('alpha')
        alpha = float(noted) if isinstance(noted, int | float) else DEFAULT_ALPHA
        if alpha != noted:
            remarks.append(
                f'alpha of the adapters is in no file: taken as {alpha:g}; give --lora-alpha if it was other'
            )
    merge = merge_lora(imported.weights, adapters.weights, alpha=alpha, source=source)
    note = {**imported.note, 'merged_lora': dict(rank=merge.rank, alpha=alpha, sha256=adapters.sha256)}
    if any(name.startswith('head.') for name in merge.weights):
        note['kind'] = 'classifier'
        note.pop('mlp_skip', None)
        encoder = {name: tensor for name, tensor in merge.weights.items() if not name.startswith('head.')}
        check_encoder(encoder, source)
    else:
        if any(name.startswith('decoder.') for name in merge.replaced):
            # the skip belongs to the decoder, and this one was trained with the adapters
            note['mlp_skip'] = adapters.note.get('mlp_skip', 'doubled')
            remarks.append(f'the decoder is that of the adapters, with {note["mlp_skip"]} skip')
        check_complete(merge.weights, note, source)
    return replace(imported, kind=kind, weights=merge.weights, note=note, remarks=tuple(remarks)), merge


def _check_base(weights: Mapping[str, Tensor], fingerprint: str | None, source: str, base: str) -> None:
    """See that the base is the one that the note of the adapters names; published adapters name none."""
    if fingerprint is None:
        return
    encoder = {n.removeprefix('backbone.'): t for n, t in weights.items() if n.startswith('backbone.')}
    without_neck = {n: t for n, t in encoder.items() if not n.startswith('channel_reduction.')}
    if fingerprint not in (base_fingerprint(encoder), base_fingerprint(without_neck)):
        raise CheckpointError(
            f'{base}: is not what {source} was trained on: the encoder of its base has the fingerprint '
            f'{fingerprint[:12]}..., this one {base_fingerprint(encoder)[:12]}...'
        )


def _lora_record(merge: LoraMerge) -> dict[str, Any]:
    return dict(
        rank=merge.rank,
        alpha=merge.alpha,
        adapted=list(merge.adapted),
        replaced=list(merge.replaced),
        kept=list(merge.kept),
        left_out=list(merge.left_out),
    )
