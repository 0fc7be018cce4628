"""Conversions as commands: small data sets, the command run apart, and what was published in the end."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.corpus.raw_trees.common import disc, save, speckle
from tests.faults.harness import CRASHED, Arena, Verdict, lossy, patience

ROOT = Path(__file__).resolve().parents[2]
DESCRIPTIONS = ROOT / 'datasets/us43d'
STOCK = Path(__file__).with_name('plain_converter.py')
INJECTED = Path(__file__).with_name('injected')
DATA_FAULTS, REFUSED, ENVIRONMENT = 3, 4, 5
_LIMIT_S = 45

TINY = """from ultrasam.cli.convert import run_description
from ultrasam.corpus import Category, DatasetSpec, ImageFiles, MaskFiles, Threshold

SPEC = DatasetSpec(
    name='TINY', title='tiny', homepage='https://tiny', licence='', citation='none', access='open',
    categories=(Category('lesion', 'lesion'),),
    frames=ImageFiles('images/{n:[^#/]+}.{_s:png|jpg|tif|bmp|PNG}'),
    annotations=(MaskFiles('masks/{n:[^#/]+}{lesion:(?:#\\\\d)?}.{_s:png|jpg|tif|bmp|PNG}', Threshold(150, 'lesion')),),
)
if __name__ == '__main__':
    run_description(__file__)
"""
# so long a conversion takes over each file where it is to be stopped half way, on a machine of any speed
PAUSE_S = 0.05
_SLOWLY = f"""
import time
import ultrasam.corpus.pipeline as worker
_read_frames = worker.read_frames
def _read_slowly(*arguments):
    time.sleep({PAUSE_S})
    yield from _read_frames(*arguments)
