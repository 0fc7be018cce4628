"""Every file of the real releases beside this checkout: prediction, conversion and training give the same pixels."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ultrasam.corpus.plan import Item, SourceFile
from ultrasam.corpus.readers import open_stack
from ultrasam.corpus.words import ImageFiles, VideoFiles, VolumeFiles
from ultrasam.errors import InputError
from ultrasam.io.readers import INPUT_SUFFIXES, FrameSource, kind_of, open_frames
from ultrasam.openmmlab.transforms import LoadFrame

ROOT = Path(__file__).resolve().parents[3].parent / 'shared' / 'real_raw'
FILES = sorted(path for path in ROOT.rglob('*') if path.name.lower().endswith(INPUT_SUFFIXES))
OTHERS = sorted(path for path in ROOT.rglob('*') if path.is_file() and path not in FILES)
# the first and last frames of a recording tell as much as all of them
MOST_FRAMES = 30

pytestmark = pytest.mark.skipif(not FILES, reason='../shared/real_raw is not beside this checkout')


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def converted(path: Path, frames: FrameSource) -> Iterator[np.ndarray] | None:
    """Frames as a conversion reads them; None for DICOM, which no description has."""
    words = {
        'image': ImageFiles('{n}'),
        'volume': VolumeFiles('{n}', axis=None if len(frames) == 1 else 0),
        'video': VideoFiles('{n}', 'all'),
    }
    if frames.kind not in words:
        return None
    stack = open_stack(words[frames.kind], Item(SourceFile(path.name, path), {}))
    return (image for _, image in stack.frames([]))


def opened(path: Path) -> FrameSource:
    if kind_of(path) == 'volume':
        pytest.importorskip('SimpleITK')
    if kind_of(path) == 'dicom':
        pytest.importorskip('pydicom')
    try:
        return open_frames(path, axis=0)
    except InputError as error:
        if 'no decoder is installed' in str(error):
            pytest.skip('lossless JPEG needs the extra dicom-gpl')
        raise


def loaded(path: Path) -> np.ndarray:
    return LoadFrame()(dict(img_path=str(path)))['img'][..., ::-1]


@pytest.mark.parametrize('path', FILES, ids=name_of)
def test_same_pixels_from_all_three(path: Path, tmp_path: Path) -> None:
    with opened(path) as frames:
        others = converted(path, frames)
        seen = 0
        for frame in itertools.islice(frames, MOST_FRAMES):
            seen += 1
            assert frame.image.dtype == np.uint8 and frame.image.shape == (*frames.size_hw, 3)
            if others is not None:
                other = next(others)
                other = np.repeat(other[..., None], 3, axis=2) if other.ndim == 2 else other
                assert np.array_equal(other, frame.image)
            # training reads what a conversion wrote, or the image itself
            stored = path
            if frames.kind != 'image':
                stored = tmp_path / 'frame.png'
                Image.fromarray(frame.image).save(stored, compress_level=0)
            assert np.array_equal(loaded(stored), frame.image)
        assert seen == min(len(frames), MOST_FRAMES) > 0
        if frames.kind in ('dicom', 'video'):
            assert np.array_equal(frames.frame(seen - 1).image, frame.image)


@pytest.mark.parametrize('path', OTHERS, ids=name_of)
def test_what_is_no_frame_is_named(path: Path) -> None:
    with pytest.raises(InputError, match=r'no format that can be read|an empty file'):
        open_frames(path)


def test_a_resized_recording_has_no_millimetres(caplog: pytest.LogCaptureFixture) -> None:
    pytest.importorskip('pydicom')
    with open_frames(ROOT / 'dicom/pydicom/examples_ybr_color.dcm') as frames:
        assert frames.frame(0).spacing_mm is None
    assert 'does not fit its frame of 320 x 240 pixels' in caplog.text
    with open_frames(ROOT / 'dicom/pydicom-data/OBXXXX1A.dcm') as frames:
        assert frames.frame(0).spacing_mm == pytest.approx((0.26229, 0.26229), rel=1e-4)
