"""The cache of pixels gives what decoding gives, or nothing."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np
import pytest
from mmcv.transforms import LoadImageFromFile

from ultrasam.errors import ConfigError
from ultrasam.openmmlab.transforms import LoadCachedImage
from ultrasam.openmmlab.transforms import pixel_cache as module
from ultrasam.openmmlab.transforms.pixel_cache import PixelCache, one_channel


def write(path: Path, seed: int, *, colour: bool = True) -> np.ndarray:
    pixels = np.random.default_rng(seed).integers(0, 256, (20, 30, 3), np.uint8)
    if not colour:
        pixels[:] = pixels[..., :1]
    cv2.imwrite(str(path), pixels)
    return pixels


def _keep(cache: PixelCache, path: Path, pixels: np.ndarray) -> bool:
    return cache.add(cache.key(path), pixels)


def _kept(folder: Path, path: Path) -> np.ndarray | None:
    cache = PixelCache(folder)
    return cache.read(cache.key(path))


def entries(folder: Path) -> list[Path]:
    return sorted(folder.rglob('*.pixels'))


@pytest.mark.parametrize('colour', [True, False])
@pytest.mark.parametrize('grey_as_one_channel', [True, False])
def test_pixels_and_keys_of_the_loader(tmp_path: Path, colour: bool, grey_as_one_channel: bool):
    path = tmp_path / 'a.png'
    write(path, 0, colour=colour)
    wanted = LoadImageFromFile()(dict(img_path=str(path)))
    load = LoadCachedImage(folder=str(tmp_path / 'cache'), grey_as_one_channel=grey_as_one_channel)
    for _ in range(3):
        found = load(dict(img_path=str(path)))
        assert found['ori_shape'] == found['img_shape'] == wanted['img_shape']
        shown = found['img'] if found['img'].ndim == 3 else np.dstack([found['img']] * 3)
        assert (found['img'].ndim == 2) == (grey_as_one_channel and not colour)
        np.testing.assert_array_equal(shown, wanted['img'])
    assert entries(tmp_path / 'cache')[0].stat().st_size == 64 + 20 * 30 * (3 if colour else 1)


def test_without_folder_nothing_is_kept(tmp_path: Path):
    write(tmp_path / 'a.png', 0)
    LoadCachedImage()(dict(img_path=str(tmp_path / 'a.png')))
    assert [path.name for path in tmp_path.iterdir()] == ['a.png']


def test_a_changed_picture_takes_the_place_of_the_old_one(tmp_path: Path):
    path, cache = tmp_path / 'a.png', PixelCache(tmp_path / 'cache')
    _keep(cache, path, write(path, 0))
    second = write(path, 1)
    assert cache.read(cache.key(path)) is None
    assert _keep(cache, path, second)
    np.testing.assert_array_equal(cache.read(cache.key(path)), second)
    assert len(entries(tmp_path / 'cache')) == 1
    # another picture of the same size and times
    times = path.stat()
    third = write(path, 2)
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
    assert cache.read(cache.key(path)) is None or np.array_equal(cache.read(cache.key(path)), third)


def test_a_picture_that_changes_while_it_is_decoded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    path, folder = tmp_path / 'a.png', tmp_path / 'cache'
    first = write(path, 0)
    load = LoadCachedImage(folder=str(folder))
    decode = LoadImageFromFile.transform

    def decode_then_change(self: LoadImageFromFile, results: dict) -> dict | None:
        loaded = decode(self, results)
        write(path, 1)
        return loaded

    monkeypatch.setattr(LoadImageFromFile, 'transform', decode_then_change)
    np.testing.assert_array_equal(load(dict(img_path=str(path)))['img'], first)
    monkeypatch.undo()
    np.testing.assert_array_equal(load(dict(img_path=str(path)))['img'], cv2.imread(str(path)))


@pytest.mark.parametrize('damage', ['empty', 'cut', 'header', 'pixels', 'longer'])
def test_a_damaged_entry_counts_as_missing(tmp_path: Path, damage: str):
    path, folder = tmp_path / 'a.png', tmp_path / 'cache'
    pixels = write(path, 0)
    _keep(PixelCache(folder), path, pixels)
    (entry,) = entries(folder)
    content = bytearray(entry.read_bytes())
    if damage == 'pixels':
        content[100] ^= 1
    elif damage == 'header':
        content[9] ^= 1
    content = {'empty': content[:0], 'cut': content[:500], 'longer': content + b'x'}.get(damage, content)
    entry.write_bytes(content)
    assert _kept(folder, path) is None
    load = LoadCachedImage(folder=str(folder))
    np.testing.assert_array_equal(load(dict(img_path=str(path)))['img'], pixels)
    np.testing.assert_array_equal(_kept(folder, path), pixels)


def test_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(module, '_FOLDERS', 1e9 / 2500)
    cache = PixelCache(tmp_path / 'cache', gigabytes=1)
    kept = []
    for number in range(120):
        path = tmp_path / f'{number}.png'
        kept.append(_keep(cache, path, write(path, number)))
    by_folder: dict[str, int] = {}
    for entry in entries(tmp_path / 'cache'):
        by_folder[entry.parent.name] = by_folder.get(entry.parent.name, 0) + entry.stat().st_size
    assert max(by_folder.values()) <= 2500
    assert 0 < sum(kept) == len(entries(tmp_path / 'cache')) < 120
    with pytest.raises(ConfigError, match='at least 1'):
        PixelCache(tmp_path, gigabytes=0.5)


def test_no_place_to_write_costs_nothing_but_speed(tmp_path: Path):
    (tmp_path / 'cache').write_text('a file where the folder should be')
    pixels = write(tmp_path / 'a.png', 0)
    load = LoadCachedImage(folder=str(tmp_path / 'cache' / 'in_it'))
    np.testing.assert_array_equal(load(dict(img_path=str(tmp_path / 'a.png')))['img'], pixels)


def test_several_writers(tmp_path: Path):
    pixels = [write(tmp_path / f'{number}.png', number) for number in range(8)]

    def work(worker: int) -> None:
        load = LoadCachedImage(folder=str(tmp_path / 'cache'))
        for number in np.random.default_rng(worker).permutation(8):
            found = load(dict(img_path=str(tmp_path / f'{number}.png')))['img']
            np.testing.assert_array_equal(found, pixels[number])

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(work, range(4)))
    assert len(entries(tmp_path / 'cache')) == 8


def test_a_missing_picture_is_missing(tmp_path: Path):
    with pytest.raises(FileNotFoundError):
        LoadCachedImage(folder=str(tmp_path / 'cache'))(dict(img_path=str(tmp_path / 'no.png')))


def test_one_channel_only_where_all_are_equal():
    grey = np.dstack([np.arange(12, dtype=np.uint8).reshape(3, 4)] * 3)
    assert one_channel(grey).shape == (3, 4)
    for place in ((0, 0, 1), (2, 3, 2), (1, 1, 0)):
        other = grey.copy()
        other[place] += 1
        assert one_channel(other).shape == (3, 4, 3)
