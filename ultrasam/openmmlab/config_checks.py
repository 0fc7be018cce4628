"""Configs that are none of ours, and overrides without effect: refused before anything is built."""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from mmengine import registry as registries
from mmengine.config import Config
from mmengine.hooks import CheckpointHook
from mmengine.registry import Registry
from mmengine.runner import Runner
from torch.utils.data import DataLoader

from ultrasam.errors import ConfigError

_RUNNER_READS = (
    'activation_checkpointing',
    'compile',
    'custom_imports',
    'efficient_conv_bn_eval',
    'find_unused_parameters',
    'model_wrapper_cfg',
    'runner_type',
    'sync_bn',
    'tta_model',
    'tta_pipeline',
)
# what entries without a type of their own may hold beside what the config says
_READ_OF: Mapping[str, tuple[str, ...]] = {
    'env_cfg': ('cudnn_benchmark', 'mp_cfg', 'dist_cfg', 'resource_limit'),
    'env_cfg.dist_cfg': ('backend', 'timeout', 'init_backend'),
    'env_cfg.mp_cfg': ('mp_start_method', 'opencv_num_threads'),
    'randomness': ('seed', 'deterministic', 'diff_rank_seed'),
    'auto_scale_lr': ('enable', 'base_batch_size'),
    'optim_wrapper.clip_grad': ('type', 'max_norm', 'norm_type', 'clip_value', 'foreach'),
    'optim_wrapper.paramwise_cfg': (
        'bias_decay_mult',
        'bias_lr_mult',
        'bypass_duplicate',
        'custom_keys',
        'dcn_offset_lr_mult',
        'dwconv_decay_mult',
        'flat_decay_mult',
        'norm_decay_mult',
    ),
    'optim_wrapper': (
        'type',
        'constructor',
        'paramwise_cfg',
        'optimizer',
        'clip_grad',
        'accumulative_counts',
    ),
    'train_cfg': ('type', 'by_epoch', 'max_iters', 'max_epochs', 'val_begin', 'val_interval'),
    'val_cfg': ('type', 'fp16'),
    'test_cfg': ('type', 'fp16'),
}
_REGISTRIES = (
    'MODELS',
    'DATASETS',
    'DATA_SAMPLERS',
    'TRANSFORMS',
    'HOOKS',
    'LOOPS',
    'METRICS',
    'EVALUATOR',
    'OPTIMIZERS',
    'OPTIM_WRAPPERS',
    'OPTIM_WRAPPER_CONSTRUCTORS',
    'PARAM_SCHEDULERS',
    'VISUALIZERS',
    'VISBACKENDS',
    'LOG_PROCESSORS',
    'TASK_UTILS',
)
_LOADERS = ('train_dataloader', 'val_dataloader', 'test_dataloader')
_LOADER_KEYS = ('batch_size', 'sampler', 'dataset', 'num_batch_per_epoch')
# every name is one
_FREE = ('default_hooks', 'optim_wrapper.paramwise_cfg.custom_keys')
# takes any keyword, and fails over it when it saves for the first time
_CLOSED = (CheckpointHook,)
# where the type is that of a class which a registry has to know
_BUILT = (
    'model',
    'train_cfg',
    'val_cfg',
    'test_cfg',
    'optim_wrapper',
    *(f'{loader}.dataset' for loader in _LOADERS),
)


def check_types(cfg: Config, name: str) -> None:
    """See that a config is one that this installation can build.

    Args:
        cfg: the config.
        name: of its file.

    Raises:
        ConfigError: it has no model, or names a class that no registry knows.
    """
    if not isinstance(cfg.get('model'), Mapping):
        raise ConfigError(f'{name}: has no model, so it is no config to train or test. See configs/UltraSAM.')
    scope = cfg.get('default_scope')
    for path in _BUILT:
        entry: Any = cfg
        for part in path.split('.'):
            entry = entry.get(part) if isinstance(entry, Mapping | Config) else None
        kind = entry.get('type') if isinstance(entry, Mapping) else None
        if kind is not None and _class_of(kind, scope) is None:
            raise ConfigError(
                f'{name}: {path}.type={kind!r} is known to no registry. Is it the config of another project? If it is '
                'yours, name the module that registers it in custom_imports.'
            )


def check_overrides(cfg: Config, overrides: Mapping[str, Any]) -> None:
    """See that every override changes something that is read.

    MMEngine adds a misspelt key to the config and never looks at it again.  A setting may be overridden if the config
    has it, or if what the entry around it is built from takes such an argument.

    Args:
        cfg: the config, before it is changed.
        overrides: dotted keys and their values.

    Raises:
        ConfigError: one of them would have no effect; the message names it and what comes close.
    """
    for key in overrides:
        _check_name(cfg, key)
        _check_path(cfg, key)


