"""What finished runs of downstream tasks are, and what they reached: read from the folders that MMEngine leaves."""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePath
from typing import Any

from mmengine.config import Config

from ultrasam.errors import InputError
from ultrasam.openmmlab.checkpoints.resume import LAST

PARTS = ('test', 'val')
CHECKPOINTS = ('best', 'last')
Figures = Mapping[str, float]

# what a file of weights is called in tables
_WEIGHTS = {
    'mapped_sam_vit_b_01ec64.pth': 'SAM',
    'sam_vit_b.pth': 'SAM',
    'mapped_medsam_vit_b.pth': 'MedSAM',
    'UltraSam.pth': 'UltraSam',
    'UltraSam_SA1B/iter_30000.pth': 'UltraSam with SA-1B',
    'ultrasam_nano_256.pth': 'nano',
    'resnet50-0676ba61.pth': 'ResNet-50',
    'vit-base-p16_pt-32xb128-mae_in1k_20220623-4c544545.pth': 'ViT-B (MAE)',
}
_ADAPTERS = {'LoraFeatureEncoder': 'LoRA', 'MedSaFeatureEncoder': 'Med-SA'}
# below the folder of a data set
_INNER_FOLDERS = ('annotations', 'train', 'val', 'test')
_DATASETS = {'BUSBRA': 'BUS-BRA', 'MMOTU_2d': 'MMOTU-2D', 'FattyLiver': 'Fatty liver'}


@dataclass(frozen=True)
class Identity:
    """What was trained on what.

    Args:
        task: ``'segmentation'``, ``'classification'``, ``'prompted'`` or ``'regression'``.
        dataset: as tables call it.
        encoder: with adapters and what else differs from the plain recipe, as tables call it.
    """

    task: str
    dataset: str
    encoder: str


@dataclass
class DownstreamRun:
    """A run, of whatever number of sessions.

    Args:
        folder: its work dir.
        identity: what was trained on what.
        seed: of the config; None where it has none.
        max_iters: how long it should train.
        reached: last iteration in its log; None where only tests of it were given.
        figures: by part of the data and checkpoint, such as ``('test', 'best')``.
        notes: what is odd about it.
    """

    folder: Path
    identity: Identity
    seed: int | None
    max_iters: int
    reached: int | None
    figures: dict[tuple[str, str], Figures] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    @property
    def is_finished(self) -> bool:
        """Whether it trained to its end, as far as can be told."""
        return self.reached is None or self.reached >= self.max_iters


@dataclass(frozen=True)
class _Session:
    folder: Path
    config: Config
    identity: Identity
    losses: tuple[int, ...]
    val: Mapping[int, Figures]
    test: Figures | None

    @property
    def work_dir(self) -> Path:
        return self.folder.parent

    @property
    def reached(self) -> int | None:
        """The last iteration of training in its log; a short run may have validated before a loss was logged."""
        return max((*self.losses, *self.val), default=None)

    @property
    def tested(self) -> PurePath | None:
        """The checkpoint of a session that only tested."""
        load_from = self.config.get('load_from')
        return PurePath(load_from) if self.test is not None and self.reached is None and load_from else None


def read_runs(roots: Iterable[Path]) -> list[DownstreamRun]:
    """Find and read runs.

    Args:
        roots: work dirs, or folders of work dirs. Tests of a checkpoint may lie in a folder of their own.

    Returns:
        Runs in the order of their folders.

    Raises:
        InputError: a folder without runs, a file that is missing or damaged, a config of another kind, or runs of
            different configs in one work dir.
    """
    sessions = [_read_session(path) for path in _session_folders(roots)]
    runs: dict[Path, DownstreamRun] = {}
    by_work_dir: defaultdict[Path, list[_Session]] = defaultdict(list)
    for session in sessions:
        if session.reached is not None:
            by_work_dir[session.work_dir].append(session)
    for folder, found in by_work_dir.items():
        runs[folder] = _training(folder, found)
    for session in sessions:
        if session.tested is not None:
            _add_test(runs, session, session.tested)
    return [runs[folder] for folder in sorted(runs)]


