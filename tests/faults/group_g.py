"""Group G, what is in a file: checkpoints that are damaged or malicious."""

from __future__ import annotations

import functools
import io
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.model import initialize
from mmengine.runner import find_latest_checkpoint, load_checkpoint
from torch import nn

from tests.faults import payloads
from tests.faults.harness import Arena, Trial, Verdict, fault, lossy, quiet, survived
from tests.faults.tiny import TinyModel, judge, loaders, make_runner, published, same, stock_hook
from ultrasam.checkpoints import load_checkpoint_file, state_dict_of
from ultrasam.openmmlab.checkpoints.resume import find_resume_point
from ultrasam.openmmlab.checkpoints.training_state import make_plain

ROOT = Path(__file__).resolve().parents[2]
_BATCH = 20


def weights(seed: int = 0) -> dict[str, torch.Tensor]:
    """About 200 kB, so that nearly all bits of a file are bits of a weight."""
    generator = torch.Generator().manual_seed(seed)
    return {f'layer.{i}.weight': torch.randn(64, 64, generator=generator) for i in range(12)}


def training_state() -> dict[str, Any]:
    state = {name: tensor.clone() for name, tensor in weights(1).items()}
    moments = {i: {'exp_avg': tensor * 0.5} for i, tensor in enumerate(state.values())}
    content = {'meta': {'iter': 7}, 'state_dict': state, 'optimizer': {'state': moments, 'param_groups': []}}
    make_plain(content)
    return content


def saved(content: Any, **options: Any) -> bytes:
    buffer = io.BytesIO()
    torch.save(content, buffer, **options)
    return buffer.getvalue()


def safetensors_bytes() -> bytes:
    from safetensors.torch import save

    return save(weights(), metadata={'format': 'pt'})


def stock_load(path: Path) -> Any:
    """As the libraries of today read it: torch with code, or safetensors, chosen by the name."""
    if path.suffix == '.safetensors':
        from safetensors.torch import load_file

        return load_file(path)
    return torch.load(path, map_location='cpu', weights_only=False)


FORMATS: dict[str, tuple[str, Callable[[], bytes]]] = {
    'zip': ('.pth', lambda: saved({'state_dict': weights()})),
    'legacy': ('.pth', lambda: saved({'state_dict': weights()}, _use_new_zipfile_serialization=False)),
    'safetensors': ('.safetensors', safetensors_bytes),
    'training': ('.pth', lambda: saved(training_state())),
}


def _open(arena: Arena, path: Path) -> dict[str, Any]:
    """What matters in a file, in memory of its own: some readers map the file, which is about to change."""
    content = load_checkpoint_file(path) if arena.ours else stock_load(path)
    state = state_dict_of(content, path) if arena.ours else content.get('state_dict', content)
    kept = {'state_dict': dict(state), 'optimizer': content.get('optimizer')}
    return torch.utils._pytree.tree_map_only(torch.Tensor, torch.clone, kept)


def _damaged(
    arena: Arena, kind: str, damages: list[Callable[[bytes], bytes]], *, recorded: bool = True
) -> Iterator[Trial]:
    suffix, build = FORMATS[kind]
    path = arena.work / f'weights{suffix}'
    whole = build()
    published(arena, path, whole)
    if arena.ours and not recorded:
        Path(f'{path}.sha256').unlink()
    truth = _open(arena, path)

    def run(batch: list[Callable[[bytes], bytes]]) -> list[Verdict]:
        verdicts = []
        for damage in batch:
            path.write_bytes(damage(whole))
            verdicts.append(judge(arena, path, functools.partial(_open, arena, path), truth))
        return verdicts

    for start in range(0, len(damages), _BATCH):
        batch = damages[start : start + _BATCH]
        yield Trial(f'{kind} {start}', functools.partial(run, batch), len(batch))


def _truncations(arena: Arena) -> list[Callable[[bytes], bytes]]:
    shares = np.random.default_rng(arena.seed).uniform(0, 1, 100 if arena.full else 20)
    cuts = [lambda whole, share=share: whole[: int(share * len(whole))] for share in shares]
    return [*cuts, lambda whole: b'', lambda whole: whole[:-1]]


