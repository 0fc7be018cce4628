"""The command line, on real files."""

from __future__ import annotations

import functools
import json
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.inference.readers import faulty
from tests.inference.readers.files import save_dicom
from tests.inference.readers.test_videos import save as save_video
from ultrasam.cli.main import main
from ultrasam.io.readers import IsolatedReader


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
        (['--negative', 3, 4], 'only clicks off the object'),
        (['--box', 1, 1, 9, 9, '--box', 2, 2, 8, 8, '--point', 3, 3], 'which object'),
        (['--box', 9, 1, 1, 9], 'x1 < x2'),
        (['--prompts', 'none.json'], 'none.json'),
    ],
)
def test_wrong_prompts_are_refused_before_any_work(
    folder: Path, checkpoint: Path, tmp_path: Path, capsys, prompt: list, message: str
):
    assert predict(folder, *prompt, '--checkpoint', checkpoint, '--out', tmp_path / 'out') == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / 'out').exists()


def test_times_are_told_and_can_be_silenced(folder: Path, checkpoint: Path, tmp_path: Path, capsys):
    line = [folder / '0.png', '--point', 100, 120, '--checkpoint', checkpoint, '--format', 'mask']
    assert predict(*line, '--out', tmp_path / 'a') == 0
    told = capsys.readouterr()
    found = re.fullmatch(
        r'model loaded in ([\d.]+) s, first mask after ([\d.]+) s, ([\d.]+) s per further prompt '
        r'\(median of 1\), 1 frame done\n',
        told.err,
    )
    assert found and float(found[3]) <= float(found[2]) + 0.01
    assert told.out == f'1 file segmented: {tmp_path / "a"}\n'
    assert predict(*line, '--out', tmp_path / 'b', '--quiet') == 0
    assert capsys.readouterr() == ('', '')
    (folder / 'note.png').write_text('no image')
    assert predict(folder, *line[1:], '--out', tmp_path / 'c', '--quiet') == 3
    printed = capsys.readouterr()
    assert printed.out == '' and printed.err.count('\n') == 1 and 'note.png' in printed.err


def test_progress_counts_frames_of_all_files(folder: Path, checkpoint: Path, tmp_path: Path, capsys):
    frames = [Image.open(folder / '0.png').crop((i, 0, 200, 150)) for i in range(5)]
    frames[0].save(folder / 'cine.tif', save_all=True, append_images=frames[1:])
    # the prompt is outside this one
    Image.open(folder / '0.png').crop((0, 0, 50, 50)).save(folder / 'small.png')
    line = [
        folder,
        '--point',
        100,
        120,
        '--checkpoint',
        checkpoint,
        '--out',
        tmp_path / 'a',
        '--format',
        'mask',
    ]
    assert predict(*line) == 3
    bar = capsys.readouterr().err
    assert 'file 0/5' in bar and '0/5 [' in bar and '/9 [' in bar
    assert re.search(r'file 5/5: 100%.* 8/8 \[', bar)


def test_a_video_says_how_long_it_claims_to_be(checkpoint: Path, tmp_path: Path, capsys):
    line = [save_video(tmp_path / 'a.avi'), '--point', 30, 20, '--checkpoint', checkpoint, '--format', 'csv']
    assert predict(*line, '--out', tmp_path / 'out') == 0
    assert '12/12 [' in capsys.readouterr().err


def test_a_decoder_that_crashes_costs_one_file(
    folder: Path, checkpoint: Path, tmp_path: Path, capsys, monkeypatch
):
    reader = functools.partial(IsolatedReader, opener=faulty.open_frames)
    monkeypatch.setattr('ultrasam.io.readers.IsolatedReader', reader)
    for name in ('crash.dcm', 'good.dcm'):
        save_dicom(folder / name, np.asarray(Image.open(folder / '0.png'))[..., 0])
    code = predict(folder, '--box', 1, 1, 3, 3, '--checkpoint', checkpoint, '--out', tmp_path / 'out',
                   '--format', 'mask')  # fmt: skip
    assert code == 3
    assert 'crash.dcm: the process that decodes it ended (SIGSEGV)' in capsys.readouterr().err
    names = sorted(path.name for path in (tmp_path / 'out/mask').iterdir())
    assert names == ['0.png', '1.png', '2.png', 'crash_0000.png', 'good.png']


@pytest.mark.parametrize(
    'option',
    [('--batch-size', '0'), ('--batch-size', 'many'), ('--read-timeout', '0'), ('--read-timeout', 'x')],
)
def test_impossible_options(folder: Path, tmp_path: Path, capsys, option: tuple[str, str]):
    with pytest.raises(SystemExit) as stop:
        predict(folder, '--point', 3, 3, '--out', tmp_path / 'out', *option)
    assert stop.value.code == 2
    assert option[0] in capsys.readouterr().err


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
