"""Group F: archives that reach outside, deceive, explode or are damaged, and downloads that break off."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import io
import os
import shutil
import stat
import tarfile
import urllib.request
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from tests.corpus.raw_trees import busi
from tests.downloads.server import Behaviour, FileServer
from tests.faults.conversions import DESCRIPTIONS, REFUSED, Job, crashed, digests, leftovers, reference, run
from tests.faults.harness import Arena, Trial, Verdict, fault, lossy, quiet, survived

SCRIPT = DESCRIPTIONS / 'busi.py'
TOP = 'Dataset_BUSI_with_GT'
_MOST_WRITTEN = 200 << 20
Content = dict[str, bytes]


def content(arena: Arena) -> Content:
    """The files of a small BUSI, by their names in an archive."""
    raw = arena.root / 'raw' / 'busi'
    if not raw.exists():
        busi.build(raw)
    return {
        path.relative_to(raw).as_posix(): path.read_bytes()
        for path in sorted(raw.rglob('*'))
        if path.is_file()
    }


def clean_of(arena: Arena) -> dict[str, str]:
    content(arena)
    return reference(SCRIPT, arena.root / 'raw' / 'busi')


def tar_of(files: Content, *odd: tarfile.TarInfo, mode: str = 'w', payload: bytes = b'evil') -> bytes:
    """A tar with good files and odd members; odd ones that are files hold the payload."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode=mode) as archive:
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
        for info in odd:
            info.size = len(payload) if info.isreg() else 0
            archive.addfile(info, io.BytesIO(payload) if info.isreg() else None)
    return buffer.getvalue()


