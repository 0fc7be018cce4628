"""Running a pickle after all: only the very bytes that were named."""

from __future__ import annotations

import logging
import os
from pathlib import Path
from typing import Any

import pytest
import torch

from ultrasam.checkpoints import load_checkpoint_file
from ultrasam.checkpoints.trust import VARIABLE, trust_pickles, trusted_digests
from ultrasam.errors import CheckpointError
from ultrasam.hashing import file_sha256

from .test_unsafe_files import Calls


@pytest.fixture(autouse=True)
def no_trust(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, '')


@pytest.fixture
def pickled(tmp_path: Path) -> Path:
    path = tmp_path / 'weights.pth'
    torch.save({'a': torch.ones(1), 'b': Calls(os.mkdir, str(tmp_path / 'ran'))}, path)
    return path


def test_only_the_bytes_that_were_named_run(
    pickled: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with pytest.raises(CheckpointError, match='--trust-pickle SHA256'):
        load_checkpoint_file(pickled)
    trust_pickles(['0' * 64])
    with pytest.raises(CheckpointError, match='nothing was executed'):
        load_checkpoint_file(pickled)
    assert not (tmp_path / 'ran').exists()
    digest = file_sha256(pickled)
    trust_pickles([digest.upper()])
    assert trusted_digests() == {'0' * 64, digest}, 'one trust adds to another'
    with caplog.at_level(logging.WARNING):
        assert load_checkpoint_file(pickled)['a'] == 1
    assert (tmp_path / 'ran').exists() and 'RUNNING CODE' in caplog.text and digest in caplog.text
    (tmp_path / 'ran').rmdir()
    assert load_checkpoint_file(pickled, map_location='meta')['a'].is_meta
    (tmp_path / 'ran').rmdir()
    pickled.write_bytes(pickled.read_bytes() + b' ')
    with pytest.raises(CheckpointError):
        load_checkpoint_file(pickled)
    assert not (tmp_path / 'ran').exists()


def test_safe_files_are_read_safely_even_if_trusted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / 'weights.pth'
    torch.save({'a': torch.ones(1)}, path)
    trust_pickles([file_sha256(path)])
    load = torch.load

    def only_safely(*args: Any, weights_only: bool, **options: Any) -> Any:
        assert weights_only, 'the file was run'
        return load(*args, weights_only=weights_only, **options)

    monkeypatch.setattr(torch, 'load', only_safely)
    assert load_checkpoint_file(path)['a'] == 1


@pytest.mark.parametrize('value', ['*', 'all', '1', '0' * 63, '0' * 65, 'weights.pth', 'g' * 64])
def test_there_is_no_wildcard(pickled: Path, monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    with pytest.raises(CheckpointError, match='no sha256'):
        trust_pickles([value])
    monkeypatch.setenv(VARIABLE, value)
    with pytest.raises(CheckpointError, match=f'{VARIABLE}.*no sha256'):
        load_checkpoint_file(pickled)


def test_trusted_file_that_torch_cannot_read_is_explained(tmp_path: Path) -> None:
    path = tmp_path / 'weights.pth'
    torch.save({'b': Calls(os.mkdir, str(tmp_path / 'no' / 'such' / 'folder'))}, path)
    trust_pickles([file_sha256(path)])
    with pytest.raises(CheckpointError, match='is trusted, but torch cannot read it'):
        load_checkpoint_file(path)
