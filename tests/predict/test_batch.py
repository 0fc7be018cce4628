"""Many files: the same results whatever the batches, and a bad file costs itself."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.inference.writers.conftest import files_in
from tests.predict.test_encoding import Crowded
from ultrasam import UltraSamInferencer
from ultrasam.errors import PromptError
from ultrasam.io.readers import IsolatedReader, open_frames
from ultrasam.io.writers import ResultWriter
from ultrasam.predict.batch import RunProgress, RunReport, look_at_files, segment_files
from ultrasam.structures import ObjectPrompt

PROMPTS = [ObjectPrompt(box_xyxy=(20, 30, 90, 100)), ObjectPrompt(points_xy=[(60, 60)])]


@pytest.fixture(scope='module')
def inferencer(checkpoint: Path) -> UltraSamInferencer:
    return UltraSamInferencer(checkpoint, device='cpu')


@pytest.fixture
def inputs(tmp_path: Path, image: np.ndarray) -> list[Path]:
    """Twelve files: pictures of several sizes, one small for the prompts, one of three pages."""
    root = tmp_path / 'in'
    root.mkdir()
    for i in range(12):
        Image.fromarray(image[: 150 + 7 * i, 10 * i : 10 * i + 200]).save(root / f'{i:02}.png')
    Image.fromarray(image[:25, :25]).save(root / '03.png')
    pages = [Image.fromarray(image[i : i + 130, :140]) for i in range(3)]
    (root / '05.png').unlink()
    pages[0].save(root / '05.tif', save_all=True, append_images=pages[1:])
    return sorted(root.iterdir())


def run(inferencer, inputs, out: Path, *formats: str, **options) -> RunReport:
    with IsolatedReader() as reader, ResultWriter(out, formats=formats or ['mask']) as writer:
        files, _ = look_at_files(inputs)
        writer.plan(files)
        return segment_files(inferencer, list(files), lambda _: PROMPTS, writer, reader=reader, **options)


@pytest.mark.parametrize('propagate', [False, True])
def test_batches_of_files_give_what_single_ones_give(inferencer, inputs, tmp_path: Path, propagate: bool):
    reports = {
        size: run(inferencer, inputs, tmp_path / str(size), batch_size=size, propagate=propagate)
        for size in (1, 5, None)
    }
    names = files_in(tmp_path / '1')
    assert len(names) == 13 and 'mask/05_0002.png' in names
    for size, report in reports.items():
        assert [fault.path.name for fault in report.faults] == ['03.png']
        assert 'outside the image of 25 x 25' in report.faults[0].message
        assert report.frames == len(report.answer_s) == 13
        assert files_in(tmp_path / str(size)) == names
        for name in names:
            single, batched = (np.asarray(Image.open(tmp_path / str(s) / name)) for s in (1, size))
            assert single.shape == batched.shape and single.any(), name
            # a logit next to zero may fall to either side by rounding
            assert (single != batched).mean() < 2e-4, name


def test_a_file_that_breaks_in_the_middle_loses_only_itself(inferencer, inputs, tmp_path: Path):
    broken = inputs[7]

    def prompts_of(path: Path):
        if path == inputs[5]:
            broken.write_bytes(broken.read_bytes()[:-3000])
        if path == inputs[9]:
            raise PromptError('no entry for it')
        return PROMPTS

    told = []

    class Progress(RunProgress):
        def frame_done(self, path: Path) -> None:
            told.append(path.name)

        def file_done(self, path: Path, frames: int) -> None:
            told.append((path.name, frames))

    with IsolatedReader() as reader, ResultWriter(tmp_path / 'out', formats=['csv', 'mask']) as writer:
        writer.plan(look_at_files(inputs)[0])
        report = segment_files(
            inferencer, inputs, prompts_of, writer, reader=reader, batch_size=20, progress=Progress()
        )
    assert [fault.path for fault in report.faults] == [inputs[3], broken, inputs[9]]
    assert report.faults[2].message == f'{inputs[9]}: no entry for it'
    rows = (tmp_path / 'out/measurements.csv').read_text().splitlines()
    assert len(rows) == 1 + 2 * 11
    expected = []
    for path in inputs:
        frames = {3: 0, 5: 3, 7: 0, 9: 0}.get(int(path.stem), 1)
        expected += [path.name] * frames + [(path.name, frames)]
    assert told == expected


def test_memory_that_runs_out_costs_one_file(inferencer, inputs, tmp_path: Path, monkeypatch):
    def encode_batch(images):
        if any(image.shape[0] == 150 + 7 * 8 for image in images):
            raise RuntimeError('CUDA out of memory. Tried to allocate 20 GiB')
        return UltraSamInferencer.encode_batch(inferencer, images)

    def decode(encoded, *arguments, **options):
        if encoded.geometry.original_hw[0] == 150 + 7 * 10:
            raise MemoryError
        return UltraSamInferencer.decode(inferencer, encoded, *arguments, **options)

    monkeypatch.setattr(inferencer, 'encode_batch', encode_batch)
    monkeypatch.setattr(inferencer, 'decode', decode)
    report = run(inferencer, inputs, tmp_path / 'out', batch_size=4)
    assert [fault.path.name for fault in report.faults] == ['03.png', '08.png', '10.png']
    assert all('not enough memory' in fault.message for fault in report.faults[1:])
    assert len(files_in(tmp_path / 'out')) == 11


def test_large_frames_do_not_pile_up(inferencer, inputs, tmp_path: Path, monkeypatch):
    sizes = []
    monkeypatch.setattr('ultrasam.predict.batch._WAITING_BYTES', 300_000)
    crowded = Crowded(99, MemoryError())

    def encode_batch(images):
        sizes.append(sum(image.nbytes for image in images))
        crowded.encode_batch(images)
        return UltraSamInferencer.encode_batch(inferencer, images)

    monkeypatch.setattr(inferencer, 'encode_batch', encode_batch)
    run(inferencer, inputs, tmp_path / 'out', batch_size=50)
    largest = max((150 + 7 * i) * 200 * 3 for i in range(12))
    assert max(sizes) < 300_000 + largest and max(crowded.sizes) > 1


def test_times(inferencer, inputs, tmp_path: Path):
    report = run(inferencer, inputs[:3], tmp_path / 'out', batch_size=2)
    assert 0 < report.answer_s[0] < report.first_mask_s
    assert report.further_prompt_s == pytest.approx(sum(report.answer_s[1:]) / 2)
    assert RunReport().further_prompt_s is None
    assert RunReport(answer_s=[0.5]).further_prompt_s == 0.5


def test_files_are_looked_at_before_any_work(inputs, tmp_path: Path):
    (tmp_path / 'note.png').write_text('no image')
    files, faults = look_at_files([*inputs, tmp_path / 'note.png', tmp_path / 'none.png'])
    assert files == {path: path.name == '05.tif' for path in inputs}
    assert [fault.path.name for fault in faults] == ['note.png', 'none.png']


def test_each_input_is_opened_once(inferencer, inputs, tmp_path: Path, monkeypatch):
    opened = []

    def open_noted(reader, path: Path):
        opened.append(path)
        return open_frames(path)

    monkeypatch.setattr(IsolatedReader, 'open', open_noted)
    run(inferencer, inputs, tmp_path / 'out')
    assert opened == inputs