def zip_of(files: Content, odd: Content | None = None, *, method: int = zipfile.ZIP_DEFLATED) -> bytes:
    """A zip with good files and odd members."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, 'w', method) as archive:
        for name, data in [*files.items(), *(odd or {}).items()]:
            archive.writestr(zipfile.ZipInfo(name), data, method)
    return buffer.getvalue()


def member(name: str, kind: bytes = tarfile.REGTYPE, link: str = '', mode: int = 0o644) -> tarfile.TarInfo:
    """A member of a tar."""
    info = tarfile.TarInfo(name)
    info.type, info.linkname, info.mode = kind, link, mode
    return info


def attack(arena: Arena, name: str, data: bytes, *, may_pass: bool = False, suffix: str = '.tar') -> Trial:
    """An archive to be refused, or, if it may pass, refused or unpacked to the good files alone."""
    path = arena.root / 'raw' / f'{name.replace("/", "_")}{suffix}'
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(data)
    if not arena.ours:
        return Trial(name, functools.partial(_stock_unpack, path, content(arena), may_pass))
    job = Job(SCRIPT, path, arena.work / f'out {path.stem}', ('--accept-counts',))
    return Trial(name, functools.partial(_refuses, job, clean_of(arena), may_pass))


def _refuses(job: Job, clean: dict[str, str], may_pass: bool) -> Verdict:
    done = run(job)
    wrong = crashed(done)
    if wrong is not None:
        return wrong
    if done.most_written > _MOST_WRITTEN:
        return lossy(f'{done.most_written >> 20} MB were written')
    odd = [path for path in job.out.rglob('*') if path.is_symlink() or path.lstat().st_mode & stat.S_ISUID]
    if odd:
        return quiet(f'{odd} were made')
    if done.code == 0 and may_pass:
        return survived() if digests(job.target) == clean else quiet('converted to something else')
    if done.code != REFUSED or job.target.exists():
        return quiet(done.tail) if done.code == 0 else lossy(done.tail)
    if job.source.name not in done.text:
        return lossy(f'the archive is not named: {done.text}')
    parts = [path for path in job.out.rglob('*') if path.is_file() and path.suffix in ('.png', '.part')]
    return lossy(f'left over: {parts}, {leftovers(job)}') if parts else survived(done.text)


def _stock_unpack(path: Path, good: Content, may_pass: bool) -> Verdict:
    folder = Path('unpacked')
    try:
        shutil.unpack_archive(path, folder)
    except Exception as error:
        return survived(f'{type(error).__name__}: {error}')
    finally:
        files = [found for found in folder.rglob('*') if not found.is_dir() or found.is_symlink()]
        found = {
            x.relative_to(folder).as_posix(): x.read_bytes() for x in files if stat.S_ISREG(x.lstat().st_mode)
        }
        special = [
            x for x in files if not stat.S_ISREG(x.lstat().st_mode) or x.lstat().st_mode & stat.S_ISUID
        ]
        shutil.rmtree(folder, ignore_errors=True)
    if may_pass and found == good and not special:
        return survived()
    return quiet(f'unpacked, {len(found)} files, {len(special)} special ones')


def _ups(arena: Arena) -> int:
    """How many folders up the arena lies from where an archive is unpacked."""
    return 5 if arena.ours else 2


@fault('F1.up', 'tar members with .. in their names', stock_losses=1)
def tar_up(arena: Arena) -> Iterator[Trial]:
    files = content(arena)
    up = '../' * _ups(arena)
    for name in (f'{up}outside/evil', f'{TOP}/../{up}outside/evil', f'./{up}outside/outside_0.bin'):
        yield attack(arena, f'{name[:12]} {len(name)}', tar_of(files, member(name)))


@fault('F2.absolute', 'tar members with absolute names', stock_losses=1)
def tar_absolute(arena: Arena) -> Iterator[Trial]:
    for name in ('evil', 'outside_0.bin'):
        path = arena.root / 'outside' / name
        yield attack(arena, f'absolute {name}', tar_of(content(arena), member(str(path))))


@fault('F3.symlink', 'tar members that are links, and files that go through them', stock_losses=1)
def tar_symlink(arena: Arena) -> Iterator[Trial]:
    files, outside = content(arena), str(arena.root / 'outside')
    link = member(f'{TOP}/link', tarfile.SYMTYPE, outside)
    upwards = member(f'{TOP}/link', tarfile.SYMTYPE, '../' * (_ups(arena) + 1) + 'outside')
    yield attack(arena, 'then a file', tar_of(files, link, member(f'{TOP}/link/evil')))
    yield attack(arena, 'relative then a file', tar_of(files, upwards, member(f'{TOP}/link/evil')))
    yield attack(
        arena,
        'instead of an image',
        tar_of(files, member(f'{TOP}/benign/benign (7).png', tarfile.SYMTYPE, outside)),
    )
    yield attack(arena, 'to the folder itself', tar_of(files, member(f'{TOP}/loop', tarfile.SYMTYPE, '.')))


@fault('F4.hardlink', 'tar members that are hard links to files outside', stock_losses=1)
def tar_hardlink(arena: Arena) -> Iterator[Trial]:
    target = '../' * _ups(arena) + 'outside/outside_0.bin'
    link = member(f'{TOP}/link', tarfile.LNKTYPE, target)
    yield attack(arena, 'link', tar_of(content(arena), link))
    yield attack(arena, 'written through', tar_of(content(arena), link, member(f'{TOP}/link')))


@fault('F5.special', 'tar members that are pipes', stock_losses=1)
def tar_special(arena: Arena) -> Iterator[Trial]:
    yield attack(
        arena, 'pipe', tar_of(content(arena), member(f'{TOP}/benign/benign (7).png', tarfile.FIFOTYPE))
    )


@fault('F6.setuid', 'tar members that would run as their owner', stock_losses=1)
def tar_setuid(arena: Arena) -> Iterator[Trial]:
    files = content(arena)
    name = next(iter(files))
    image = files.pop(name)
    yield attack(arena, 'setuid', tar_of(files, member(name, mode=0o4755), payload=image), may_pass=True)


def _encrypted(data: bytes) -> bytes:
    return data.replace(b'PK\x01\x02\x14\x03\x14\x00\x00\x00', b'PK\x01\x02\x14\x03\x14\x00\x01\x00').replace(
        b'PK\x03\x04\x14\x00\x00\x00', b'PK\x03\x04\x14\x00\x01\x00'
    )


def _zip_link(files: Content, target: str) -> bytes:
    buffer = io.BytesIO(zip_of(files))
    info = zipfile.ZipInfo(f'{TOP}/benign/benign (7).png')
    info.create_system, info.external_attr = 3, (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile(buffer, 'a') as archive:
        archive.writestr(info, target)
    return buffer.getvalue()


@fault(
    'F7.zip',
    'zip members with names that lead outside or are one on some disks, encrypted ones',
    stock_losses=0.7,
)
def zip_names(arena: Arena) -> Iterator[Trial]:
    files = content(arena)
    image = next(name for name in files if name.endswith('.png'))
    up = '../' * _ups(arena)
    odd = {
        'up': f'{up}outside/evil',
        'up inside': f'{TOP}/../../{up}outside/evil',
        'absolute': str(arena.root / 'outside/evil'),
        'backslash': '..\\..\\..\\evil.png',
        'drive': 'C:\\evil.png',
        'drive and slash': 'C:/evil.png',
        'twin': image,
        'twin by case': image.upper(),
        'twin by letters': f'{TOP}/\N{KELVIN SIGN}.png',
        'control character': f'{TOP}/a\nb.png',
        'long': f'{TOP}/{"x" * 300}.png',
    }
    for name, path in odd.items():
        more = {f'{TOP}/k.png': b'1', path: b'evil'} if name == 'twin by letters' else {path: b'evil'}
        yield attack(arena, name, zip_of(files, more), suffix='.zip')
    hidden = zip_of(files, {f'{TOP}/normal/aXb.png': b'evil'}).replace(b'aXb.png', b'a\0b.png')
    yield attack(arena, 'zero byte in a name', hidden, suffix='.zip')
    yield attack(arena, 'encrypted', _encrypted(zip_of(files)), suffix='.zip')
    yield attack(arena, 'link', _zip_link(files, str(arena.root / 'outside')), suffix='.zip')


def _bomb(megabytes: int) -> bytes:
    buffer = io.BytesIO()
    with (
        zipfile.ZipFile(buffer, 'w', zipfile.ZIP_DEFLATED, compresslevel=9) as archive,
        archive.open(f'{TOP}/benign/benign (1).png', 'w') as file,
    ):
        for _ in range(megabytes):
            file.write(bytes(1 << 20))
    return buffer.getvalue()


def _shared_data(copies: int, megabytes: int) -> bytes:
    """A zip whose members all have the same bytes."""
    whole = _bomb(megabytes)
    with zipfile.ZipFile(io.BytesIO(whole)) as archive:
        at = archive.start_dir
    record = whole[at : whole.index(b'PK\x05\x06', at)]
    records = [record.replace(b'(1).png', f'({chr(97 + i)}).png'.encode()) for i in range(copies)]
    listing = b''.join(records)
    end = b'PK\x05\x06' + bytes(4) + copies.to_bytes(2, 'little') * 2
    end += len(listing).to_bytes(4, 'little') + at.to_bytes(4, 'little') + bytes(2)
    return whole[:at] + listing + end


def _lying(data: bytes, says: int) -> bytes:
    """A zip whose only member says that it is small."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        size = archive.infolist()[0].file_size
    return data.replace(size.to_bytes(4, 'little'), says.to_bytes(4, 'little'))


