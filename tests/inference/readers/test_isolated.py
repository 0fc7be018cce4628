"""Files that are decoded in another process: the same frames, and nothing that happens there ends the run."""

from __future__ import annotations

import gc
import logging
import os
import signal
import threading
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from tests.inference.readers import faulty
from tests.inference.readers.files import ramp, save_dicom
from tests.inference.readers.test_videos import save as save_video
from ultrasam.errors import InputError
from ultrasam.io.readers import IsolatedReader, open_frames


@pytest.fixture(scope='module')
def reader() -> Iterator[IsolatedReader]:
    with IsolatedReader(axis=1) as shared:
        yield shared


@pytest.fixture(scope='module')
def faulty_reader() -> Iterator[IsolatedReader]:
    with IsolatedReader(opener=faulty.open_frames, timeout_s=20, memory_bytes=2_000_000_000) as shared:
        yield shared


def volume(path: Path) -> Path:
    sitk = pytest.importorskip('SimpleITK', reason='needs the extra volume')
    image = sitk.GetImageFromArray(np.arange(5 * 6 * 7, dtype=np.int16).reshape(5, 6, 7))
    image.SetSpacing((0.2, 0.3, 1.5))
    image.SetOrigin((1.0, -2.0, 1 / 3))
    sitk.WriteImage(image, str(path))
    return path


def loop(path: Path) -> Path:
    pixels = np.stack([ramp() + i for i in range(3)]).astype(np.uint16)
    return save_dicom(path, pixels, PixelSpacing=[0.1, 1 / 3])


@pytest.mark.parametrize('name', ['a.dcm', 'a.nii.gz', 'a.avi', 'a.png'])
def test_frames_are_those_of_this_process(reader: IsolatedReader, tmp_path: Path, name: str):
    path = tmp_path / name
    if name == 'a.png':
        Image.fromarray(ramp()).save(path)
    else:
        {'a.dcm': loop, 'a.nii.gz': volume, 'a.avi': save_video}[name](path)
    with reader.open(path) as there, open_frames(path, axis=1) as here:
        assert (there.kind, there.size_hw, len(there)) == (here.kind, here.size_hw, len(here))
        assert there.stated_count == here.stated_count
        for ours, theirs in zip(here, there, strict=True):
            assert np.array_equal(ours.image, theirs.image)
            assert theirs.image.flags.c_contiguous and theirs.image.flags.writeable
            assert (ours.index, ours.source, ours.spacing_mm) == (theirs.index, path, theirs.spacing_mm)
            assert ours.geometry == theirs.geometry
        last = len(here) - 1
        assert np.array_equal(there.frame(last).image, here.frame(last).image)
        assert [(a.index, b.index) for a, b in zip(there, there, strict=True)] == [
            (i, i) for i in range(last + 1)
        ]
        with pytest.raises(InputError, match=f'no frame {last + 1}'):
            there.frame(last + 1)


def worker_of(reader: IsolatedReader) -> int:
    """Process ID of the worker of a reader that opened a file."""
    return reader._pool.schedule(os.getpid).result()


