"""Where converted weights are from, and how to use them: what their names and shapes do not tell."""

from __future__ import annotations

from typing import Any

from ultrasam.checkpoints.model_card import IMAGENET_MEAN, IMAGENET_STD
from ultrasam.checkpoints.sources import PROFILES, Kind
from ultrasam.checkpoints.sources.transformers import SETTINGS
from ultrasam.checkpoints.weight_files import WeightFile
from ultrasam.errors import CheckpointError
from ultrasam.version import __version__


def provenance(file: WeightFile, kind: Kind, profile: str | None) -> tuple[dict[str, Any], tuple[str, ...]]:
    """What to say about converted weights, in their new file and to the user.

    Args:
        file: as it was read.
        kind: what it is.
        profile: who trained it, one of ``PROFILES``.

    Returns:
        The note, plain values, and the remarks.

    Raises:
        CheckpointError: the profile does not fit, or the settings beside the file make another model of it.
    """
    remarks: list[str] = []
    note = dict(file.note)
    note.update(source=kind.name, source_sha256=file.sha256, converted_by=f'ultrasam {__version__}')
    if kind.mlp_skip is None:
        note['kind'] = 'encoder'
    elif 'mlp_skip' not in note:
        note['mlp_skip'] = kind.mlp_skip
        if kind.mlp_skip == 'doubled':
            remarks.append(
                'the file does not say which skip its decoder has: taken as doubled, as UltraSam is published'
            )
    if kind.name == 'transformers':
        remarks += _settings_remarks(file)
        note.update(_pixel_statistics(file))
    if profile is not None:
        remarks += _apply_profile(note, profile, kind, str(file.path))
    elif kind.names is not None:
        note.setdefault('preprocessing', 'imagenet')
        remarks.append(
            'taken as prepared like Segment Anything; if it is MedSAM, convert it with --as medsam'
        )
    if 'licence' not in note:
        remarks.append('no licence is recorded: the file does not state one')
    return note, tuple(remarks)


def _apply_profile(note: dict[str, Any], name: str, kind: Kind, source: str) -> list[str]:
    profile = PROFILES.get(name)
    if profile is None:
        raise CheckpointError(f'{source}: nothing is known of {name!r}: use one of {", ".join(PROFILES)}')
    if kind.name not in profile.layouts:
        raise CheckpointError(f'{source}: is {kind.title}, in which {profile.title} is not published')
    note.update(trained_by=profile.title, licence=profile.licence, preprocessing=profile.preprocessing)
    return [profile.remark] if profile.remark else []


def _settings_remarks(file: WeightFile) -> list[str]:
    """Compare ``config.json`` with what our model computes.

    Raises:
        CheckpointError: it makes another model of the weights.
    """
    if file.config is None:
        return ['no config.json beside it: the settings of SamModel are taken to be the usual ones']
    remarks = []
    for setting in SETTINGS:
        value: Any = file.config
        for key in setting.path:
            value = value.get(key, setting.default) if isinstance(value, dict) else setting.default
        # a section that is left out holds only defaults
        value = setting.default if isinstance(value, dict) else value
        if value == setting.ours:
            continue
        found = f'config.json says {".".join(setting.path)} {value!r}, our model has {setting.ours!r}'
        if setting.effect is None:
            raise CheckpointError(f'{file.path}: {found}: it is another network and cannot be converted')
        remarks.append(f'{found}: {setting.effect}')
    return remarks


def _pixel_statistics(file: WeightFile) -> dict[str, Any]:
    """Mean and standard deviation of ``preprocessor_config.json``, where they are not those of ImageNet."""
    settings = file.preprocessor or {}
    normalised = settings.get('do_normalize', True)
    try:
        scale = 1 / settings.get('rescale_factor', 1 / 255) if settings.get('do_rescale', True) else 1.0
        unit_mean = settings.get('image_mean', [m / 255 for m in IMAGENET_MEAN]) if normalised else [0.0] * 3
        unit_std = settings.get('image_std', [s / 255 for s in IMAGENET_STD]) if normalised else [1.0] * 3
        statistics = {
            name: [round(value * scale, 6) for value in values]
            for name, values in (('pixel_mean', unit_mean), ('pixel_std', unit_std))
        }
    except (TypeError, ZeroDivisionError) as error:
        raise CheckpointError(
            f'{file.path}: preprocessor_config.json cannot be used ({error}): image_mean and image_std are three '
            'numbers each, rescale_factor is one'
        ) from error
    same = statistics == dict(pixel_mean=list(IMAGENET_MEAN), pixel_std=list(IMAGENET_STD))
    return {} if same else statistics