@fault('F8.bomb', 'archives that unpack to very much', stock_losses=0.4, budget_s=90)
def bombs(arena: Arena) -> Iterator[Trial]:
    inner = _bomb(60)
    cases = {
        'ratio of 1000': (_bomb(250), '.zip'),
        'members that share their bytes': (_shared_data(20, 20), '.zip'),
        'says that it is small': (_lying(_bomb(250), 100), '.zip'),
        'tar of zeros': (
            tar_of({}, member(f'{TOP}/benign/benign (1).png'), mode='w:gz', payload=bytes(250 << 20)),
            '.tar.gz',
        ),
    }
    if arena.ours:
        # nobody else unpacks what is inside
        nested = zip_of({f'Dataset_BUSI_{n}.zip': inner for n in range(5)}, method=zipfile.ZIP_STORED)
        packed = zip_of({f'Dataset_BUSI_{n}.zip': inner for n in range(5)})
        cases |= {'archives inside': (nested, '.zip'), 'archives inside, packed again': (packed, '.zip')}
    if arena.full:
        cases['a million members'] = (_many_members(1_000_100), '.zip')
    for name, (data, suffix) in cases.items():
        yield attack(arena, name, data, suffix=suffix)


def _many_members(count: int) -> bytes:
    local = b'PK\x03\x04' + bytes(26)
    record = b'PK\x01\x02\x14\x03\x14\x00' + bytes(20) + (7).to_bytes(2, 'little') + bytes(16)
    listing = b''.join(record + b'%07d' % number for number in range(count))
    end = b'PK\x05\x06' + bytes(4) + b'\xff\xff' * 2 + len(listing).to_bytes(4, 'little')
    return local + listing + end + len(local).to_bytes(4, 'little') + bytes(2)


