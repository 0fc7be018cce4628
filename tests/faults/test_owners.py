"""Each dangerous call has owners; everywhere else it is forbidden."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PLACES = ('ultrasam', 'tools', 'weights', 'datasets', 'benchmarks', 'configs', 'sample_dataset', 'packaging')

NOBODY: frozenset[str] = frozenset()
OWNERS: dict[str, frozenset[str]] = {
    # Run what a file says.
    'torch.load': frozenset({'ultrasam/checkpoints/reader.py', 'ultrasam/checkpoints/trust.py'}),
    'torch.jit.load': NOBODY,
    'torch.hub.load': NOBODY,
    'torch.hub.load_state_dict_from_url': NOBODY,
    'torch.package.PackageImporter': NOBODY,
    'pickle.load': NOBODY,
    'pickle.loads': NOBODY,
    'pickle.Unpickler': NOBODY,
    'marshal.load': NOBODY,
    'marshal.loads': NOBODY,
    'shelve.open': NOBODY,
    'joblib.load': NOBODY,
    'dill.load': NOBODY,
    'dill.loads': NOBODY,
    'pandas.read_pickle': NOBODY,
    'mmengine.load': NOBODY,
    'mmengine.fileio.load': NOBODY,
    'yaml.load': NOBODY,
    'yaml.unsafe_load': NOBODY,
    'yaml.full_load': NOBODY,
    'eval': NOBODY,
    'exec': NOBODY,
    'os.system': NOBODY,
    'os.popen': NOBODY,
    'safetensors.torch.load_file': NOBODY,
    # Write where an archive says.
    'shutil.unpack_archive': NOBODY,
    '*.extractall': frozenset({'ultrasam/corpus/archive.py'}),
    # Read a damaged or turned image without a word.
    'cv2.imread': NOBODY,
    'mmcv.imread': NOBODY,
}


def calls(source: str) -> Iterator[tuple[str, ast.Call]]:
    """Dotted names of everything that a module calls, whatever it was imported as."""
    tree = ast.parse(source)
    names: dict[str, str] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names.update(
                {
                    a.asname or a.name.split('.')[0]: a.name if a.asname else a.name.split('.')[0]
                    for a in node.names
                }
            )
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names.update({a.asname or a.name: f'{node.module}.{a.name}' for a in node.names})
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            parts, target = [], node.func
            while isinstance(target, ast.Attribute):
                parts.append(target.attr)
                target = target.value
            first = names.get(target.id, target.id) if isinstance(target, ast.Name) else '*'
            yield '.'.join([first, *reversed(parts)]), node


def offences(source: str, file: str) -> list[str]:
    """Forbidden calls of a file."""
    found = []
    for name, node in calls(source):
        method = f'*.{name.rsplit(".", 1)[-1]}'
        for forbidden in {name, method} & set(OWNERS):
            if file not in OWNERS[forbidden]:
                found.append(f'{file}:{node.lineno}: {name}')
        keywords = {k.arg: getattr(k.value, 'value', None) for k in node.keywords}
        if keywords.get('allow_pickle') or (name.startswith('subprocess.') and keywords.get('shell')):
            found.append(f'{file}:{node.lineno}: {name} with allow_pickle or shell')
    return found


def sources() -> list[Path]:
    return [path for place in PLACES for path in sorted((ROOT / place).rglob('*.py'))]


def test_dangerous_calls_have_owners() -> None:
    files = sources()
    assert len(files) > 80, 'the project was found'
    found = [
        line for path in files for line in offences(path.read_text('utf-8'), str(path.relative_to(ROOT)))
    ]
    assert not found, '\n'.join(found)


def test_owners_still_call_what_they_own() -> None:
    for name, owners in OWNERS.items():
        for owner in owners:
            called = {call for call, _ in calls((ROOT / owner).read_text('utf-8'))}
            assert any(call == name or (name[0] == '*' and call.endswith(name[1:])) for call in called), (
                name,
                owner,
            )


@pytest.mark.parametrize(
    'source',
    [
        'import torch\ntorch.load(path)',
        'import torch as t\nt.load(path)',
        'from torch import load as read\nread(path)',
        'import pickle\npickle.loads(b"")',
        'from pickle import Unpickler\nUnpickler(f).load()',
        'import tarfile\ntarfile.open(path).extractall(folder)',
        'import shutil\nshutil.unpack_archive(path)',
        'import cv2\ncv2.imread(path)',
        'import yaml\nyaml.load(text)',
        'eval(text)',
        'exec(text)',
        'import numpy as np\nnp.load(path, allow_pickle=True)',
        'import subprocess\nsubprocess.run(text, shell=True)',
    ],
)
def test_the_lint_sees(source: str) -> None:
    assert offences(source, 'ultrasam/somewhere.py')


def test_the_lint_lets_pass_what_is_harmless() -> None:
    assert not offences(
        'import json\njson.load(file)\nmodel.eval()\nmodel.load(path)', 'ultrasam/somewhere.py'
    )
