"""Faults, what they may cost, and how the cost is measured.

A fault is a function that prepares trials: small callables, each run in a process of its own beside a tree of files
that nobody may touch. What was lost, what was written elsewhere and whether a payload ran is read from that tree,
never taken from the word of the code under test. Each fault is run against this project and against the stock
libraries: a suite that the stock libraries survive as well would prove nothing.

How to add a group
------------------

Write ``tests/faults/group_x_what.py``: every file of such a name is a group, and there is no list to add it to. The
letter is that of the ids in it: ``group_d_training.py`` holds faults ``D7.many`` and so on, so that ``--only D7``
need not import the others. In it, a function for each fault::

    @fault('X1.cut', 'a file cut short', stock_losses=0.5, seed=3, budget_s=30)
    def cut(arena: Arena) -> Iterator[Trial]:
        for share in (0.3, 0.9) if arena.full else (0.3,):
            path = arena.work / f'{share}.bin'
            path.write_bytes(WHOLE[: int(share * len(WHOLE))])
            yield Trial(f'{share:.0%}', functools.partial(_read, arena, path))

* It prepares in the process of the group, in ``arena.work``, and yields a :class:`Trial` for each attack, at least one
  for each stack: ``arena.ours`` says which it is. Big objects and imports such as torch are better made in the trial.
  Random numbers come from ``arena.seed``; ``arena.full`` asks for more trials.
* ``Trial.run`` runs in a fork, with limits on memory, time, and the size of files, and gives a verdict:
  :func:`survived` (right, or refused by an error of ours that names the file), :func:`lossy` (loud, but something valid
  is lost or the message is of no use), :func:`quiet` (wrong, and nothing was said). A trial that raises, dies or
  overruns its budget has crashed. One that judges many things at once gives a list of verdicts, ``Trial.size`` of them.
* ``stock_losses`` is the least share of the trials that the stock libraries are known not to survive. Below it the
  suite fails: the attack has lost its edge. 0 only where they do as well as we.
* ``previous``, ``source``, ``outside`` and ``canary`` beside ``arena.work`` are guarded: attacks aim at them, and the
  harness counts what was lost, added or run. Raw data may be laid in ``arena.root / 'raw'`` before the trial begins.
* Each group runs in a fresh process, both stacks after one another, so a group that imports torch at its head costs the
  others nothing; one that measures memory of its children must not import it. A group may import helpers from another;
  the faults of that one are not run again.

``cases.py`` has faulty files among good ones (groups C and D), ``conversions.py`` conversions as commands with kills
and failing calls (A, B), ``tiny.py`` checkpoints and runs (G). ``python -m tests.faults.run --only X1`` runs a kind.
A group that cannot be imported, that registers nothing, a fault without trials on either stack or an id given twice
fails the suite: what is executed is what is registered.
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib
import json
import os
import resource
import select
import shutil
import signal
import stat
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path

_PREFIX = 'group_'
GROUPS = tuple(
    sorted(path.stem.removeprefix(_PREFIX) for path in Path(__file__).parent.glob(f'{_PREFIX}*.py'))
)
"""Every group, by the name of its file."""
STACKS = ('ours', 'stock')
SURVIVED, LOSSY, QUIET, CRASHED = 'S', 'L', 'Q', 'C'

_ADDRESS_SPACE = 4 << 30
_LARGEST_FILE = 1 << 30


@dataclass
class Verdict:
    """What a trial came to: survived, loud but lossy, quiet and wrong, or crashed."""

    outcome: str
    note: str = ''


def survived(note: str = '') -> Verdict:
    return Verdict(SURVIVED, note)


def lossy(note: str) -> Verdict:
    return Verdict(LOSSY, note)


def quiet(note: str) -> Verdict:
    return Verdict(QUIET, note)


@dataclass
class Trial:
    """One attack: a name, what it does, and how many verdicts it gives."""

    name: str
    run: Callable[[], Verdict | list[Verdict]]
    size: int = 1


@dataclass
class Arena:
    """The folder of a fault: ``work`` is free to use, everything else has to stay as it is."""

    root: Path
    stack: str
    full: bool
    seed: int

    @property
    def work(self) -> Path:
        return self.root / 'work'

    @property
    def canary(self) -> Path:
        """The file that a payload appends to if it runs."""
        return self.root / 'canary' / 'ran'

    @property
    def ours(self) -> bool:
        return self.stack == 'ours'

    def build(self) -> None:
        """Lay out the tree that nobody may touch."""
        for name, count in (('source', 3), ('previous', 3), ('outside', 2)):
            folder = self.root / name
            folder.mkdir(parents=True)
            for index in range(count):
                (folder / f'{name}_{index}.bin').write_bytes(f'{name} {index} '.encode() * 64)
        (self.root / 'source').chmod(0o555)
        self.work.mkdir()
        self.canary.parent.mkdir()

    def state(self) -> dict[str, tuple[str, int]]:
        """Digest and size of every file outside the working folder and the canary."""
        found = {}
        for path in sorted(self.root.rglob('*')):
            if path.is_relative_to(self.work) or path.is_relative_to(self.canary.parent):
                continue
            if stat.S_ISREG(path.lstat().st_mode):
                content = path.read_bytes()
                found[str(path.relative_to(self.root))] = hashlib.sha256(content).hexdigest(), len(content)
            elif not path.is_dir() or path.is_symlink():
                found[str(path.relative_to(self.root))] = 'special', 0
        return found


Attack = Callable[[Arena], Iterable[Trial]]


@dataclass(frozen=True)
class Fault:
    """A registered fault.

    Args:
        id: ``G1.flips.zip``: kind, then what of it.
        title: one line for the report.
        attack: prepares the trials.
        seed: of its random numbers.
        budget_s: seconds for one trial.
        stock_losses: least share of the trials that the stock libraries are known not to survive; 0 where they
            do as well.
        group: it belongs to.
    """

    id: str
    title: str
    attack: Attack
    seed: int
    budget_s: float
    stock_losses: float
    group: str = ''

    def described(self) -> dict[str, object]:
        """What the report needs to know, as plain values."""
        return {'id': self.id, 'title': self.title, 'seed': self.seed, 'stock_losses': self.stock_losses}


REGISTRY: dict[str, Fault] = {}


def fault(
    id: str, title: str, *, stock_losses: float, seed: int = 0, budget_s: float = 60
) -> Callable[[Attack], Attack]:
    """Register a fault; see :class:`Fault`."""

    def register(attack: Attack) -> Attack:
        group = attack.__module__.rpartition('.')[2].removeprefix(_PREFIX)
        if group not in GROUPS or group[0] != id[0].lower():
            raise ValueError(
                f'fault {id} belongs in a file {_PREFIX}{id[0].lower()}*.py, not in {attack.__module__}'
            )
        if id in REGISTRY:
            raise ValueError(f'fault {id} is registered twice')
        REGISTRY[id] = Fault(id, title, attack, seed, budget_s, stock_losses, group)
        return attack

    return register


def load_group(group: str) -> list[Fault]:
    """Import a group and give its faults, in order, and none of a group that it imports."""
    importlib.import_module(f'tests.faults.{_PREFIX}{group}')
    found = [fault for fault in REGISTRY.values() if fault.group == group]
    if not found:
        raise ValueError(f'{_PREFIX}{group}.py registers no fault')
    return found


@dataclass
class FaultResult:
    """What the trials of one fault came to, on one stack."""

    id: str
    stack: str
    verdicts: list[tuple[str, str, str]] = field(default_factory=list)
    bytes_lost: int = 0
    escapes: int = 0
    payloads_run: int = 0
    seconds: float = 0.0
    peak_rss_mb: float = 0.0
    error: str = ''

    def count(self, outcome: str) -> int:
        return sum(verdict[1] == outcome for verdict in self.verdicts)

    @property
    def trials(self) -> int:
        return len(self.verdicts)

    def as_dict(self) -> dict[str, object]:
        return asdict(self)


def run_fault(fault: Fault, arena: Arena) -> FaultResult:
    """Run every trial of a fault, each in a fork of this process."""
    result = FaultResult(fault.id, arena.stack)
    started = time.monotonic()
    arena.build()
    with _inside(arena.work):
        for trial in fault.attack(arena):
            before = arena.state()
            verdicts = _run_apart(trial, fault.budget_s)
            _measure(arena, before, verdicts, result)
            result.verdicts += [(trial.name, verdict.outcome, verdict.note[:300]) for verdict in verdicts]
    (arena.root / 'source').chmod(0o755)
    result.seconds = round(time.monotonic() - started, 2)
    result.peak_rss_mb = round(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024, 1)
    return result


@contextlib.contextmanager
def _inside(folder: Path) -> Iterator[None]:
    previous = Path.cwd()
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(previous)


def _measure(
    arena: Arena, before: dict[str, tuple[str, int]], verdicts: list[Verdict], result: FaultResult
) -> None:
    after = arena.state()
    lost = sum(size for path, (digest, size) in before.items() if after.get(path, ('', 0))[0] != digest)
    escaped = [path for path in after if path not in before]
    payloads = arena.canary.stat().st_size if arena.canary.exists() else 0
    arena.canary.unlink(missing_ok=True)
    result.bytes_lost += lost
    result.escapes += len(escaped)
    result.payloads_run += payloads
    if lost or escaped or payloads:
        for verdict in verdicts:
            verdict.outcome = QUIET if verdict.outcome == SURVIVED else verdict.outcome
            verdict.note = f'bytes lost {lost}, escapes {escaped}, payloads run {payloads}; {verdict.note}'
    for path in escaped:
        target = arena.root / path
        shutil.rmtree(target) if target.is_dir() and not target.is_symlink() else target.unlink()


def patience() -> float:
    """By how much longer things take now than on an idle machine; limits on time allow for it."""
    return max(1.0, os.getloadavg()[0] / (os.cpu_count() or 1))


def _run_apart(trial: Trial, budget_s: float) -> list[Verdict]:
    """Fork, run, and read the verdicts; a process that gives none has crashed or hung."""
    budget_s *= patience()
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.close(reading)
            os.setpgid(0, 0)
            _limit(budget_s)
            _tell(trial, writing)
            os._exit(0)
        finally:
            # whatever happens, a fork must not go on as if it were the process that runs the others
            os._exit(1)
    os.close(writing)
    text, deadline = b'', time.monotonic() + budget_s
    while select.select([reading], [], [], max(0.0, deadline - time.monotonic()))[0]:
        block = os.read(reading, 1 << 16)
        if not block:
            break
        text += block
    else:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(child, signal.SIGKILL)
    os.close(reading)
    _, status = os.waitpid(child, 0)
    if text and status == 0:
        return [Verdict(**verdict) for verdict in json.loads(text)]
    number = os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0
    how = f'ended by {signal.Signals(number).name}' if number else f'exit status {status}'
    return [Verdict(CRASHED, f'{how} after at most {budget_s:.0f} s') for _ in range(trial.size)]


def _tell(trial: Trial, writing: int) -> None:
    try:
        verdicts = trial.run()
    # A trial judges the errors of the code under test; what gets here is a mistake of the trial.
    except BaseException as error:
        verdicts = [Verdict(CRASHED, f'the trial failed: {type(error).__name__}: {error}')] * trial.size
    listed = verdicts if isinstance(verdicts, list) else [verdicts]
    if len(listed) != trial.size:
        listed = [Verdict(CRASHED, f'the trial gave {len(listed)} verdicts')] * trial.size
    text = json.dumps([asdict(verdict) for verdict in listed]).encode()
    while text:
        text = text[os.write(writing, text) :]


def _limit(budget_s: float) -> None:
    # The libraries are mapped already; the allowance is for what the trial adds.
    pages = int(Path('/proc/self/statm').read_text().split()[0]) if Path('/proc/self/statm').exists() else 0
    if pages:
        space = pages * resource.getpagesize() + _ADDRESS_SPACE
        resource.setrlimit(resource.RLIMIT_AS, (space, space))
    resource.setrlimit(resource.RLIMIT_CPU, (int(budget_s) + 1, int(budget_s) + 2))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (_LARGEST_FILE, _LARGEST_FILE))
    for stream in (0, 1, 2):
        os.dup2(os.open(os.devnull, os.O_RDWR), stream)