@fault('F9.damaged', 'archives cut short, with a flipped bit, and what is none', stock_losses=0, seed=9)
def damaged(arena: Arena) -> Iterator[Trial]:
    files = content(arena)
    whole = {'.zip': zip_of(files), '.tar': tar_of(files), '.tar.gz': tar_of(files, mode='w:gz')}
    for suffix, data in whole.items():
        for share in (0.3, 0.9, 0.999):
            # a tar ends with zeros, without some of which it is still whole
            may_pass = suffix == '.tar' and share > 0.5
            cut = data[: int(share * len(data))]
            yield attack(arena, f'{share:.1%}', cut, may_pass=may_pass, suffix=suffix)
    with tarfile.open(fileobj=io.BytesIO(whole['.tar'])) as archive:
        border = archive.getmember(f'{TOP}/malignant/malignant (3).png').offset
    yield attack(arena, 'cut between two members', whole['.tar'][:border], suffix='.tar')
    others = {
        'web page': b'<!DOCTYPE html><html></html>',
        'empty': b'',
        'picture': b'\x89PNG\r\n\x1a\n' + bytes(99),
    }
    others['without members'] = zip_of({})
    for name, data in others.items():
        yield attack(arena, name, data, suffix='.zip')
    rng = np.random.default_rng(arena.seed)
    for place in rng.integers(0, 8 * len(whole['.zip']), 100 if arena.full else 6):
        data = bytearray(whole['.zip'])
        data[place // 8] ^= 1 << (int(place) % 8)
        yield attack(arena, f'bit {place}', bytes(data), may_pass=True, suffix='.zip')


@fault('F9.again', 'the same files packed otherwise give the same data set', stock_losses=0)
def packed_otherwise(arena: Arena) -> Iterator[Trial]:
    files = content(arena)
    backwards = dict(reversed(files.items()))
    deeper = {f'a/b/{name}': data for name, data in files.items()}
    cases = {
        'stored': (zip_of(files, method=zipfile.ZIP_STORED), '.zip', False),
        'in another order': (zip_of(backwards), '.zip', False),
        'in another folder': (zip_of(deeper), '.zip', True),
        'tar.xz': (tar_of(backwards, mode='w:xz'), '.tar.xz', False),
    }
    for name, (data, suffix, is_deeper) in cases.items():
        trial = attack(arena, name, data, may_pass=True, suffix=suffix)
        if arena.ours or not is_deeper:
            yield dataclasses.replace(trial, run=functools.partial(_must_pass, trial.run))


def _must_pass(judge: Callable[[], Verdict]) -> Verdict:
    verdict = judge()
    return lossy(f'refused: {verdict.note}') if verdict.note else verdict


BODY = hashlib.shake_256(b'weights').digest(1_500_000)


@fault('F10.download', 'connections that break, servers that ignore what was asked', stock_losses=0.5)
def download(arena: Arena) -> Iterator[Trial]:
    half = len(BODY) // 2
    scripts = {
        'cut at a half': [Behaviour(cut_after=half), Behaviour()],
        'cut, range ignored': [Behaviour(cut_after=half), Behaviour(ignore_range=True)],
        'cut each time': [Behaviour(cut_after=half)],
        'web page for a file': [Behaviour(redirect='/page')],
        'other bytes': [Behaviour()],
    }
    for name, script in scripts.items():
        yield Trial(name, functools.partial(_download, arena, name, script))


def _download(arena: Arena, name: str, script: list[Behaviour]) -> Verdict:
    from ultrasam.downloads.known_weights import KnownWeights
    from ultrasam.downloads.transfer import Patience
    from ultrasam.downloads.weights import fetch_weights
    from ultrasam.errors import UltraSamError

    os.environ['no_proxy'] = '127.0.0.1'
    served = BODY[::-1] if name == 'other bytes' else BODY
    server = FileServer(files={'tiny.pth': served, 'page': b'<html>Quota exceeded</html>'}, script=script)
    server.start()
    out = arena.work / name
    out.mkdir()
    try:
        if arena.ours:
            entry = KnownWeights(
                name='tiny', file='tiny.pth', urls=('https://weights.invalid/tiny.pth',), page='https://weights.invalid/',
                size_mb=2, sha256=hashlib.sha256(BODY).hexdigest(), sha256_source='made here', licence='none',
                citation='none', purpose='a test',
            )  # fmt: skip
            haste = Patience(attempts=3, first_wait_s=0.0, timeout_s=5.0)
            fetch_weights(entry, out, mirror=server.url, patience=haste, show_progress=False)
        else:
            urllib.request.urlretrieve(f'{server.url}/tiny.pth', out / 'tiny.pth')  # noqa: S310 - the stock way
        error = ''
    except (UltraSamError, OSError) as raised:
        error = str(raised)
    finally:
        server.stop()
    there = (out / 'tiny.pth').read_bytes() if (out / 'tiny.pth').exists() else None
    if there == BODY:
        return survived()
    if there is not None:
        return (
            lossy(f'half a file under its final name; {error}') if error else quiet('another file was taken')
        )
    return survived(error) if error else quiet('nothing came and nothing was said')
