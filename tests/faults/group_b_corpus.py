"""Group B: disks that are full, folders that cannot be written, and system calls that fail."""

from __future__ import annotations

import errno
import functools
import os
import re
import resource
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType

from tests.faults.conversions import (
    ENVIRONMENT,
    STOCK,
    Done,
    Job,
    chosen,
    crashed,
    digests,
    leftovers,
    moments,
    run,
    written,
)
from tests.faults.group_a_corpus import lay_out, put_earlier, unpublished
from tests.faults.harness import Arena, Trial, Verdict, fault, lossy, quiet, survived

_MANY = 60
NOTHING: Mapping[str, str] = MappingProxyType({})
_FULL = tuple(os.strerror(number) for number in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG))
_AMOUNT = re.compile(r'[\d,]+ (bytes|MB)\b')


def judge(job: Job, done: Done, clean: Mapping[str, str], old: Mapping[str, str]) -> Verdict:
    """Loud, code 5, the old data set whole or the new one; run again with room, the new one comes out."""
    wrong = crashed(done)
    if wrong is not None:
        return wrong
    there = digests(job.target)
    if there not in (old, clean):
        return lossy(f'half a data set, {len(there)} of {len(clean)} files: {done.tail}')
    if job.script == STOCK:
        return survived(done.tail)
    if done.code == 0:
        return survived() if there == clean else quiet('nothing was said, nothing published')
    if done.code != ENVIRONMENT or str(job.out) not in done.text:
        return lossy(done.tail)
    if any(text in done.text for text in _FULL) and not _AMOUNT.search(done.text):
        return lossy(f'does not say how much room is needed or left: {done.tail}')
    again = run(Job(job.script, job.source, job.out, ('--overwrite',)))
    if again.code != 0 or digests(job.target) != clean or leftovers(job):
        return lossy(f'does not resume: {again.tail}, {leftovers(job)}')
    return survived(done.text)


@fault('B1.limit', 'no more room in the middle of writing images or the journal', stock_losses=0.5)
def file_limit(arena: Arena) -> Iterator[Trial]:
    for kilobytes in (1, 3, 20):
        job, clean = lay_out(arena, f'limit {kilobytes}', _MANY, overwrite=False)
        yield Trial(f'{kilobytes} kB a file', functools.partial(_limited, job, clean, kilobytes * 1000))


def _limited(job: Job, clean: dict[str, str], size: int, old: Mapping[str, str] = NOTHING) -> Verdict:
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    done = run(job)
    resource.setrlimit(resource.RLIMIT_FSIZE, before)
    return judge(job, done, clean, old)


@fault('B2.disk', 'a disk too small, at several stages of a conversion', stock_losses=0.5, budget_s=90)
def small_disk(arena: Arena) -> Iterator[Trial]:
    job, clean = lay_out(arena, 'measured', _MANY, overwrite=False)
    run(job)
    whole = written(job.target) // 1024
    for share in (0.3, 0.9, 1.05, 1.2):
        job, _ = lay_out(arena, f'disk {share}', _MANY, overwrite=False)
        yield Trial(
            f'{share:.0%} of the data', functools.partial(_on_small_disk, job, clean, int(share * whole))
        )


def _on_small_disk(job: Job, clean: dict[str, str], kilobytes: int) -> Verdict:
    """Run on a disk of its own; where no disk can be mounted, a limit on the size of files stands for it."""
    wrap = ['unshare', '-m'] if os.geteuid() == 0 else ['unshare', '-U', '-r', '-m']
    mount = 'mount -t tmpfs -o size="$1"k none "$2" && touch "$2.mounted" && shift 2 && "$@"; echo $? > "$0"'
    code, kept = Path(f'{job.out}.code'), Path(f'{job.out}.kept')
    script = f'{mount}; cp -a "{job.out}" "{kept}"'
    command = [*wrap, 'sh', '-c', script, str(code), str(kilobytes), str(job.out), *job.command]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        mounted = Path(f'{job.out}.mounted').exists()
    except FileNotFoundError:
        mounted = False
    if not mounted:
        return _limited(job, clean, 2000)
    job.out.rmdir()
    kept.rename(job.out)
    return judge(job, Done(int(code.read_text()), done.stdout + done.stderr, 0, 0), clean, {})


