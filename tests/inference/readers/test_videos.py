from __future__ import annotations

import logging
from pathlib import Path

import cv2
import numpy as np
import pytest

from ultrasam.errors import InputError
from ultrasam.io.readers import open_frames

CODECS = {'avi': 'MJPG', 'mkv': 'MJPG', 'mp4': 'mp4v', 'mov': 'mp4v'}
COUNT = 12


def frame_rgb(index: int) -> np.ndarray:
    """Red rises with the index, blue is constant; a bright bar marks the top."""
    image = np.zeros((48, 64, 3), np.uint8)
    image[..., 0], image[..., 2] = 20 * index, 100
    image[:8] = 255
    return image


def save(path: Path, count: int = COUNT) -> Path:
    codec = cv2.VideoWriter_fourcc(*CODECS[path.suffix[1:]])
    writer = cv2.VideoWriter(str(path), cv2.CAP_FFMPEG, codec, 10.0, (64, 48))
    if not writer.isOpened():
        pytest.skip(f'this OpenCV cannot write {path.suffix}')
    for index in range(count):
        writer.write(frame_rgb(index)[..., ::-1])
    writer.release()
    return path


@pytest.mark.parametrize('suffix', sorted(CODECS))
def test_frames_in_order_and_in_rgb(tmp_path: Path, suffix: str) -> None:
    with open_frames(save(tmp_path / f'a.{suffix}')) as frames:
        assert frames.kind == 'video' and frames.size_hw == (48, 64) and len(frames) == COUNT
        seen = list(frames)
        assert [frame.index for frame in seen] == list(range(COUNT))
        for frame in seen:
            assert frame.image.shape == (48, 64, 3) and frame.image.flags.c_contiguous
            assert frame.spacing_mm is None and frame.geometry is None
            assert np.abs(frame.image[20, 30].astype(int) - (20 * frame.index, 0, 100)).max() <= 8
            assert frame.image[2].min() > 200


@pytest.mark.parametrize('suffix', ['avi', 'mp4'])
def test_any_frame_in_any_order(tmp_path: Path, suffix: str) -> None:
    with open_frames(save(tmp_path / f'a.{suffix}')) as frames:
        images = [frame.image for frame in frames]
        for index in (5, 6, 2, 11, 0):
            assert np.array_equal(frames.frame(index).image, images[index])
        with pytest.raises(InputError, match='no frame 12'):
            frames.frame(12)


def test_two_passes_do_not_disturb_each_other(tmp_path: Path) -> None:
    with open_frames(save(tmp_path / 'a.avi')) as frames:
        pairs = list(zip(frames, frames, strict=True))
        frames.frame(3)
    assert all(first.index == second.index for first, second in pairs) and len(pairs) == COUNT


def test_recording_cut_short_gives_what_decodes(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = save(tmp_path / 'a.avi')
    data = path.read_bytes()
    frames_at = data.find(b'movi')
    path.write_bytes(data[: frames_at + (data.find(b'idx1') - frames_at) * 6 // 10])
    with caplog.at_level(logging.WARNING), open_frames(path) as frames:
        seen = list(frames)
        assert 2 <= len(seen) < COUNT and len(frames) == len(seen)
        assert [frame.index for frame in seen] == list(range(len(seen)))


def test_header_that_states_too_many_frames(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = save(tmp_path / 'a.avi')
    data = bytearray(path.read_bytes())
    stated = COUNT.to_bytes(4, 'little')
    places = [data.find(tag) + offset for tag, offset in ((b'avih', 24), (b'strh', 40))]
    for place in places:
        assert data[place : place + 4] == stated
        data[place : place + 4] = (900).to_bytes(4, 'little')
    path.write_bytes(data)
    with caplog.at_level(logging.WARNING):
        assert len(open_frames(path)) == COUNT
    if cv2.VideoCapture(str(path)).get(cv2.CAP_PROP_FRAME_COUNT) > COUNT:
        assert 'a.avi: 12 of the 900 frames' in caplog.text


def test_mp4_cut_short_is_refused(tmp_path: Path) -> None:
    path = save(tmp_path / 'a.mp4')
    path.write_bytes(path.read_bytes()[:-400])
    with pytest.raises(InputError, match=r'a\.mp4: cannot be opened as a video.*H\.264'):
        open_frames(path)


def test_video_without_frames_is_refused(tmp_path: Path) -> None:
    path = save(tmp_path / 'a.avi')
    data = path.read_bytes()
    path.write_bytes(data[: data.find(b'movi') + 4])
    with pytest.raises(InputError, match=r'a\.avi: .*cannot be'):
        open_frames(path)


def test_size_and_window(tmp_path: Path) -> None:
    path = save(tmp_path / 'a.avi')
    with pytest.raises(InputError, match='64 x 48 pixels are more'):
        open_frames(path, max_pixels=1000)
    with pytest.raises(InputError, match='in colour'):
        open_frames(path, window=(0, 1))