def _check_name(cfg: Config, key: str) -> None:
    """A name on which entries of the config are based is used up when the config has been read."""
    first = key.partition('.')[0]
    read = _read_by_runner()
    if first in cfg and first not in read:
        users = [path for path, value in _leaves(cfg, read) if value is not None and value == cfg[first]]
        hint = f' Override what was made of it: {", ".join(users[:6])}.' if users else ''
        raise ConfigError(
            f'--cfg-options {key}: {first} is a name within {cfg.filename or "the config"}, which is read before the '
            f'command line: to override it has no effect.{hint}'
        )


def _check_path(cfg: Config, key: str) -> None:
    here: Any = cfg
    parts = key.split('.')
    for depth, part in enumerate(parts):
        path = '.'.join(parts[:depth])
        if isinstance(here, list | tuple):
            if not part.lstrip('-').isdigit() or int(part) >= len(here):
                raise ConfigError(
                    f'--cfg-options {key}: {path} is a list of {len(here)}: give a number below that'
                )
            here = here[int(part)]
            continue
        if not isinstance(here, Mapping | Config):
            raise ConfigError(f'--cfg-options {key}: {path} is {here!r} and holds no entries')
        if part in here:
            here = here[part]
            continue
        known = _accepted(here, path, cfg.get('default_scope'))
        is_last = depth == len(parts) - 1
        inner = f'{path}.{part}'.lstrip('.')
        if is_last and (known is None or part in known):
            return
        if not is_last and inner in _READ_OF and (known is None or part in known):
            here = {}
            continue
        raise ConfigError(_message(key, path, part, [*here, *(known or ())] if is_last else list(here)))


def _message(key: str, path: str, part: str, known: Iterable[str]) -> str:
    close = difflib.get_close_matches(part, sorted(set(known)), n=3, cutoff=0.5)
    prefix = f'{path}.' if path else ''
    hint = f' Did you mean {" or ".join(prefix + name for name in close)}?' if close else ''
    where = path or 'the config'
    return f'--cfg-options {key}: {where} has no {part!r}, and nothing would read it.{hint}'


def _accepted(entry: Mapping[str, Any], path: str, scope: str | None) -> set[str] | None:
    """Keys that an entry may have beside its own; None if it takes any."""
    if path in _FREE:
        return None
    if not path:
        return set(_read_by_runner())
    if path in _LOADERS:
        return {*inspect.signature(DataLoader.__init__).parameters, *_LOADER_KEYS} - {'self'}
    known = set(_READ_OF.get(path, ()))
    kind = entry.get('type')
    if kind is None:
        return known
    taken = _arguments(_class_of(kind, scope))
    return None if taken is None else {'type', 'init_cfg', '_scope_', *known, *taken}


def _read_by_runner() -> set[str]:
    return {*inspect.signature(Runner.__init__).parameters, *_RUNNER_READS} - {'self', 'cfg'}


def _class_of(kind: Any, scope: str | None) -> Any:
    """What a type is built by, for a config of this scope; None if no registry knows it."""
    if not isinstance(kind, str):
        return kind
    for name in _REGISTRIES:
        root: Registry = getattr(registries, name)
        with root.switch_scope_and_registry(scope) as registry:
            found = registry.get(kind)
        if found is not None:
            return found
    return None


def _arguments(built_by: Any) -> set[str] | None:
    """Names that a class or function takes; None if that is any, or unknown."""
    if built_by is None:
        return None
    chain: Sequence[Any] = built_by.__mro__ if inspect.isclass(built_by) else (built_by,)
    # a class may name another that takes its keywords
    chain = (chain[0], *([built_by.keywords_of] if hasattr(built_by, 'keywords_of') else []), *chain[1:])
    names: set[str] = set()
    for one in chain:
        if inspect.isclass(one) and '__init__' not in vars(one):
            continue
        target = one.__init__ if inspect.isclass(one) else getattr(one, 'func', one)
        try:
            parameters = inspect.signature(target).parameters.values()
        except (TypeError, ValueError):
            return None
        names |= {p.name for p in parameters if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)}
        # what a class does not take by name it hands to the one that it is based on
        if one in _CLOSED or not any(p.kind is p.VAR_KEYWORD for p in parameters):
            return names - {'self'}
    return None


def _leaves(value: Any, first: Iterable[str]) -> Iterable[tuple[str, Any]]:
    """Entries and lists under some keys of a config, each by its dotted key."""
    stack = [(key, value[key]) for key in first if key in value]
    while stack:
        path, found = stack.pop()
        yield path, found
        items: Iterable[tuple[Any, Any]] = ()
        if isinstance(found, Mapping):
            items = found.items()
        elif isinstance(found, list | tuple):
            items = enumerate(found)
        stack += [(f'{path}.{key}', inner) for key, inner in items]
