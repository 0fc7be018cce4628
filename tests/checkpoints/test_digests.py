"""The sha256 beside a checkpoint: written with it, compared when it is opened."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import numpy as np
import pytest
import torch

from ultrasam.checkpoints import check_digest, load_checkpoint_file, publish_checkpoint
from ultrasam.checkpoints import digests as digests_module
from ultrasam.checkpoints.digests import record_path, remove_checkpoint
from ultrasam.errors import CheckpointError
from ultrasam.hashing import file_sha256


def saved(path: Path, value: float = 1.0, *, overwrite: bool = False) -> Path:
    with publish_checkpoint(path, overwrite=overwrite) as temporary:
        torch.save({'state_dict': {'a': torch.full((500,), value)}}, temporary)
    return path


def test_record_is_that_of_sha256sum(tmp_path: Path) -> None:
    path = saved(tmp_path / 'weights.pth')
    assert sorted(os.listdir(tmp_path)) == ['weights.pth', 'weights.pth.sha256']
    assert record_path(path).read_text() == f'{file_sha256(path)}  weights.pth\n'
    done = subprocess.run(
        ['sha256sum', '-c', 'weights.pth.sha256'], cwd=tmp_path, check=False, capture_output=True
    )
    assert done.returncode == 0
    assert check_digest(path) == file_sha256(path)


@pytest.mark.parametrize('flips', [60])
def test_every_flipped_bit_is_seen(tmp_path: Path, flips: int) -> None:
    path = saved(tmp_path / 'weights.pth')
    whole = path.read_bytes()
    for position in np.random.default_rng(1).integers(0, len(whole) * 8, size=flips):
        damaged = bytearray(whole)
        damaged[position // 8] ^= 1 << (position % 8)
        path.write_bytes(damaged)
        with pytest.raises(CheckpointError, match='damaged or exchanged'):
            load_checkpoint_file(path)


def test_nothing_recorded_is_no_fault(tmp_path: Path) -> None:
    path = saved(tmp_path / 'weights.pth')
    record_path(path).unlink()
    assert check_digest(path) is None
    assert load_checkpoint_file(path)['state_dict']['a'][0] == 1


@pytest.mark.parametrize(
    'text', ['', 'no digest here\n', f'{"0" * 64}  other.pth\n{"1" * 64}  another.pth\n', '\0\xff']
)
def test_malformed_record_is_refused(tmp_path: Path, text: str) -> None:
    path = saved(tmp_path / 'weights.pth')
    record_path(path).write_text(text, encoding='utf-8')
    with pytest.raises(CheckpointError, match=r'weights\.pth\.sha256: holds no sha256'):
        load_checkpoint_file(path)


def test_renamed_with_its_record_it_still_counts(tmp_path: Path) -> None:
    path = saved(tmp_path / 'weights.pth')
    os.replace(record_path(path), record_path(tmp_path / 'mine.pth'))
    os.replace(path, tmp_path / 'mine.pth')
    assert check_digest(tmp_path / 'mine.pth')
    (tmp_path / 'mine.pth').write_bytes(b'x')
    with pytest.raises(CheckpointError, match='damaged or exchanged'):
        check_digest(tmp_path / 'mine.pth')


@pytest.mark.parametrize('shape', ['file', 'files'])
def test_manifest_counts_if_it_is_of_this_file(tmp_path: Path, shape: str) -> None:
    path = saved(tmp_path / 'weights.pth')
    record_path(path).unlink()
    manifest = tmp_path / 'weights.pth.json'

    def write(name: str, digest: str) -> None:
        content = (
            {'file': name, 'sha256': digest} if shape == 'file' else {'files': {name: {'sha256': digest}}}
        )
        manifest.write_text(json.dumps(content))

    write(path.name, file_sha256(path))
    assert check_digest(path)
    write(path.name, '0' * 64)
    with pytest.raises(CheckpointError, match='damaged or exchanged'):
        check_digest(path)
    write('source.pth', '0' * 64)
    assert check_digest(path) is None
    manifest.write_text('{')
    with pytest.raises(CheckpointError, match=r'weights\.pth\.json: is damaged'):
        check_digest(path)


@pytest.mark.parametrize('moment', [0, 1, 2])
def test_file_and_record_fit_at_every_moment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, moment: int
) -> None:
    """Stop before each move that replacing a checkpoint makes: record of both, file, record of the new one."""
    path = saved(tmp_path / 'weights.pth', 1.0)
    moves = 0
    replace = os.replace

    def stop(source: Path, target: Path) -> None:
        nonlocal moves
        if moves == moment:
            raise KeyboardInterrupt
        moves += 1
        replace(source, target)

    monkeypatch.setattr(digests_module.publish_file.__wrapped__.__globals__['os'], 'replace', stop)
    with pytest.raises(KeyboardInterrupt):
        saved(path, 2.0, overwrite=True)
    monkeypatch.undo()
    assert load_checkpoint_file(path)['state_dict']['a'][0] == (1 if moment < 2 else 2)
    saved(path, 3.0, overwrite=True)
    assert load_checkpoint_file(path)['state_dict']['a'][0] == 3
    assert len(record_path(path).read_text().splitlines()) == 1


def test_removing_takes_the_record_too(tmp_path: Path) -> None:
    path = saved(tmp_path / 'weights.pth')
    remove_checkpoint(path)
    remove_checkpoint(path)
    assert os.listdir(tmp_path) == []
