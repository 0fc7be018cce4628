"""What is published is whole, whatever happens on the way."""

from __future__ import annotations

import errno
import os
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from ultrasam import atomic
from ultrasam.atomic import (
    LOCK_NAME,
    locked,
    publish_bytes,
    publish_file,
    publish_folder,
    publish_json,
    sweep,
)
from ultrasam.errors import OutputError

DEAD = 2**22 + 1  # above the largest process number of Linux


def temporary_name(name: str, *, pid: int = DEAD, kind: str = 'tmp', host: str = atomic._HOST) -> str:
    return f'.{kind}-{host}-{pid}-00000000-{name}'


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_file_appears_with_its_suffix_and_the_usual_mode(tmp_path: Path) -> None:
    target = tmp_path / 'scan.nii.gz'
    with publish_file(target, overwrite=False) as path:
        assert path.parent == tmp_path and path.name.endswith('-scan.nii.gz')
        path.write_bytes(b'new')
        assert not target.exists()
    assert target.read_bytes() == b'new' and names(tmp_path) == ['scan.nii.gz']
    mask = os.umask(0)
    os.umask(mask)
    assert stat.S_IMODE(target.stat().st_mode) == 0o666 & ~mask


def test_overwriting_is_asked_for_and_keeps_the_mode(tmp_path: Path) -> None:
    target = tmp_path / 'a.json'
    publish_json(target, {'é': 1}, overwrite=False)
    target.chmod(0o640)
    with pytest.raises(OutputError, match='exists already'):
        publish_json(target, 2, overwrite=False)
    assert target.read_text(encoding='utf-8') == '{\n  "é": 1\n}\n'
    publish_json(target, 2, overwrite=True)
    assert target.read_text() == '2\n' and stat.S_IMODE(target.stat().st_mode) == 0o640


@pytest.mark.parametrize('error', [ValueError('mine'), KeyboardInterrupt()])
def test_failure_leaves_the_old_file_and_nothing_else(tmp_path: Path, error: BaseException) -> None:
    target = tmp_path / 'a.bin'
    target.write_bytes(b'old')
    with pytest.raises(type(error)), publish_file(target, overwrite=True) as path:
        path.write_bytes(b'half')
        raise error
    assert target.read_bytes() == b'old' and names(tmp_path) == ['a.bin']


def test_verification_decides(tmp_path: Path) -> None:
    def refuse(path: Path) -> None:
        assert path.read_bytes() == b'new'
        raise OutputError('not good')

    with pytest.raises(OutputError, match='not good'):
        publish_bytes(tmp_path / 'a', b'new', overwrite=False, verify=refuse)
    assert names(tmp_path) == []


def test_file_made_meanwhile_is_not_overwritten(tmp_path: Path) -> None:
    target = tmp_path / 'a'
    with pytest.raises(OutputError, match='exists already'), publish_file(target, overwrite=False) as path:
        path.write_bytes(b'mine')
        target.write_bytes(b'theirs')
    assert target.read_bytes() == b'theirs' and names(tmp_path) == ['a']


def test_writer_that_wrote_nothing_is_told(tmp_path: Path) -> None:
    with (
        pytest.raises(OutputError, match='nothing was written'),
        publish_file(tmp_path / 'a', overwrite=False),
    ):
        pass


def test_errors_name_the_file_and_the_remedy(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match=r'none/a: cannot be written .*create the folder'):
        publish_bytes(tmp_path / 'none' / 'a', b'', overwrite=False)
    with pytest.raises(OutputError, match='MB are free'), publish_file(tmp_path / 'a', overwrite=False):
        raise OSError(errno.ENOSPC, 'No space left on device')
    (tmp_path / 'folder').mkdir()
    with pytest.raises(OutputError, match='is a folder'):
        publish_bytes(tmp_path / 'folder', b'', overwrite=True)
    with pytest.raises(FileNotFoundError), publish_file(tmp_path / 'a', overwrite=False):
        (tmp_path / 'my_own_source').read_bytes()


def test_longest_names_still_fit(tmp_path: Path) -> None:
    target = tmp_path / ('ü' * 125 + '.json')
    publish_bytes(target, b'x', overwrite=False)
    assert target.read_bytes() == b'x'