worker.read_frames = _read_slowly
"""
MASK = disc(30, 40, 9)
_CONVERTED: dict[str, Path] = {}


@dataclass(frozen=True)
class Done:
    """A command that has ended; ``code`` is negative for a signal and None if it had to be ended."""

    code: int | None
    text: str
    seconds: float
    most_written: int

    @property
    def tail(self) -> str:
        return f'exit {self.code}: {self.text[-200:]}'


@dataclass(frozen=True)
class Job:
    """A conversion: description (a path, or text to be written as tiny.py), source and folder of all data sets."""

    script: Path
    source: Path
    out: Path
    options: tuple[str, ...] = ()

    @property
    def command(self) -> list[str]:
        return [sys.executable, str(self.script), str(self.source), str(self.out), *self.options]

    @property
    def name(self) -> str:
        return {'busi.py': 'BUSI', 'acouslic.py': 'ACOUSLIC', 'camus.py': 'CAMUS'}.get(
            self.script.name, 'TINY'
        )

    @property
    def target(self) -> Path:
        return self.out / self.name

    @property
    def journal(self) -> Path:
        return self.out / f'.{self.name}.work' / 'journal.jsonl'

    @property
    def has_begun(self) -> bool:
        """Whether the first image is written."""
        if self.script == STOCK:
            return (self.target / 'images').is_dir() and any((self.target / 'images').iterdir())
        return self.journal.is_file() and self.journal.stat().st_size > 0


def start(
    job: Job, order: Mapping[str, object] | None = None, *, apart: bool = False, log: str = 'log'
) -> subprocess.Popen[bytes]:
    """Start a conversion; ``order`` is one for the injector, ``apart`` gives it a process group of its own."""
    environment = {**os.environ, 'PYTHONPATH': str(ROOT)}
    if order is not None:
        environment['PYTHONPATH'] = f'{INJECTED}{os.pathsep}{ROOT}'
        environment['FAULTS_INJECT'] = json.dumps({'program': job.script.name, 'root': str(job.out), **order})
    with open(f'{job.out}.{log}', 'wb') as file:
        return subprocess.Popen(
            job.command, stdout=file, stderr=file, env=environment, start_new_session=apart
        )


def finish(process: subprocess.Popen[bytes], job: Job, started: float, *, log: str = 'log') -> Done:
    """Wait for a conversion, and watch how much it writes."""
    most, limit_s = 0, _LIMIT_S * patience()
    while True:
        try:
            code: int | None = process.wait(0.1)
            break
        except subprocess.TimeoutExpired:
            most = max(most, written(job.out))
            if time.monotonic() - started > limit_s:
                process.kill()
                process.wait()
                code = None
                break
    text = Path(f'{job.out}.{log}').read_text(encoding='utf-8', errors='replace')
    return Done(code, text, time.monotonic() - started, max(most, written(job.out)))


def run(job: Job, order: Mapping[str, object] | None = None, *, log: str = 'log') -> Done:
    """Run a conversion to its end."""
    started = time.monotonic()
    return finish(start(job, order, log=log), job, started, log=log)


def written(folder: Path) -> int:
    """Bytes of the files below a folder, which may change meanwhile."""
    total = 0
    for place, _, names in os.walk(folder):
        for name in names:
            try:
                total += os.lstat(os.path.join(place, name)).st_size
            except OSError:
                continue
    return total


def digests(folder: Path) -> dict[str, str]:
    """SHA-256 of every file below a folder; empty if there is none."""
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob('*'))
        if path.is_file() and not path.is_symlink()
    }


def leftovers(job: Job) -> list[str]:
    """What lies beside the data set in the folder of all of them."""
    return sorted(path.name for path in job.out.iterdir() if path != job.target) if job.out.is_dir() else []


def crashed(done: Done) -> Verdict | None:
    """A verdict on a command that was killed, hung, or fell with a traceback; None if it ended as it should."""
    if done.code is None or done.code < 0:
        return Verdict(CRASHED, done.tail)
    if 'Traceback' in done.text:
        return lossy(f'a traceback: {done.tail}')
    return None


def converted(script: Path, source: Path) -> Path:
    """A conversion without any fault, made once for the same description and files: the folder of its data set."""
    key = json.dumps([script.read_text(encoding='utf-8'), digests(source)])
    if key not in _CONVERTED:
        job = Job(script, source, source.with_name(f'{source.name}.clean'), ('--accept-counts',))
        done = run(job)
        if done.code != 0:
            raise RuntimeError(f'the undisturbed conversion failed: {done.tail}')
        _CONVERTED[key] = job.target
    return _CONVERTED[key]


def reference(script: Path, source: Path) -> dict[str, str]:
    """What a conversion without any fault publishes."""
    return digests(converted(script, source))


def tiny_script(folder: Path, text: str = TINY) -> Path:
    """The description of the tiny data set, as a file."""
    path = folder / 'tiny.py'
    path.write_text(text, encoding='utf-8')
    return path


def lay_tiny(folder: Path, count: int = 8) -> Path:
    """Images and masks of the tiny data set."""
    for number in range(count):
        save(folder / 'images' / f'good{number}.png', speckle(number))
        save(folder / 'masks' / f'good{number}.png', disc(30, 20 + 5 * (number % 8), 9))
    return folder


def script_of(arena: Arena, *, slowly: bool = False) -> Path:
    """The converter of a stack for the tiny data set; ``slowly`` takes its time over each file."""
    folder = arena.root / 'raw' / ('slow' if slowly else '')
    folder.mkdir(parents=True, exist_ok=True)
    return tiny_script(folder, _SLOWLY + TINY if slowly else TINY) if arena.ours else STOCK


def await_begin(process: subprocess.Popen[bytes], job: Job) -> None:
    """Wait until a conversion has written something, or has ended."""
    until = time.monotonic() + _LIMIT_S * patience()
    while time.monotonic() < until:
        if job.has_begun or process.poll() is not None:
            return
        time.sleep(0.005)


def moments(job: Job) -> list[tuple[str, str]]:
    """Run a conversion and list the moments at which it can be struck: what happens, and to which file."""
    log = Path(f'{job.out}.moments')
    log.unlink(missing_ok=True)
    done = run(job, {'log': str(log)})
    if done.code != 0:
        raise RuntimeError(f'the undisturbed conversion failed: {done.tail}')
    return [tuple(json.loads(line)) for line in log.read_text(encoding='utf-8').splitlines()]


def chosen(found: Sequence[tuple[str, str]], *, full: bool) -> list[int]:
    """Numbers of moments to strike at: all, or the last of each sort."""
    if full:
        return list(range(len(found)))
    sorts = {(event, Path(path).suffix): number for number, (event, path) in enumerate(found)}
    return sorted(sorts.values())
