"""The command line, on real files."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ultrasam.cli.main import main


@pytest.fixture
def folder(tmp_path: Path, image: np.ndarray) -> Path:
    """Three images."""
    root = tmp_path / 'in'
    root.mkdir()
    for i in range(3):
        Image.fromarray(image[: 200 + 20 * i, :300]).save(root / f'{i}.png')
    return root


def predict(*arguments: object) -> int:
    return main(['predict', '--device', 'cpu', *map(str, arguments)])


def test_one_click(folder: Path, checkpoint: Path, tmp_path: Path):
    out = tmp_path / 'out'
    code = predict(folder / '0.png', '--point', 100, 120, '--checkpoint', checkpoint, '--out', out)
    assert code == 0
    assert Image.open(out / 'mask/0.png').size == (300, 200)
    assert (out / 'overlay/0.png').is_file()
    assert len((out / 'measurements.csv').read_text().splitlines()) == 2


def test_a_bad_file_is_named_and_the_others_are_done(folder: Path, checkpoint: Path, tmp_path: Path, capsys):
    (folder / 'broken.png').write_bytes((folder / '0.png').read_bytes()[:2000])
    out = tmp_path / 'out'
    code = predict(
        folder, '--box', 20, 30, 90, 100, '--checkpoint', checkpoint, '--out', out, '--format', 'mask'
    )
    assert code == 3
    assert sorted(path.name for path in (out / 'mask').iterdir()) == ['0.png', '1.png', '2.png']
    printed = capsys.readouterr()
    assert 'broken.png' in printed.err
    assert '3 files segmented' in printed.out


def test_prompts_of_a_file(folder: Path, checkpoint: Path, tmp_path: Path, capsys):
    prompts = {
        '0.png': [{'box': [20, 30, 90, 100]}, {'points': [[50, 60], [9, 9]], 'labels': [1, 0]}],
        '1.png': [{'points': [[50, 60]]}],
    }
    (tmp_path / 'prompts.json').write_text(json.dumps(prompts))
    out = tmp_path / 'out'
    code = predict(folder, '--prompts', tmp_path / 'prompts.json', '--checkpoint', checkpoint, '--out', out,
                   '--format', 'coco')  # fmt: skip
    assert code == 3
    assert '2.png' in capsys.readouterr().err
    coco = json.loads((out / 'coco.json').read_text())
    assert [len([a for a in coco['annotations'] if a['image_id'] == i['id']]) for i in coco['images']] == [
        2,
        1,
    ]


def test_results_are_not_overwritten(folder: Path, checkpoint: Path, tmp_path: Path, capsys):
    line = [folder / '0.png', '--point', 100, 120, '--checkpoint', checkpoint, '--out', tmp_path / 'out']
    assert predict(*line) == 0
    before = (tmp_path / 'out/mask/0.png').stat().st_mtime_ns
    assert predict(*line) == 4
    assert '--overwrite' in capsys.readouterr().err
    assert (tmp_path / 'out/mask/0.png').stat().st_mtime_ns == before
    assert predict(*line, '--overwrite') == 0


def test_frames_carry_their_masks_along(checkpoint: Path, tmp_path: Path, image: np.ndarray):
    frames = [Image.fromarray(image[:128, i : 128 + i]) for i in range(4)]
    frames[0].save(tmp_path / 'cine.tif', save_all=True, append_images=frames[1:])
    line = [tmp_path / 'cine.tif', '--box', 20, 30, 90, 100, '--checkpoint', checkpoint, '--format', 'mask']
    assert predict(*line, '--out', tmp_path / 'carried', '--propagate') == 0
    assert predict(*line, '--out', tmp_path / 'each') == 0
    carried, each = (
        [np.asarray(Image.open(path)) for path in sorted((tmp_path / name / 'mask').iterdir())]
        for name in ('carried', 'each')
    )
    assert len(carried) == len(each) == 4
    assert np.array_equal(carried[0], each[0])
    assert not all(np.array_equal(a, b) for a, b in zip(carried[1:], each[1:], strict=True))


@pytest.mark.parametrize(
    'prompt, message',
    [
        ([], 'no prompt'),
        (['--negative', 3, 4], 'no prompt'),
        (['--box', 1, 1, 9, 9, '--box', 2, 2, 8, 8, '--point', 3, 3], 'which object'),
        (['--box', 9, 1, 1, 9], 'x1 < x2'),
        (['--prompts', 'none.json'], 'none.json'),
    ],
)
def test_wrong_prompts_are_refused_before_any_work(
    folder: Path, checkpoint: Path, tmp_path: Path, capsys, prompt: list, message: str
):
    assert predict(folder, *prompt, '--checkpoint', checkpoint, '--out', tmp_path / 'out') == 4
    assert message in capsys.readouterr().err
    assert not (tmp_path / 'out').exists()


def test_info(checkpoint: Path, capsys):
    assert main(['info', str(checkpoint)]) == 0
    text = capsys.readouterr().out
    assert 'embed_dims 32' in text
    assert 'Apache-2.0' in text
    assert 'doubled' in text


def test_help_has_examples(capsys):
    with pytest.raises(SystemExit) as stop:
        main(['predict', '--help'])
    assert stop.value.code == 0
    assert 'ultrasam predict frame.png --point' in capsys.readouterr().out