def _flips(arena: Arena) -> list[Callable[[bytes], bytes]]:
    def flip(share: float, whole: bytes) -> bytes:
        position = int(share * len(whole) * 8)
        damaged = bytearray(whole)
        damaged[position // 8] ^= 1 << (position % 8)
        return bytes(damaged)

    shares = np.random.default_rng(arena.seed).uniform(0, 1, 1000 if arena.full else 200)
    return [functools.partial(flip, share) for share in shares]


def _register_damages() -> None:
    for number, kind in enumerate(FORMATS):
        # torch reads the old stream to its end and nothing more; it misses a cut in the last storage as little as we.
        fault(f'G1.cut.{kind}', f'{kind} checkpoint cut short', stock_losses=0, seed=10 + number)(
            lambda arena, kind=kind: _damaged(arena, kind, _truncations(arena))
        )
        fault(
            f'G1.flip.{kind}', f'one bit flipped in a {kind} checkpoint', stock_losses=0.9, seed=20 + number
        )(lambda arena, kind=kind: _damaged(arena, kind, _flips(arena)))
        fault(
            f'G1.cut_bare.{kind}', f'{kind} checkpoint without its sha256 cut short', stock_losses=0, seed=30
        )(lambda arena, kind=kind: _damaged(arena, kind, _truncations(arena), recorded=False))
    fault(
        'G1.flip_bare.zip',
        'one bit flipped in a zip checkpoint without its sha256',
        stock_losses=0.9,
        seed=40,
    )(lambda arena: _damaged(arena, 'zip', _flips(arena), recorded=False))


_register_damages()


@fault('G1.foreign', 'what is no checkpoint under its name', stock_losses=0.05, budget_s=15)
def foreign(arena: Arena) -> Iterator[Trial]:
    contents = {
        'empty': b'',
        'web page': b'<!DOCTYPE html><html><body>Quota exceeded</body></html>',
        'picture': b'\x89PNG\r\n\x1a\n' + bytes(500),
        'text': b'version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 375\n',
        'zeros': bytes(5000),
        'zip without weights': b'PK\x05\x06' + bytes(18),
        'huge header': (1 << 62).to_bytes(8, 'little') + b'{"a":1}',
    }
    for name, content in contents.items():
        for suffix in ('.pth', '.safetensors'):
            path = arena.work / f'{name}{suffix}'
            path.write_bytes(content)
            yield Trial(
                f'{name}{suffix}',
                functools.partial(judge, arena, path, functools.partial(_open, arena, path)),
            )
    (arena.work / 'folder.pth').mkdir()
    os.mkfifo(arena.work / 'pipe.pth')
    payloads.packed_bomb(arena.work / 'bomb.pth', 300)
    for name in ('folder.pth', 'pipe.pth', 'bomb.pth', 'missing.pth'):
        path = arena.work / name
        yield Trial(name, functools.partial(judge, arena, path, functools.partial(_open, arena, path)))


@fault(
    'G1.resume', 'the last checkpoint of a run is damaged, lost, or the pointer to it is', stock_losses=0.8
)
def resume_point(arena: Arena) -> Iterator[Trial]:
    run = arena.work / 'run'
    run.mkdir()

    def lay_out() -> None:
        for iteration in (1, 2):
            published(
                arena, run / f'iter_{iteration}.pth', saved({**training_state(), 'meta': {'iter': iteration}})
            )
            os.utime(run / f'iter_{iteration}.pth', (1000 + iteration,) * 2)
        (run / 'last_checkpoint').write_text(str(run / 'iter_2.pth'), encoding='utf-8')

    last, pointer = run / 'iter_2.pth', run / 'last_checkpoint'
    damages: dict[str, tuple[Callable[[], object], int]] = {
        'bit flipped': (lambda: last.write_bytes(_flips(arena)[0](last.read_bytes())), 1),
        'cut short': (lambda: os.truncate(last, 5000), 1),
        'empty': (lambda: os.truncate(last, 0), 1),
        'lost': (last.unlink, 1),
        'pointer empty': (lambda: pointer.write_text(''), 2),
        'pointer to nothing': (lambda: pointer.write_text(str(run / 'iter_9.pth')), 2),
        'pointer outside': (lambda: pointer.write_text(str(arena.root / 'previous' / 'previous_0.bin')), 2),
        'pointer is noise': (lambda: pointer.write_bytes(bytes(range(256))), 2),
        'pointer lost': (pointer.unlink, 2),
    }

    def attempt(damage: Callable[[], object], expected: int) -> Verdict:
        lay_out()
        damage()
        try:
            if arena.ours:
                found = find_resume_point([run])
                path = found.path
                aloud = bool(found.rejected) or not pointer.exists()
            else:
                path, aloud = find_latest_checkpoint(str(run)), False
            iteration = None if path is None else _iteration(arena, Path(path))
        except Exception as error:
            return lossy(f'{type(error).__name__}: {error}')
        if iteration == expected:
            return survived() if aloud or not arena.ours else quiet('fell back without a word')
        return quiet(f'went on from {iteration} instead of {expected}')

    for name, (damage, expected) in damages.items():
        yield Trial(name, functools.partial(attempt, damage, expected))


def _iteration(arena: Arena, path: Path) -> int:
    content = load_checkpoint_file(path) if arena.ours else stock_load(path)
    if not same(content['state_dict'], weights(1)):
        raise ValueError('wrong weights')
    return int(content['meta']['iter'])


@fault('G2.reader', 'pickles that run something, in every container and under every name', stock_losses=0.9)
def malicious_files(arena: Arena) -> Iterator[Trial]:
    for name, content in payloads.contents(arena.canary, arena.work).items():
        for container, options in payloads.CONTAINERS.items():
            for suffix in ('.pth', '.safetensors') if arena.ours else ('.pth',):
                path = arena.work / f'weights{suffix}'
                path.write_bytes(saved(content, **options))
                yield Trial(
                    f'{name}, {container}{suffix}', functools.partial(_refuses, arena, path, stock_load)
                )


@fault('G2.tar', 'a tar checkpoint of the first torch releases that runs something', stock_losses=1)
def malicious_tar(arena: Arena) -> Iterator[Trial]:
    path = arena.work / 'weights.pth'
    payloads.old_tar(path, arena.canary)
    yield Trial('tar', functools.partial(_refuses, arena, path, stock_load))


def _refuses(arena: Arena, path: Path, stock: Callable[[Path], Any]) -> Verdict:
    return judge(arena, path, lambda: load_checkpoint_file(path) if arena.ours else stock(path))


ENTRIES: dict[str, Callable[[Arena, Path], Any]] = {
    'load_from': lambda arena, path: make_runner(arena, load_from=str(path)).load_or_resume(),
    'resume': lambda arena, path: make_runner(arena, load_from=str(path), resume=True).train(),
    'Pretrained': lambda arena, path: initialise(arena, nn.Linear(4, 8), path, None),
    'load_checkpoint': lambda arena, path: load_into(arena, TinyModel(), path),
}


def load_into(arena: Arena, model: nn.Module, path: Path) -> None:
    with loaders(arena):
        load_checkpoint(model, str(path))


def initialise(arena: Arena, module: nn.Module, path: Path, prefix: str | None) -> None:
    with loaders(arena):
        initialize(module, {'type': 'Pretrained', 'checkpoint': str(path), 'prefix': prefix})


@fault('G2.entries', 'pickles that run something, by every way into MMEngine', stock_losses=0.9)
def malicious_entries(arena: Arena) -> Iterator[Trial]:
    contents = payloads.contents(arena.canary, arena.work)
    chosen = (
        contents
        if arena.full
        else {name: contents[name] for name in ('os.system', 'exec', 'optimizer state')}
    )
    for name, content in chosen.items():
        for entry, enter in ENTRIES.items():
            path = arena.work / 'weights.pth'
            path.write_bytes(saved(content))
            run = functools.partial(judge, arena, path, functools.partial(enter, arena, path))
            yield Trial(f'{name} by {entry}', run)


@fault('G2.config', 'a training checkpoint whose config runs something when a run resumes', stock_losses=1)
def malicious_config(arena: Arena) -> Iterator[Trial]:
    def attempt() -> Verdict:
        make_runner(arena, default_hooks=stock_hook()).train()
        path = arena.work / 'run' / 'iter_1.pth'
        content = torch.load(path, weights_only=False)
        content['meta']['config'] = f"open({str(arena.canary)!r}, 'a').write('x')\n"
        torch.save(content, path)
        runner = make_runner(arena, iterations=2, load_from=str(path), resume=True)
        runner.train()
        return survived() if runner.iter == 2 else quiet('did not resume')

    yield Trial('config in the notes', attempt)


@fault('G3.environment', 'the environment switches safe loading off', stock_losses=0.9)
def unsafe_environment(arena: Arena) -> Iterator[Trial]:
    def attempt(value: str, path: Path) -> Verdict:
        os.environ['TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD'] = value
        return _refuses(arena, path, lambda path: torch.load(path))

    path = arena.work / 'weights.pth'
    path.write_bytes(saved(payloads.contents(arena.canary, arena.work)['exec']))
    for value in ('1', 'y', 'yes', 'true'):
        yield Trial(value, functools.partial(attempt, value, path))


@fault('G3.trust', 'trust in pickles that names no content', stock_losses=0)
def unsafe_trust(arena: Arena) -> Iterator[Trial]:
    def attempt(value: str, path: Path) -> Verdict:
        os.environ['ULTRASAM_TRUST_PICKLE'] = value
        try:
            load_checkpoint_file(path) if arena.ours else torch.load(path, weights_only=True)
        except Exception as error:
            return survived(str(error))
        return quiet('was taken for good')

    path = arena.work / 'weights.pth'
    path.write_bytes(saved(payloads.contents(arena.canary, arena.work)['exec']))
    for value in ('*', '1', 'all', str(path), 'weights.pth', '0' * 64, '.' * 64):
        yield Trial(value, functools.partial(attempt, value, path))