def _strikes(arena: Arena, number: int, label: str, *, events: tuple[str, ...]) -> Iterator[Trial]:
    """An error at the moments of the publication at which ``events`` happen."""
    for overwrite in (False, True) if arena.full else (True,):
        job, clean = lay_out(arena, f'{label} {overwrite}', 8, overwrite=overwrite)
        ready = unpublished(arena, job)
        probe = Job(job.script, job.source, arena.work / f'{label} probe {overwrite}', job.options)
        shutil.copytree(ready, probe.out)
        if overwrite:
            put_earlier(arena, probe)
        found = moments(probe)
        for at in chosen(found, full=arena.full):
            event, path = found[at]
            if event not in events:
                continue
            strike = Job(job.script, job.source, arena.work / f'{label} {overwrite} {at}', job.options)
            name = f'{event} {os.path.basename(path)}'
            yield Trial(name, functools.partial(_struck, arena, strike, ready, clean, overwrite, at, number))


def _struck(
    arena: Arena, job: Job, ready: Path, clean: dict[str, str], overwrite: bool, at: int, number: int
) -> Verdict:
    shutil.copytree(ready, job.out)
    old = put_earlier(arena, job) if overwrite else {}
    done = run(job, {'at': at, 'do': number})
    if job.script == STOCK:
        there = digests(job.target)
        return survived() if there in (old, clean) else lossy('half a data set')
    return judge(job, done, clean, old)


@fault('B2.json', 'no more room while a data set is published', stock_losses=0.1, budget_s=90)
def full_at_publication(arena: Arena) -> Iterator[Trial]:
    yield from _strikes(arena, errno.ENOSPC, 'full', events=('open', 'os.mkdir', 'os.link'))


@fault('B3.unpack', 'no more room while an archive is unpacked', stock_losses=0.5)
def full_at_unpacking(arena: Arena) -> Iterator[Trial]:
    folder, clean = lay_out(arena, 'packed', 8, overwrite=False)
    for kind, size in (('zip', 2000), ('tar', 2000), ('gztar', 8000)):
        archive = Path(shutil.make_archive(str(arena.root / 'raw' / 'packed'), kind, folder.source))
        job = Job(folder.script, archive, arena.work / f'unpacked {kind}')
        job.out.mkdir()
        yield Trial(kind, functools.partial(_limited, job, clean, size))
    archive = archive.with_name('packed.zip')
    job = Job(folder.script, archive, arena.work / 'small disk')
    job.out.mkdir()
    yield Trial('disk of 64 kB', functools.partial(_on_small_disk, job, clean, 64))
    if arena.ours:
        job, _ = lay_out(arena, 'over', 8, overwrite=True)
        job = Job(job.script, archive, job.out, job.options)
        old = put_earlier(arena, job)
        yield Trial('over an earlier one', functools.partial(_limited, job, clean, 2000, old))


@fault('B4.folders', 'files where folders should be, folders that cannot be written', stock_losses=0)
def folders(arena: Arena) -> Iterator[Trial]:
    job, _ = lay_out(arena, 'free', 8, overwrite=False)
    blocked = arena.work / 'blocked'
    blocked.write_text('in the way', encoding='utf-8')
    taken = arena.work / 'taken'
    taken.mkdir()
    (taken / 'TINY').write_text('in the way', encoding='utf-8')
    busy = arena.work / 'busy'
    busy.mkdir()
    (busy / '.TINY.work').write_text('in the way', encoding='utf-8')
    cases = {'a file for OUT': blocked, 'a file for the data set': taken, 'a file for the work folder': busy}
    cases |= {'below a file': blocked / 'deeper', 'not writable': Path('/sys/kernel')}
    for name, out in cases.items():
        yield Trial(name, functools.partial(_refused, Job(job.script, job.source, out), arena.work / name))


def _refused(job: Job, log: Path) -> Verdict:
    before = {path: path.read_bytes() for path in log.parent.rglob('*') if path.is_file()}
    with open(log, 'wb') as file:
        code = subprocess.run(job.command, stdout=file, stderr=file, check=False).returncode
    text = log.read_text(encoding='utf-8', errors='replace')
    changed = [path.name for path, data in before.items() if not path.is_file() or path.read_bytes() != data]
    if changed:
        return lossy(f'{changed} changed')
    if job.script == STOCK:
        return survived() if code else quiet('nothing was said')
    if code != ENVIRONMENT or 'Traceback' in text or str(job.out) not in text:
        return lossy(f'exit {code}: {text[-300:]}')
    return survived(text)


@fault('B5.calls', 'fsync, renaming and swapping fail', stock_losses=0, budget_s=90)
def failing_calls(arena: Arena) -> Iterator[Trial]:
    yield from _strikes(arena, errno.EIO, 'broken', events=('os.fsync', 'os.rename', 'swap'))
    if not arena.ours:
        # it calls neither: what it cannot do it cannot do wrong
        yield Trial('none', functools.partial(survived, 'neither is called'))
