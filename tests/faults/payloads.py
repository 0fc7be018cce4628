"""Pickles that run something when an ordinary reader opens them: each appends a byte to a canary."""

from __future__ import annotations

import io
import os
import pickle
import subprocess
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

CONTAINERS: dict[str, dict[str, Any]] = {
    'zip': {},
    'legacy': {'_use_new_zipfile_serialization': False},
    'protocol4': {'pickle_protocol': 4},
}


class Calls:
    """Pickles as a call of any function."""

    def __init__(self, function: Callable[..., Any], *arguments: Any) -> None:
        self.call = (function, arguments)

    def __reduce__(self) -> tuple[Any, ...]:
        return self.call

    def __call__(self) -> None:
        """Only so that a call may stand where pickle expects a function."""


class SetsState:
    """Pickles as an object whose state is set by a function of the file's choice."""

    def __init__(self, code: str) -> None:
        self.code = code

    def __reduce__(self) -> tuple[Any, ...]:
        return (io.BytesIO, (), self.code, None, None, exec_state)


def exec_state(target: Any, code: str) -> None:
    exec(code)  # noqa: S102 (a payload)


def contents(canary: Path, folder: Path) -> dict[str, Any]:
    """Each payload inside what looks like a checkpoint of a model."""
    append = f"open({str(canary)!r}, 'a').write('x')"
    shell = f'printf x >> {canary}'
    weights = {'layer.weight': torch.ones(4)}
    system = Calls(os.system, shell)
    nested = folder / 'nested.pkl'
    nested.write_bytes(pickle.dumps(Calls(exec, append)))
    (folder / 'payload_module.py').write_text(append, encoding='utf-8')
    getattr_chain = Calls(Calls(getattr, Calls(__import__, 'os'), 'system'), shell)
    return {
        'os.system': {'state_dict': weights, 'meta': system},
        'exec': {'state_dict': {**weights, 'x': Calls(exec, append)}},
        'eval': {'meta': {'epoch': Calls(eval, append)}, 'state_dict': weights},
        'subprocess': {'state_dict': weights, 'meta': Calls(subprocess.check_call, ['sh', '-c', shell])},
        'getattr chain': {'state_dict': weights, 'meta': getattr_chain},
        'optimizer state': {
            'state_dict': weights,
            'optimizer': {'state': {0: {'exp_avg': [system]}}, 'param_groups': []},
        },
        'log history': {'state_dict': weights, 'message_hub': {'log_scalars': {'loss': Calls(exec, append)}}},
        'object array': {'state_dict': weights, 'meta': np.array([Calls(exec, append)], dtype=object)},
        'pickle in a pickle': {'state_dict': weights, 'meta': Calls(pickle.loads, nested.read_bytes())},
        'import of a module': {
            'state_dict': weights,
            'meta': [Calls(exec, 'import sys; sys.path.insert(0, ".")'), Calls(__import__, 'payload_module')],
        },
        'state setter': {'state_dict': weights, 'meta': SetsState(append)},
        'the file itself': Calls(exec, append),
    }


def old_tar(path: Path, canary: Path) -> None:
    """A checkpoint of torch before 0.1.10, with a payload in its pickle."""
    members = {
        'storages': pickle.dumps(0, 2) + pickle.dumps([], 2),
        'tensors': pickle.dumps(0, 2),
        'pickle': pickle.dumps(Calls(exec, f"open({str(canary)!r}, 'a').write('x')"), 2),
    }
    with tarfile.open(path, 'w') as archive:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))


def packed_bomb(path: Path, megabytes: int) -> None:
    """A small zip checkpoint whose one storage unpacks to very much."""
    with zipfile.ZipFile(path, 'w', zipfile.ZIP_DEFLATED) as archive:
        archive.writestr('archive/data.pkl', pickle.dumps({'state_dict': {}}, 2))
        archive.writestr('archive/version', '3\n')
        with archive.open('archive/data/0', 'w', force_zip64=True) as member:
            for _ in range(megabytes):
                member.write(bytes(1 << 20))
