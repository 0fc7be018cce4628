"""The guide to other tasks: every command names what there is, and those on simulated frames run as written."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from tests.commands.runs import environment, run
from tests.golden import ROOT

GUIDE = ROOT / 'docs/downstream.md'


def commands(kind: str) -> list[list[str]]:
    """Commands of the blocks of a kind, a list of words each."""
    blocks = re.findall(rf'^```{kind}\n(.*?)^```', GUIDE.read_text(), re.M | re.S)
    return [shlex.split(line) for block in blocks for line in block.replace('\\\n', ' ').splitlines()]


def test_every_command_names_files_that_are_there():
    found = [*commands('bash'), *commands('text')]
    assert len(found) == 17
    for words in found:
        assert words[0] == 'python' or words[:2] in (['mim', 'train'], ['mim', 'test'])
        named = [word for word in words if word.startswith(('configs/', 'tools/', 'datasets/', 'docs/'))]
        assert named and all((ROOT / word).is_file() for word in named), words


@pytest.mark.parametrize('tool', ['label_lists', 'downstream_table'])
def test_every_option_is_one_of_its_command(tool: str):
    found = [words for words in [*commands('bash'), *commands('text')] if f'tools/{tool}.py' in words]
    help_text = run([sys.executable, ROOT / f'tools/{tool}.py', '--help']).stdout
    assert found
    options = {word for words in found for word in words if word.startswith('--')}
    assert all(option in help_text for option in options)


def test_links_lead_somewhere():
    for target in re.findall(r'\]\(([^)#]+)', GUIDE.read_text()):
        assert (GUIDE.parent / target).is_file(), target
    heads = {
        line[3:].lower().replace(' ', '-') for line in GUIDE.read_text().splitlines() if line[:3] == '## '
    }
    assert set(re.findall(r'\]\(#([^)]+)', GUIDE.read_text())) <= heads


@pytest.mark.slow
def test_simulated_frames_from_lists_to_figures(tmp_path: Path):
    for name in ('configs', 'tools', 'weights'):
        (tmp_path / name).symlink_to(ROOT / name)
    for words in commands('bash'):
        line = [sys.executable if word == 'python' else word for word in words]
        # what takes long, made short: fewer frames and steps
        line = [
            '80' if before == '--frames' else word for before, word in zip(['', *line], line, strict=False)
        ]
        line = [word.replace('iter_2000', 'iter_4') for word in line]
        if 'tools/train.py' in line:
            line += ['--cfg-options', 'train_cfg.max_iters=4', 'train_cfg.val_interval=2']
        done = subprocess.run(
            line, cwd=tmp_path, env=environment(), capture_output=True, text=True, timeout=1500, check=False
        )
        assert done.returncode == 0, (line, done.stdout[-2000:], done.stderr[-2000:])
    (result,) = (tmp_path / 'work_dirs/circumference_test').glob('*/*.json')
    assert json.loads(result.read_text())['regression/mae'] > 0
    done = run(
        [sys.executable, ROOT / 'tools/downstream_table.py', 'work_dirs', '--part', 'val'], cwd=tmp_path
    )
    assert done.returncode == 0, done.stdout
    assert 'circumference: nano on simulated (regression): in no table of the paper' in done.stdout
    assert 'simulated F1' in done.stdout
