"""What a description file may contain, and that all of them fit together."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

from ultrasam.corpus.catalogue import catalogue_text
from ultrasam.corpus.loading import list_descriptions, load_spec
from ultrasam.corpus.patterns import compiled

ROOT = Path(__file__).resolve().parents[2]
DESCRIPTIONS = list_descriptions(ROOT / 'datasets/us43d')
LIGHT = ('ultrasam.corpus', 'ultrasam.cli.convert', 'ultrasam.errors')
# to share out a file, to open it, and to read it
MOST_FUNCTIONS = 3
STATEMENTS = (ast.Import, ast.ImportFrom, ast.Assign, ast.FunctionDef, ast.If, ast.Expr)


def imported(node: ast.AST) -> list[str]:
    if isinstance(node, ast.ImportFrom):
        return [node.module or '']
    return [alias.name for alias in node.names] if isinstance(node, ast.Import) else []


def faults(text: str) -> list[str]:
    """What in a description is more than data and a few functions."""
    found = []
    tree = ast.parse(text)
    for node in tree.body:
        if not isinstance(node, STATEMENTS):
            found.append(f'line {node.lineno}: {type(node).__name__}')
        if isinstance(node, ast.Expr) and not isinstance(node.value, ast.Constant):
            found.append(f'line {node.lineno}: a call')
        for name in imported(node):
            known = name.startswith(LIGHT) or name.split('.')[0] in sys.stdlib_module_names
            if not known:
                found.append(f'line {node.lineno}: imports {name}')
        if isinstance(node, ast.Assign) and any(isinstance(part, ast.Lambda) for part in ast.walk(node)):
            found.append(f'line {node.lineno}: a lambda')
    functions = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]
    if len(functions) > MOST_FUNCTIONS:
        found.append(f'{len(functions)} functions')
    guards = [node for node in tree.body if isinstance(node, ast.If)]
    ending = ast.unparse(guards[-1]) if guards else ''
    if len(guards) != 1 or ending != "if __name__ == '__main__':\n    run_description(__file__)":
        found.append('does not end in run_description(__file__)')
    return found


@pytest.mark.parametrize('name', DESCRIPTIONS)
def test_is_data_and_few_functions(name: str) -> None:
    assert faults(DESCRIPTIONS[name].read_text(encoding='utf-8')) == []


@pytest.mark.parametrize(
    'text',
    [
        'for n in range(3): pass',
        'import numpy',
        'print(1)',
        'def a(): pass\ndef b(): pass\ndef c(): pass\ndef d(): pass',
        'SPEC = dict(read=lambda item: item)',
        'class A: pass',
    ],
)
def test_control_flow_is_found(text: str) -> None:
    ending = "\nif __name__ == '__main__':\n    run_description(__file__)"
    assert len(faults(text + ending)) == 1


@pytest.mark.parametrize('name', DESCRIPTIONS)
def test_pairs_and_templates_make_sense(name: str) -> None:
    spec = load_spec(DESCRIPTIONS[name])
    assert spec.homepage.startswith(('http://', 'https://'))
    assert spec.citation and spec.access and spec.title and spec.organs and spec.application
    names = compiled(spec.frames.pattern).names
    for annotation in spec.annotations:
        pattern = getattr(annotation, 'pattern', None)
        assert pattern is None or names & compiled(pattern).names, (
            f'{pattern} shares no group with the images'
        )
    spec.as_published()


def test_names_are_unique() -> None:
    names = [load_spec(path).name for path in DESCRIPTIONS.values()]
    assert len({name.casefold() for name in names}) == len(names)


def test_listing_loads_no_large_library() -> None:
    code = (
        'import sys; from pathlib import Path; from ultrasam.cli.convert import run_all; '
        'run_all(Path(sys.argv[1]), ["list"]); '
        'sys.exit(sorted({"torch", "numpy", "cv2", "SimpleITK", "h5py"} & set(sys.modules)))'
    )
    command = [sys.executable, '-c', code, str(ROOT / 'datasets/us43d')]
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    assert run.stderr.strip() == '[]', run.stderr
    assert f'{len(DESCRIPTIONS)} data sets' in run.stdout


def test_readme_is_the_catalogue() -> None:
    written = (ROOT / 'datasets/README.md').read_text(encoding='utf-8')
    specs = {name: load_spec(path) for name, path in DESCRIPTIONS.items()}
    assert written == catalogue_text(specs), 'run: python datasets/convert.py readme > datasets/README.md'
