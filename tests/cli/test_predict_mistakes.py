"""Mistakes on the command line are told at once, and a run that is stopped keeps what it has done."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ultrasam.cli.main import main

POINT = ['--point', '30', '40']
LIGHT = """
import sys
from ultrasam.cli.main import main
code = main(sys.argv[1:])
heavy = sorted({'cv2', 'onnxruntime', 'torch', 'mmengine', 'scipy', 'pydicom'} & set(sys.modules))
assert not heavy, heavy
sys.exit(code)
"""


@pytest.fixture
def scans(tmp_path: Path, image: np.ndarray) -> Path:
    folder = tmp_path / 'scans'
    folder.mkdir()
    for i in range(3):
        Image.fromarray(image[:150, i : 150 + i]).save(folder / f'{i}.png')
    return folder


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        (['{scans}/9.png', *POINT], 'nothing to read at: {scans}/9.png'),
        (['{scans}/0.png'], 'no prompt: give --point, --box, or --prompts FILE'),
        (['{scans}/0.png', '--negative', '3', '3'], 'only clicks off the object'),
        (
            ['{scans}/0.png', '--box', '9', '1', '1', '9'],
            'a box [9.0, 1.0, 1.0, 9.0]: give x1 y1 x2 y2 with x1 < x2',
        ),
    ],
)
def test_a_mistake_is_told_before_anything_heavy_is_loaded(scans: Path, tmp_path: Path, arguments, message):
    line = [part.format(scans=scans) for part in arguments]
    done = subprocess.run(
        [sys.executable, '-c', LIGHT, 'predict', *line, '--out', tmp_path / 'out'],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 2, done.stderr
    assert done.stderr.startswith('ultrasam: ' + message.format(scans=scans)) and done.stderr.count('\n') == 1
    assert not (tmp_path / 'out').exists()


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        (['--prompts', '{tmp}/broken.json'], 'broken.json: not valid JSON'),
        (['--prompts', '{tmp}/none.json'], 'none.json: cannot be read (No such file or directory)'),
        ([*POINT, '--prompts', '{tmp}/broken.json'], 'prompts on the line and in a file'),
        ([*POINT, '--device', 'gpu'], "device 'gpu': use cpu, cuda, cuda:1 (the second GPU) or mps"),
        ([*POINT, '--config', '{tmp}/config.py', '--device', 'gpu'], "device 'gpu': use cpu, cuda, cuda:1"),
        ([*POINT, '--config', '{tmp}/config.py', '--weights', '{tmp}/none.pth'], 'none.pth: no such file'),
        ([*POINT, '--config', '{tmp}/config.py', '--engine', 'onnx'], 'leave out --engine onnx'),
        ([*POINT, '--config', '{tmp}/none.py'], 'none.py: no such config'),
        ([*POINT, '--device', 'cuda:99'], "no device 'cuda:99' on this machine"),
        ([*POINT, '--weights', '{tmp}/none.pth'], 'none.pth: no such file'),
        ([*POINT, '--engine', 'onnx', '--precision', 'bf16'], 'the onnx engine has no precision bf16'),
    ],
)
def test_other_mistakes_exit_with_2(scans: Path, tmp_path: Path, capsys, arguments, message):
    (tmp_path / 'broken.json').write_text('{"a.png": [')
    (tmp_path / 'config.py').write_text('')
    line = [part.format(tmp=tmp_path) for part in arguments]
    assert main(['predict', str(scans), *line, '--out', str(tmp_path / 'out')]) == 2
    assert message in capsys.readouterr().err


def test_a_second_run_leaves_its_own_results_alone(scans: Path, capsys):
    line = ['predict', str(scans), *POINT, '--out', str(scans / 'result')]
    assert main(line) == 0
    before = {path: path.read_bytes() for path in (scans / 'result').rglob('*.*')}
    assert len(before) == 3 + 3 + 1
    assert main([*line, '--overwrite']) == 0
    assert {path: path.read_bytes() for path in (scans / 'result').rglob('*.*')} == before
    assert main([*line[:1], str(scans / 'result/overlay'), *line[2:], '--overwrite']) == 2
    assert 'lies where the results go: choose another output folder' in capsys.readouterr().err


def test_results_beside_the_inputs_are_no_inputs(scans: Path):
    line = ['predict', str(scans), *POINT, '--out', str(scans), '--overwrite', '--format', 'overlay', 'coco']
    assert main(line) == main(line) == 0
    assert len(json.loads((scans / 'coco.json').read_text())['images']) == 3


def test_a_prompt_file_with_a_byte_order_mark(scans: Path, tmp_path: Path):
    content = json.dumps({f'{i}.png': [{'points': [[30, 40]]}] for i in range(3)})
    (tmp_path / 'prompts.json').write_text(content, encoding='utf-8-sig')
    line = [
        'predict',
        str(scans),
        '--prompts',
        str(tmp_path / 'prompts.json'),
        '--out',
        str(tmp_path / 'out'),
    ]
    assert main(line) == 0


def test_clicks_off_the_object_alone_are_refused_everywhere(scans: Path, tmp_path: Path, capsys):
    entry = {'points': [[30, 40]], 'labels': [0]}
    (tmp_path / 'prompts.json').write_text(json.dumps({'0.png': [entry]}))
    line = ['predict', str(scans / '0.png'), '--prompts', str(tmp_path / 'prompts.json')]
    assert main([*line, '--out', str(tmp_path / 'out')]) == 2
    assert '0.png, object 0: only clicks off the object' in capsys.readouterr().err


def test_ctrl_c_keeps_what_is_done(tmp_path: Path, image: np.ndarray):
    folder = tmp_path / 'in'
    folder.mkdir()
    Image.fromarray(image).save(folder / '000.png')
    for i in range(1, 400):
        (folder / f'{i:03}.png').hardlink_to(folder / '000.png')
    out = tmp_path / 'out'
    command = [sys.executable, '-m', 'ultrasam.cli', 'predict', folder, *POINT, '--out', out]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    while process.poll() is None and len(list((out / 'mask').glob('*.png'))) < 2:
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    _, told = process.communicate(timeout=60)
    assert process.returncode == 130, told
    assert 'Traceback' not in told
    rows = (out / 'measurements.csv').read_text().splitlines()[1:]
    assert 2 <= len(rows) < 400
    assert (
        told.splitlines()[-1]
        == f'stopped: {len(rows)} of 400 frames are done and kept in {out}, tables included'
    )
    assert {path.name for path in (out / 'mask').iterdir()} == {Path(row.split(',')[0]).name for row in rows}


@pytest.mark.parametrize('command', ['predict', 'info', 'weights', 'browse'])
def test_every_command_has_help(command: str, capsys):
    with pytest.raises(SystemExit) as stop:
        main([command, '--help'])
    assert stop.value.code == 0
    assert command in capsys.readouterr().out
