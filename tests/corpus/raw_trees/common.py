"""What the raw trees are made of, and what is expected of their conversion."""

from __future__ import annotations

import inspect
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
from PIL import Image


@dataclass(frozen=True)
class Object:
    """One instance that must be found."""

    category: str
    mask: np.ndarray


@dataclass(frozen=True)
class Picture:
    """One image that must be found: by its source file and frame.

    Args:
        source: path as the pattern of the frames covers it.
        objects: instances in their order.
        frame: number in its file; None for a file of one image.
        subject: None where no description can know one.
        part: of the official split: '', 'train', 'val' or 'test'.
        label: image-level class.
        pixels: of the published image, gray or RGB; None where a lossy code changes them too much.
        tolerance: largest difference of a channel; 0 unless the code is lossy.
    """

    source: str
    objects: tuple[Object, ...]
    frame: int | None = None
    subject: str | None = None
    part: str = ''
    label: str = ''
    pixels: np.ndarray | None = None
    tolerance: int = 0


@dataclass(frozen=True)
class Tree:
    """A raw tree on disk, and all that its conversion must give; images that are not listed must not be there."""

    source: Path
    pictures: tuple[Picture, ...]
    left_out: Mapping[str, int] = field(default_factory=dict)


def _salt() -> int:
    """A number for the module that asked for a picture."""
    frame = inspect.currentframe()
    assert frame is not None and frame.f_back is not None and frame.f_back.f_back is not None
    return zlib.crc32(frame.f_back.f_back.f_globals['__name__'].encode())


def speckle(seed: int, size_hw: tuple[int, int] = (64, 80)) -> np.ndarray:
    """A gray picture without black pixels, (H, W), uint8; no two modules draw the same one."""
    return np.random.default_rng((_salt(), seed)).integers(20, 200, size_hw, dtype=np.uint8)


def disc(y: float, x: float, radius: float, size_hw: tuple[int, int] = (64, 80)) -> np.ndarray:
    """A filled circle, (H, W), bool."""
    rows, columns = np.ogrid[: size_hw[0], : size_hw[1]]
    return (rows - y) ** 2 + (columns - x) ** 2 <= radius**2


def box(top: int, left: int, bottom: int, right: int, size_hw: tuple[int, int] = (64, 80)) -> np.ndarray:
    """A filled rectangle with both borders, (H, W), bool."""
    mask = np.zeros(size_hw, bool)
    mask[top : bottom + 1, left : right + 1] = True
    return mask


def save(path: Path, values: np.ndarray, **options: object) -> None:
    """Write an image file, its folder first; bool becomes 0 and 255."""
    path.parent.mkdir(parents=True, exist_ok=True)
    values = values.astype(np.uint8) * 255 if values.dtype == bool else values
    Image.fromarray(values).save(path, **options)


def write(path: Path, text: str) -> None:
    """Write a text file, its folder first."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding='utf-8')


def smooth(seed: int, size_hw: tuple[int, int] = (64, 80)) -> np.ndarray:
    """A picture of smooth gray, which lossy codes keep well, (H, W), uint8; no two modules draw the same one."""
    rows, columns = np.ogrid[: size_hw[0], : size_hw[1]]
    shift = _salt() % 997
    waves = np.sin(rows / (9 + seed) + shift) + np.cos(columns / (11 + seed) + shift)
    return (110 + 40 * waves).astype(np.uint8)


def save_volume(path: Path, values: np.ndarray) -> None:
    """Write a volume; the axes of ``values`` are (z, y, x), or more in front, or channels first for 2-D frames."""
    itk = pytest.importorskip('SimpleITK')
    path.parent.mkdir(parents=True, exist_ok=True)
    values = values.astype(np.uint8) if values.dtype == bool else values
    itk.WriteImage(itk.GetImageFromArray(values, isVector=False), str(path))


def save_video(path: Path, frames: Sequence[np.ndarray], *, code: str = 'MJPG') -> None:
    """Write gray or RGB frames as a video."""
    import cv2

    path.parent.mkdir(parents=True, exist_ok=True)
    height, width = frames[0].shape[:2]
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*code), 25, (width, height))
    assert writer.isOpened()
    for frame in frames:
        rgb = frame if frame.ndim == 3 else np.repeat(frame[..., None], 3, axis=2)
        writer.write(np.ascontiguousarray(rgb[..., ::-1]))
    writer.release()


def zip_folder(folder: Path, target: Path) -> None:
    """Pack the content of a folder into a zip archive."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(target, 'w', zipfile.ZIP_DEFLATED) as archive:
        for path in sorted(folder.rglob('*')):
            if path.is_file():
                archive.write(path, path.relative_to(folder).as_posix())