def test_disk_is_told_before_and_after_the_move(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    events: list[str] = []
    fsync, replace = os.fsync, os.replace

    def record_fsync(descriptor: int) -> None:
        events.append('folder' if stat.S_ISDIR(os.fstat(descriptor).st_mode) else 'file')
        fsync(descriptor)

    def record_replace(source: Path, target: Path) -> None:
        events.append('move')
        replace(source, target)

    monkeypatch.setattr(atomic.os, 'fsync', record_fsync)
    monkeypatch.setattr(atomic.os, 'replace', record_replace)
    publish_bytes(tmp_path / 'a', b'x', overwrite=False)
    assert events == ['file', 'move', 'folder']


@pytest.mark.parametrize('call', ['fsync', 'replace'])
def test_failing_disk_publishes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str) -> None:
    target = tmp_path / 'a'
    target.write_bytes(b'old')

    def fail(*args: object) -> None:
        raise OSError(errno.EIO, 'Input/output error')

    monkeypatch.setattr(atomic.os, call, fail)
    with pytest.raises(OutputError, match='Input/output error'):
        publish_bytes(target, b'new', overwrite=True)
    assert target.read_bytes() == b'old' and names(tmp_path) == ['a']


def fill(folder: Path, text: str) -> None:
    (folder / 'images').mkdir()
    (folder / 'images' / 'a.png').write_text(text)
    (folder / 'b.json').write_text(text)


def read(folder: Path) -> dict[str, str]:
    return {str(p.relative_to(folder)): p.read_text() for p in sorted(folder.rglob('*')) if p.is_file()}


@pytest.mark.parametrize('swaps', [True, False], ids=['swap', 'two moves'])
def test_folder_is_replaced_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, swaps: bool) -> None:
    if not swaps:
        monkeypatch.setattr(atomic, '_swap', lambda first, second: False)
    target = tmp_path / 'data'
    target.mkdir()  # an empty folder is no result
    for text in ('old', 'new'):
        with publish_folder(target, overwrite=text == 'new') as folder:
            fill(folder, text)
        assert read(target) == {'images/a.png': text, 'b.json': text}
    with pytest.raises(OutputError, match='exists already'), publish_folder(target, overwrite=False):
        pass
    with pytest.raises(ValueError, match='mine'), publish_folder(target, overwrite=True) as folder:
        fill(folder, 'half')
        raise ValueError('mine')
    assert read(target)['b.json'] == 'new' and names(tmp_path) == ['data']


def test_this_system_swaps_folders(tmp_path: Path) -> None:
    if sys.platform != 'linux':
        pytest.skip('only Linux swaps two names')
    for name in 'ab':
        (tmp_path / name).mkdir()
        (tmp_path / name / name).touch()
    assert atomic._swap(tmp_path / 'a', tmp_path / 'b')
    assert names(tmp_path / 'a') == ['b'] and names(tmp_path / 'b') == ['a']


def test_folder_in_the_place_of_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / 'data').write_text('file')
    with pytest.raises(OutputError, match='no folder'), publish_folder(tmp_path / 'data', overwrite=True):
        pass


def test_sweep_takes_only_what_the_dead_of_this_host_left(tmp_path: Path) -> None:
    (tmp_path / temporary_name('a.pth')).touch()
    (tmp_path / temporary_name('data')).mkdir()
    kept = [temporary_name('b', pid=os.getpid()), temporary_name('c', host='0' * 8), 'd.pth', '.tmp-e']
    for name in kept:
        (tmp_path / name).touch()
    assert len(sweep(tmp_path)) == 2
    assert names(tmp_path) == sorted(kept)
    (tmp_path / temporary_name('a.pth')).touch()
    assert sweep(tmp_path) == [], 'once for each folder and process'


def test_sweep_puts_back_a_folder_that_stood_aside(tmp_path: Path) -> None:
    aside = tmp_path / temporary_name('data', kind='old')
    aside.mkdir()
    (aside / 'a').write_text('old')
    sweep(tmp_path)
    assert read(tmp_path / 'data') == {'a': 'old'} and names(tmp_path) == ['data']


