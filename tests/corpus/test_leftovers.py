"""What earlier conversions left beside a data set, names that are no text, and a journal on a full disk."""

from __future__ import annotations

import errno
import os
import shutil
from pathlib import Path

import pytest

from tests.corpus.test_faults import DESCRIPTION, make_source
from tests.corpus.test_sweep import digests
from ultrasam.atomic import locked
from ultrasam.corpus import engine, journal
from ultrasam.corpus.engine import Options, convert_dataset
from ultrasam.corpus.errors import DataFaultsError, EnvironmentFault
from ultrasam.errors import OutputError


@pytest.fixture
def description(tmp_path: Path) -> Path:
    path = tmp_path / 'tiny.py'
    path.write_text(DESCRIPTION)
    return path


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / 'out'


def convert(description: Path, out: Path, *, overwrite: bool = False) -> dict[str, str]:
    source = make_source(description.with_name('raw'))
    return digests(convert_dataset(description, source, out, Options(overwrite=overwrite)).folder)


def convert_and_die(description: Path, out: Path, monkeypatch: pytest.MonkeyPatch, *, after: bool) -> None:
    """A conversion that ends just before, or just after its data set is in place, and cannot tidy up."""

    class KilledError(BaseException):
        pass

    publish = engine._publish

    def die(*arguments: object) -> None:
        if after:
            publish(*arguments)  # type: ignore[arg-type]
        raise KilledError

    with monkeypatch.context() as patch, pytest.raises(KilledError):
        patch.setattr(engine, '_publish', die)
        convert(description, out, overwrite=True)


def test_work_of_a_finished_conversion_is_removed_at_the_next_start(
    description: Path, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    convert_and_die(description, out, monkeypatch, after=True)
    assert (out / '.TINY.work/frames').is_dir()
    clean = digests(out / 'TINY')
    with pytest.raises(OutputError, match='exists already'):
        convert(description, out)
    assert sorted(path.name for path in out.iterdir()) == ['TINY']
    assert digests(out / 'TINY') == clean


def test_work_in_progress_is_kept_when_the_next_start_is_refused(
    description: Path, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    convert(description, out)
    make_source(description.with_name('raw'))
    (description.with_name('raw') / 'images/7.png').unlink()
    (description.with_name('raw') / 'masks/7.png').unlink()
    monkeypatch.setattr('tests.corpus.test_leftovers.make_source', lambda folder: folder)
    convert_and_die(description, out, monkeypatch, after=False)
    kept = digests(out / '.TINY.work')
    assert len(kept) >= 8
    with pytest.raises(OutputError, match='exists already'):
        convert(description, out)
    assert digests(out / '.TINY.work') == kept


def test_work_of_another_process_is_left_alone(
    description: Path, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    convert_and_die(description, out, monkeypatch, after=True)
    with locked(out / '.TINY.work'), pytest.raises(OutputError, match='exists already'):
        convert(description, out)
    assert (out / '.TINY.work/frames').is_dir()


@pytest.mark.parametrize('text', ['', '{', '[]', '{"files": []}'])
def test_work_beside_a_damaged_manifest_is_kept(
    description: Path, out: Path, monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    convert_and_die(description, out, monkeypatch, after=True)
    (out / 'TINY/manifest.json').write_text(text)
    with pytest.raises(OutputError, match='exists already'):
        convert(description, out)
    assert (out / '.TINY.work/journal.jsonl').is_file()


def test_temporaries_of_dead_processes_are_swept_at_the_start(description: Path, out: Path) -> None:
    clean = convert(description, out)
    from ultrasam.atomic import _beside, _swept

    dead = _beside(out / 'TINY', 'tmp')
    dead = dead.with_name(dead.name.replace(f'-{os.getpid()}-', f'-{2**22 + 1}-'))
    shutil.copytree(out / 'TINY', dead)
    _swept.clear()
    with pytest.raises(OutputError, match='exists already'):
        convert(description, out)
    assert not dead.exists() and digests(out / 'TINY') == clean


def test_a_name_that_is_no_text_is_a_fault_of_its_file(description: Path, out: Path) -> None:
    source = make_source(description.with_name('raw'))
    for place in ('images', 'masks'):
        shutil.copy(source / place / '1.png', os.fsencode(source / place) + b'/bad_\xff.png')
    with pytest.raises(DataFaultsError) as caught:
        convert(description, out)
    assert [fault.file for fault in caught.value.faults] == ['images/bad_\\xff.png', 'masks/bad_\\xff.png']
    str(caught.value).encode()
    assert (out / '.TINY.work/journal.jsonl').read_text().count('\n') == 8, 'the good ones are kept'


def test_a_journal_on_a_full_disk_names_itself(
    description: Path, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(journal, '_SYNC_EVERY', 3)
    fsync = os.fsync
    monkeypatch.setattr(
        os,
        'fsync',
        lambda fd: full(fd) if os.readlink(f'/proc/self/fd/{fd}').endswith('journal.jsonl') else fsync(fd),
    )
    with pytest.raises(EnvironmentFault, match=r'journal\.jsonl: [\d,]+ bytes cannot be written \(No space'):
        convert(description, out)
