"""Perceptual hashes of the crops of an image, and a cache of them that a second run takes up."""

from __future__ import annotations

import zipfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from ultrasam.atomic import publish_file
from ultrasam.corpus.errors import DataFaultsError, EnvironmentFault, Fault, RawFileError
from ultrasam.corpus.layout import Track, untracked
from ultrasam.corpus.near_duplicates.listing import Picture
from ultrasam.corpus.near_duplicates.views import CROPS, DETAIL_SIDE, content_of, detail_of, read_gray
from ultrasam.optional import optional_module
from ultrasam.processes import in_order

BITS_A_SIDE = 16
HASH_BYTES = BITS_A_SIDE**2 // 8
HASH_BITS = 8 * HASH_BYTES
# Of the way in which hashes are made: a cache of another number is not used.
_EDITION = 1
# images that a process is given at once
CHUNK = 16
# neighbouring bits of a hash are of neighbouring frequencies: mixed, each byte holds some of all
_ORDER = np.random.default_rng(0).permutation(HASH_BITS)


@lru_cache(maxsize=1)
def _library() -> Any:
    return optional_module(
        'imagehash', need='the search for near-duplicates', extra='corpus', error=EnvironmentFault
    )


def hash_image(path: Path) -> np.ndarray | Fault | None:
    """Hashes of the crops of an image.

    Args:
        path: of the image.

    Returns:
        (crops, HASH_BYTES), uint8; None if the image shows nothing that could be compared; what is wrong with the
        file, if it cannot be read.

    Raises:
        EnvironmentFault: imagehash is not installed.
    """
    library = _library()
    try:
        content = content_of(read_gray(path))
    except RawFileError as error:
        return Fault(str(path), str(error))
    if content is None:
        return None
    detail = detail_of(content)
    hashes = []
    for crop in CROPS:
        top, left, side = (round(share * DETAIL_SIDE) for share in (crop.top, crop.left, crop.side))
        part = detail[top : top + side, left : left + side]
        part = part[:, ::-1] if crop.mirrored else part
        picture = Image.fromarray(np.ascontiguousarray(part))
        bits = library.phash(picture, hash_size=BITS_A_SIDE, highfreq_factor=2).hash
        hashes.append(np.packbits(bits.ravel()[_ORDER]))
    return np.stack(hashes)


@dataclass
class Hashes:
    """Hashes of many images.

    Args:
        values: (images, crops, HASH_BYTES), uint8; zeros for blank images.
        blank: (images,), bool: those that show nothing that could be compared.
        cached: how many were taken from the cache.
    """

    values: np.ndarray
    blank: np.ndarray
    cached: int = 0


def hash_dataset(
    name: str,
    pictures: Sequence[Picture],
    cache: Path,
    *,
    jobs: int = 1,
    track: Track = untracked,
) -> Hashes:
    """Hash the images of a data set; what is in the cache and unchanged (size and time of the file) is not read.

    Args:
        name: of the data set.
        pictures: its images.
        cache: file that keeps hashes; written also when the work is stopped.
        jobs: Number of processes.
        track: shows progress.

    Raises:
        DataFaultsError: images that cannot be read, all of them.
        EnvironmentFault: imagehash is not installed.
        InputError: a process was ended.
        OutputError: the cache cannot be written.
    """
    _library()
    stamps = _stamps(name, pictures)
    known = _read_cache(cache)
    hashes = Hashes(
        np.zeros((len(pictures), len(CROPS), HASH_BYTES), np.uint8), np.zeros(len(pictures), bool)
    )
    wanted = []
    for place, stamp in enumerate(stamps):
        if stamp in known:
            hashes.values[place], hashes.blank[place] = known[stamp]
        else:
            wanted.append(place)
    hashes.cached = len(pictures) - len(wanted)
    done = np.ones(len(pictures), bool)
    done[wanted] = False
    faults: list[Fault] = []
    try:
        paths = [pictures[place].path for place in wanted]
        results = in_order(hash_image, paths, jobs=jobs, together=CHUNK)
        for place, result in zip(track(wanted, f'hash {name}'), results, strict=True):
            if isinstance(result, Fault):
                faults.append(result)
                continue
            done[place] = True
            hashes.blank[place] = result is None
            if result is not None:
                hashes.values[place] = result
    finally:
        if wanted or len(known) != len(pictures):
            _write_cache(
                cache,
                [stamp for stamp, is_done in zip(stamps, done, strict=True) if is_done],
                hashes.values[done],
                hashes.blank[done],
            )
    if faults:
        raise DataFaultsError(name, faults, 'convert the data set again, or mend these images')
    return hashes


def _stamps(name: str, pictures: Iterable[Picture]) -> list[str]:
    """What tells whether an image is the one that was hashed."""
    stamps, faults = [], []
    for picture in pictures:
        try:
            state = picture.path.stat()
        except OSError as error:
            faults.append(Fault(str(picture.path), f'{picture.path}: cannot be read ({error.strerror})'))
        else:
            stamps.append(f'{state.st_size}:{state.st_mtime_ns}:{picture.file_name}')
    if faults:
        raise DataFaultsError(name, faults, 'run `ultrasam data verify`, then convert the data set again')
    return stamps


def _read_cache(path: Path) -> dict[str, tuple[np.ndarray, bool]]:
    """What a cache holds; nothing if it is not there, damaged, or of another edition."""
    try:
        with np.load(path, allow_pickle=False) as content:
            stamps, values, blank = content['stamps'], content['values'], content['blank']
            fits = int(content['edition']) == _EDITION and values.shape == (
                len(stamps),
                len(CROPS),
                HASH_BYTES,
            )
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
        return {}
    if not fits or values.dtype != np.uint8 or blank.shape != stamps.shape:
        return {}
    return {str(stamp): (values[i], bool(blank[i])) for i, stamp in enumerate(stamps)}


def _write_cache(path: Path, stamps: list[str], values: np.ndarray, blank: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with publish_file(path, overwrite=True) as target:
        np.savez(target, stamps=np.array(stamps, np.str_), values=values, blank=blank, edition=_EDITION)