def _session_folders(roots: Iterable[Path]) -> list[Path]:
    found: set[Path] = set()
    for root in roots:
        here = {path.parents[1].resolve() for path in Path(root).rglob('vis_data/config.py')}
        if not here:
            raise InputError(
                f'{root}: no run of MMEngine is in it (looked for TIME/vis_data/config.py): give a --work-dir of '
                'training or testing, or a folder of such'
            )
        found |= here
    return sorted(found)


def _read_session(folder: Path) -> _Session:
    source = folder / 'vis_data/config.py'
    try:
        config = Config.fromfile(str(source), import_custom_modules=False)
    except Exception as error:  # whatever a damaged file of Python raises
        raise InputError(
            f'{source}: cannot be read as a config ({error}): restore it, or leave the run out'
        ) from error
    try:
        identity = identify(config)
        if config.get('train_cfg'):
            int(config.train_cfg.max_iters)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise InputError(
            f'{source}: is no config of a downstream task ({error}): leave the run out'
        ) from error
    losses, val = _read_scalars(folder / 'vis_data/scalars.json')
    tests = sorted(folder.glob('[0-9]*_[0-9]*.json'))
    return _Session(folder, config, identity, losses, val, _read_test(tests[-1]) if tests else None)


def identify(config: Config) -> Identity:
    """What a config trains on what.

    Args:
        config: of a downstream task.

    Raises:
        ValueError: of none of the tasks.
        AttributeError: parts are missing.
    """
    model = config.model
    head = model.get('head') or {}
    if 'panoptic_head' in model:
        task = 'segmentation'
    elif (model.get('bbox_head') or {}).get('type') == 'SamClassificationHead':
        task = 'prompted'
    elif 'num_classes' in head:
        task = 'classification'
    elif 'mean' in head and 'std' in head:
        task = 'regression'
    else:
        raise ValueError(f'model.type {model.type} with none of the heads')
    return Identity(task, _dataset(config), _encoder(config))


def _dataset(config: Config) -> str:
    data = config.test_dataloader.dataset
    file = PurePath(data.get('data_root') or '') / data.ann_file
    folder = file.parent.parent if file.parent.name in _INNER_FOLDERS else file.parent
    name = _DATASETS.get(folder.name, folder.name)
    return f'{name} by patient' if file.stem.endswith('_by_patient') else name


def _encoder(config: Config) -> str:
    model = config.model
    backbone = model.backbone
    start = backbone.get('base_checkpoint') or (backbone.get('init_cfg') or {}).get('checkpoint')
    # the detector of prompted classification starts as a whole
    start = start or (config.get('load_from') if 'bbox_head' in model else None)
    words = [_weights_name(start) if start else 'from scratch']
    kind = backbone.type.split('.')[-1]
    words += [_ADAPTERS[kind]] if kind in _ADAPTERS else []
    words += ['pyramid'] if (model.get('neck') or {}).get('type') == 'SimpleFeaturePyramid' else []
    head, prompted = model.get('head') or {}, model.get('bbox_head') or {}
    competes = head.get('type') == 'LinearClsHead' or prompted.get('activation') == 'softmax'
    words += ['cross-entropy'] if competes else []
    words += ['prompted'] if prompted else []
    return ', '.join(words)


def _weights_name(path: str) -> str:
    parts = PurePath(path).parts
    return _WEIGHTS.get('/'.join(parts[-2:]), _WEIGHTS.get(parts[-1], parts[-1]))


def _read_scalars(path: Path) -> tuple[tuple[int, ...], dict[int, Figures]]:
    if not path.is_file():
        return (), {}
    text = _read_text(path)
    lines = text.split('\n')
    cut_off = lines.pop()
    losses: list[int] = []
    val: dict[int, Figures] = {}
    for number, line in enumerate([*lines, *([cut_off] if _is_json(cut_off) else [])], start=1):
        record = _parse(line, f'{path}, line {number}')
        step = record.get('step')
        if not isinstance(step, int):
            raise InputError(f'{path}, line {number}: has no step: restore the file, or leave the run out')
        if 'loss' in record:
            losses.append(step)
        figures = _figures(record)
        if figures:
            val[step] = figures
    return tuple(losses), val