WRITER = """
import os, signal, sys
from pathlib import Path
from ultrasam import atomic

point, kind, target = sys.argv[1], sys.argv[2], Path(sys.argv[3])
moves = {'fsync': 0, 'replace': 0, 'swap': 0}

def dying(name, real, when):
    def call(*args):
        moves[name] += 1
        if when == f'before_{name}_{moves[name]}':
            os.kill(os.getpid(), signal.SIGKILL)
        result = real(*args)
        if when == f'after_{name}_{moves[name]}':
            os.kill(os.getpid(), signal.SIGKILL)
        return result
    return call

atomic.os.fsync = dying('fsync', os.fsync, point)
atomic.os.replace = dying('replace', os.replace, point)
atomic._swap = dying('swap', atomic._swap, point) if not point.endswith('noswap') else (lambda a, b: False)
if point.startswith('between'):
    real = os.replace
    def replace(*args):
        real(*args)
        os.kill(os.getpid(), signal.SIGKILL)
    atomic.os.replace = replace
if kind == 'file':
    with atomic.publish_file(target, overwrite=True) as path:
        path.write_bytes(b'ne')
        if point == 'half_written':
            os.kill(os.getpid(), signal.SIGKILL)
        path.write_bytes(b'new')
else:
    with atomic.publish_folder(target, overwrite=True) as path:
        (path / 'a').write_text('new')
        if point == 'half_written':
            os.kill(os.getpid(), signal.SIGKILL)
        (path / 'b').write_text('new')
"""
KILLS = [
    ('half_written', 'file', 'old'),
    ('before_fsync_1', 'file', 'old'),
    ('after_fsync_1', 'file', 'old'),
    ('before_replace_1', 'file', 'old'),
    ('after_replace_1', 'file', 'new'),
    ('half_written', 'folder', 'old'),
    ('before_swap_1', 'folder', 'old'),
    ('after_swap_1', 'folder', 'new'),
    ('between_moves_noswap', 'folder', 'old'),
]


@pytest.mark.parametrize(('point', 'kind', 'survivor'), KILLS)
def test_killed_writer_leaves_old_or_new(tmp_path: Path, point: str, kind: str, survivor: str) -> None:
    target = tmp_path / 'result'
    if kind == 'file':
        target.write_bytes(b'old')
    else:
        target.mkdir()
        for name in 'ab':
            (target / name).write_text('old')
    done = subprocess.run(
        [sys.executable, '-c', WRITER, point, kind, str(target)], check=False, capture_output=True
    )
    assert done.returncode == -signal.SIGKILL, done.stderr.decode()
    atomic._swept.discard((os.getpid(), str(tmp_path)))
    sweep(tmp_path)
    assert names(tmp_path) == ['result'], 'the next writer cleans up'
    content = {'a': survivor, 'b': survivor}
    assert target.read_text() == survivor if kind == 'file' else read(target) == content


HOLDER = """
import sys, time
from ultrasam.atomic import locked
with locked(sys.argv[1]):
    print('held', flush=True)
    time.sleep(60)
"""


@pytest.fixture
def holder(tmp_path: Path) -> Callable[[], subprocess.Popen[str]]:
    def start() -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, '-c', HOLDER, str(tmp_path)], stdout=subprocess.PIPE, text=True
        )
        assert process.stdout is not None and process.stdout.readline() == 'held\n'
        return process

    return start


def test_second_writer_is_refused_and_a_dead_one_is_succeeded(
    tmp_path: Path, holder: Callable[[], subprocess.Popen[str]]
) -> None:
    process = holder()
    with pytest.raises(OutputError, match=rf'process {process.pid} on'), locked(tmp_path):
        pass
    process.kill()
    process.wait()
    assert names(tmp_path) == [LOCK_NAME], 'what the dead process left'
    with locked(tmp_path):
        assert f'{os.getpid()} on' in (tmp_path / LOCK_NAME).read_text()
    assert names(tmp_path) == []


def test_lock_is_not_taken_twice_nor_freed_by_a_child(tmp_path: Path) -> None:
    with locked(tmp_path):
        with pytest.raises(OutputError, match='this process'), locked(tmp_path):
            pass
        child = os.fork()
        if child == 0:
            os._exit(0 if atomic._held else 1)
        assert os.waitpid(child, 0)[1] == 0
        assert (tmp_path / LOCK_NAME).exists()
    with locked(tmp_path):
        pass


def test_importing_is_light() -> None:
    code = 'import sys, ultrasam.atomic; sys.exit(any(name in sys.modules for name in ("torch", "numpy")))'
    started = time.monotonic()
    assert subprocess.run([sys.executable, '-c', code], check=False).returncode == 0
    assert time.monotonic() - started < 10