def test_one_process_for_files_in_turn_and_side_by_side(tmp_path: Path):
    paths = [save_dicom(tmp_path / f'{i}.dcm', ramp() // (i + 1)) for i in range(3)]
    with IsolatedReader() as reader:
        workers = set()
        for path in paths:
            with reader.open(path) as frames:
                assert frames.frame(0).size_hw == (12, 16)
            workers.add(worker_of(reader))
        with reader.open(paths[0]) as first, reader.open(paths[1]) as second:
            for _ in range(2):
                assert np.array_equal(first.frame(0).image[..., 0], ramp())
                assert np.array_equal(second.frame(0).image[..., 0], ramp() // 2)
        workers.add(worker_of(reader))
    assert len(workers) == 1
    with pytest.raises(ProcessLookupError):
        os.kill(workers.pop(), 0)


def test_unreadable_files_are_named_and_the_process_stays(reader: IsolatedReader, tmp_path: Path):
    pixelless = save_dicom(tmp_path / 'report.dcm', ramp())
    import pydicom

    dataset = pydicom.dcmread(pixelless)
    del dataset.PixelData
    dataset.save_as(pixelless)
    reader.open(save_dicom(tmp_path / 'a.dcm', ramp())).close()
    worker = worker_of(reader)
    with pytest.raises(InputError, match=r'report\.dcm: a DICOM file without pixel data'):
        reader.open(pixelless)
    with pytest.raises(InputError, match=r'none\.dcm'):
        reader.open(tmp_path / 'none.dcm')
    assert worker_of(reader) == worker


@pytest.mark.parametrize(
    ('name', 'message'),
    [
        ('crash', r'the process that decodes it ended \(SIGSEGV\)'),
        ('leave', r'the process that decodes it ended \(exit code 3\)'),
        ('eat', 'not enough memory to read it'),
        ('slip', 'cannot be read .KeyError'),
    ],
)
def test_what_goes_wrong_there_costs_one_file(
    faulty_reader: IsolatedReader, tmp_path: Path, name: str, message: str
):
    path, sound = save_dicom(tmp_path / f'{name}.dcm', ramp()), save_dicom(tmp_path / 'a.dcm', ramp())
    with faulty_reader.open(path) as frames:
        seen = []
        with pytest.raises(InputError, match=rf'{name}\.dcm: {message}'):
            seen.extend(frame.index for frame in frames)
    gc.collect()
    with faulty_reader.open(sound) as frames:
        assert np.array_equal(frames.frame(0).image[..., 0], ramp())


def test_silence_is_given_up(tmp_path: Path):
    path = save_dicom(tmp_path / 'hang.dcm', ramp())
    with IsolatedReader(opener=faulty.open_frames, timeout_s=2) as reader:
        with reader.open(path) as frames:
            frames.frame(0)
            worker = worker_of(reader)
            with pytest.raises(InputError, match=r'hang\.dcm: gave no answer for 2 s'):
                frames.frame(1)
            with pytest.raises(InputError, match='Open it again'):
                frames.frame(0)
        assert worker_of(reader) != worker
        with pytest.raises(ProcessLookupError):
            os.kill(worker, 0)


def test_process_that_is_killed_at_work(faulty_reader: IsolatedReader, tmp_path: Path):
    with faulty_reader.open(save_dicom(tmp_path / 'hang.dcm', ramp())) as frames:
        killer = threading.Timer(0.5, os.kill, [worker_of(faulty_reader), signal.SIGKILL])
        killer.start()
        with pytest.raises(InputError, match=r'hang\.dcm: .*SIGKILL.*out of memory'):
            frames.frame(1)


def test_process_that_is_killed_while_it_waits(tmp_path: Path):
    path = save_video(tmp_path / 'a.avi')
    with IsolatedReader() as reader:
        with reader.open(path) as frames:
            os.kill(worker_of(reader), signal.SIGKILL)
            with pytest.raises(InputError, match=r'a\.avi: the process that decodes it ended'):
                list(frames)
        with reader.open(path) as frames:
            assert len(list(frames)) == 12


def test_what_libraries_print_is_no_frame(faulty_reader: IsolatedReader, tmp_path: Path, capfd):
    with faulty_reader.open(save_dicom(tmp_path / 'talk.dcm', ramp())) as frames:
        assert [frame.index for frame in frames] == [0, 1]
    assert 'a library that prints' not in capfd.readouterr().out


def test_warnings_of_readers_arrive(reader: IsolatedReader, tmp_path: Path, caplog: pytest.LogCaptureFixture):
    path = save_video(tmp_path / 'a.avi')
    data = bytearray(path.read_bytes())
    for tag, offset in ((b'avih', 24), (b'strh', 40)):
        place = data.find(tag) + offset
        data[place : place + 4] = (900).to_bytes(4, 'little')
    path.write_bytes(data)
    if cv2.VideoCapture(str(path)).get(cv2.CAP_PROP_FRAME_COUNT) != 900:
        pytest.skip('this OpenCV does not believe the header')
    with caplog.at_level(logging.WARNING), reader.open(path) as frames:
        assert frames.stated_count == 900 and len(frames) == 12
    assert 'a.avi: 12 of the 900 frames' in caplog.text


def test_names_in_any_bytes(reader: IsolatedReader, tmp_path: Path):
    path = tmp_path / os.fsdecode(b'h\xe4mangiom \xff.dcm')
    save_dicom(tmp_path / 'a.dcm', ramp()).rename(path)
    with reader.open(path) as frames:
        assert np.array_equal(frames.frame(0).image[..., 0], ramp())


def test_the_process_needs_no_deep_learning_library(reader: IsolatedReader, tmp_path: Path):
    with reader.open(loop(tmp_path / 'a.dcm')) as frames:
        frames.frame(0)
        mapped = Path(f'/proc/{worker_of(reader)}/maps')
        if not mapped.exists():
            pytest.skip('this system does not tell what a process has loaded')
        assert 'libtorch' not in mapped.read_text()


def test_a_file_that_is_closed(reader: IsolatedReader, tmp_path: Path):
    frames = reader.open(save_dicom(tmp_path / 'a.dcm', ramp()))
    frames.close()
    frames.close()
    with pytest.raises(InputError, match='is closed'):
        frames.frame(0)
