"""Arguments and report that the probes of frozen features share."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ultrasam.atomic import publish_json, refuse_existing
from ultrasam.cli.run_options import add_trust_option

if TYPE_CHECKING:
    from ultrasam.evaluation.classification_probes import FeatureTable, ProbeResult

    Probe = Callable[[Mapping[str, FeatureTable], int], ProbeResult]


def add_probe_options(parser: argparse.ArgumentParser) -> None:
    """Add the config, its weights, and where the result goes."""
    from ultrasam.openmmlab.launch import DictAction

    parser.add_argument('config', help='config of a classifier; the suffix .py may be left out')
    parser.add_argument(
        '--checkpoint',
        type=Path,
        help='a trained classifier (default: the encoder that the config starts from)',
    )
    parser.add_argument('--out', type=Path, help='JSON file of the figures')
    parser.add_argument('--device', help='cpu, cuda, mps (default: the best there is)')
    parser.add_argument('--batch-size', type=int, default=8, help='images encoded at once (default: 8)')
    parser.add_argument(
        '--cfg-options', nargs='+', action=DictAction, help='settings to override, as KEY=VALUE'
    )
    parser.add_argument('--overwrite', action='store_true', help='replace the JSON file')
    add_trust_option(parser)


def run_probe(args: argparse.Namespace, probe: Probe) -> str:
    """Encode the images, fit, test, and write the figures.

    Args:
        args: of :func:`add_probe_options`.
        probe: takes the tables and the number of classes.

    Returns:
        The figures as text.

    Raises:
        UltraSamError: the config, its lists, the weights or the output cannot be used.
    """
    from tqdm import tqdm

    from ultrasam.checkpoints.trust import trust_pickles
    from ultrasam.evaluation.classification_probes import as_json
    from ultrasam.openmmlab.classification_features import features_of_config

    trust_pickles(args.trust_pickle)
    if args.out is not None:
        refuse_existing(args.out, overwrite=args.overwrite)
    tables, classes = features_of_config(
        args.config,
        checkpoint=args.checkpoint,
        cfg_options=args.cfg_options,
        device=args.device,
        batch_size=args.batch_size,
        track=partial(tqdm, unit='batch'),
    )
    record = as_json(probe(tables, len(classes)), tables, classes)
    if args.out is not None:
        args.out.parent.mkdir(parents=True, exist_ok=True)
        publish_json(args.out, record, overwrite=args.overwrite)
    return _table(record)


def _table(record: Mapping[str, Any]) -> str:
    counts = ', '.join(f'{count} {part}' for part, count in record['images'].items())
    lines = [f'{record["width"]} features; images: {counts}; chosen on val: {record["chosen"]:g}', '']
    lines += [f'{name:<20}{_shown(value)}' for name, value in record['test'].items()]
    lines += ['', f'{"class":<28}{"images":>8}{"F1":>8}{"AUC":>8}']
    for name, one in record['classes'].items():
        lines.append(f'{name:<28}{one["images"]:>8}{_shown(one["f1"]):>8}{_shown(one["auc"]):>8}')
    return '\n'.join(lines)


def _shown(value: float | None) -> str:
    return '-' if value is None else f'{value:.4f}'
