"""Whether the images of a COCO file have the sizes that their records state."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ultrasam.errors import InputError

SIZE_ADVICE = (
    'Annotate the image as a viewer shows it, upright and at its own size, or set height and width of its record '
    'to that size and its masks with them'
)
# Headers that are read before a run starts: under two seconds on a local disk. Of more images as many, evenly spread;
# the loader looks at each of the others when it comes.
MOST_HEADERS = 20_000


def size_fault(name: str, found_hw: Sequence[int], stated_hw: Sequence[int]) -> str:
    """Return what is wrong with an image of another size than its record states, and what to do."""
    found, stated = (f'{size[1]} x {size[0]}' for size in (found_hw, stated_hw))
    return f'{name}: the file has {found} pixels (width x height), its record states {stated}. {SIZE_ADVICE}'


def size_faults(
    folder: str, names: Sequence[str], sides_hw: np.ndarray, most: int = MOST_HEADERS
) -> list[str]:
    """Compare records with the headers of their images.

    Args:
        folder: The images are in it.
        names: File names, in the order of the records.
        sides_hw: (N, 2), int, what the records state, in pixels.
        most: The most headers to read.

    Returns:
        What is wrong with each image of another size, or that cannot be read.
    """
    from ultrasam.io.readers.image import open_page, stated_size_hw

    chosen = np.unique(np.linspace(0, len(names) - 1, min(len(names), most)).astype(int)) if names else ()
    faults = []
    for number in chosen:
        path, stated = Path(folder, names[number]), tuple(sides_hw[number].tolist())
        try:
            if stated_size_hw(path) == stated:
                continue
            # the header of a PNG file may not tell how it is turned
            with open_page(path) as source:
                if source.size_hw != stated:
                    faults.append(size_fault(str(path), source.size_hw, stated))
        except InputError as error:
            faults.append(str(error))
    return faults