def _read_test(path: Path) -> Figures:
    figures = _figures(_parse(_read_text(path), str(path)))
    if not figures:
        raise InputError(f'{path}: holds no figure of a test: restore the file, or leave the run out')
    return figures


def _read_text(path: Path) -> str:
    try:
        return path.read_text(encoding='utf-8')
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f'{path}: cannot be read ({error})') from error


def _is_json(text: str) -> bool:
    """Whether the last line of a log is whole: a run that was killed leaves half a line."""
    try:
        return isinstance(json.loads(text), dict)
    except ValueError:
        return False


def _parse(text: str, where: str) -> dict[str, Any]:
    try:
        record = json.loads(text)
    except ValueError as error:
        raise InputError(f'{where}: is damaged ({error}): restore the file, or leave the run out') from error
    if not isinstance(record, dict):
        raise InputError(f'{where}: is no record of figures: restore the file, or leave the run out')
    return record


def _figures(record: Mapping[str, Any]) -> dict[str, float]:
    return {
        key: float(value) for key, value in record.items() if '/' in key and isinstance(value, (int, float))
    }


def _training(folder: Path, sessions: Sequence[_Session]) -> DownstreamRun:
    kinds = {session.identity for session in sessions}
    if len(kinds) > 1:
        names = ' and '.join(sorted(f'{one.encoder} on {one.dataset} ({one.task})' for one in kinds))
        raise InputError(
            f'{folder}: holds runs of different configs ({names}): give each a --work-dir of its own'
        )
    last = sessions[-1]
    run = DownstreamRun(
        folder,
        last.identity,
        (last.config.get('randomness') or {}).get('seed'),
        last.config.train_cfg.max_iters,
        max(session.reached or 0 for session in sessions),
    )
    # a session that went on from an earlier checkpoint replaces what came after that
    val = {step: figures for session in sessions for step, figures in session.val.items()}
    if val:
        run.figures['val', 'last'] = val[max(val)]
        run.figures['val', 'best'] = val[_best_step(val, last.config)]
    for session in sessions:
        if session.test is not None:
            run.figures['test', 'last'] = session.test
    return run


def _best_step(val: Mapping[int, Figures], config: Config) -> int:
    hook = config.default_hooks.checkpoint
    key = hook.get('save_best')
    sign = -1 if hook.get('rule') == 'less' else 1
    # as MMEngine keeps the first of equally good ones
    return max(val, key=lambda step: (sign * val[step].get(key, float('-inf') * sign), -step))


def _add_test(runs: dict[Path, DownstreamRun], session: _Session, checkpoint: PurePath) -> None:
    folder = _work_dir_of(runs, checkpoint)
    if folder is None:
        folder = Path(checkpoint).parent.resolve()
        config = session.config
        runs[folder] = DownstreamRun(
            folder, session.identity, None, config.train_cfg.max_iters if config.get('train_cfg') else 0, None
        )
    run = runs[folder]
    if (run.identity.task, run.identity.dataset) != (session.identity.task, session.identity.dataset):
        raise InputError(
            f'{session.folder}: tests {checkpoint} on {session.identity.dataset} ({session.identity.task}), which was '
            f'trained on {run.identity.dataset} ({run.identity.task}): leave that test out'
        )
    kind = _kind(checkpoint.name, run)
    if kind is None:
        run.notes.append(f'{checkpoint.name} was tested, which is neither its best nor its last checkpoint')
    elif session.test is not None:
        run.figures['test', kind] = session.test


def _work_dir_of(runs: Mapping[Path, DownstreamRun], checkpoint: PurePath) -> Path | None:
    folder = checkpoint.parent
    resolved = Path(folder).resolve()
    if resolved in runs:
        return resolved
    # tested from another folder than the one where this is read
    ends = [path for path in runs if folder.parts and path.parts[-len(folder.parts) :] == folder.parts]
    return ends[0] if len(ends) == 1 else None


def _kind(name: str, run: DownstreamRun) -> str | None:
    if name.startswith('best_'):
        return 'best'
    if name == LAST:
        return 'last' if run.reached is not None and run.is_finished else None
    match = re.fullmatch(r'iter_(\d+)\.pth', name)
    return 'last' if match and int(match.group(1)) == run.max_iters else None
