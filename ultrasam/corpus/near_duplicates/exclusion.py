"""Images that must be in neither train nor val: a file at the root that lists them, read when a corpus is split."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from ultrasam.atomic import publish_json
from ultrasam.corpus.layout import PARTS
from ultrasam.errors import AnnotationError

# the search reads subjects as splits do, and splits read this file
if TYPE_CHECKING:
    from ultrasam.corpus.near_duplicates.search import NearDuplicate

EXCLUDED = 'excluded_images.json'


def read_excluded(root: Path) -> dict[str, dict[str, str]]:
    """For each data set, the images to leave out of train and val, each with the reason; nothing without a file.

    Raises:
        AnnotationError: the file is damaged.
    """
    path = Path(root) / EXCLUDED
    if not path.is_file():
        return {}
    try:
        content = json.loads(path.read_text(encoding='utf-8-sig'))['excluded']
        return {
            str(dataset): {str(name): str(reason) for name, reason in images.items()}
            for dataset, images in content.items()
        }
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise AnnotationError(
            f'{path} is damaged ({error!r}): it must be {{"excluded": {{"DATASET": {{"FILE": "REASON"}}}}}}. '
            'Mend it, or remove it and run near_duplicates.py --drop-from-train again'
        ) from error


def choose_excluded(leaks: Iterable[NearDuplicate]) -> dict[str, dict[str, str]]:
    """Of each leak the image to leave out: that of train, or that of val if the other is of test.

    Returns:
        Images by data set, each with the reason.
    """
    chosen: dict[str, dict[str, str]] = {}
    for pair in leaks:
        out, stays = sorted((pair.first, pair.second), key=lambda picture: PARTS.index(picture.part))
        chosen.setdefault(out.dataset, {})[out.file_name] = f'{out.part}, like {stays.name} of {stays.part}'
    return chosen


def write_excluded(root: Path, leaks: Iterable[NearDuplicate]) -> tuple[Path, int]:
    """Add the images that leak to ``ROOT/excluded_images.json``. No image and no COCO file is changed.

    What the file lists already stays in it: images that are left out do not show up as leaks again.

    Args:
        root: folder of all data sets.
        leaks: pairs in two parts.

    Returns:
        The file, and how many images it gained.

    Raises:
        AnnotationError: the file is there and damaged.
        OutputError: it cannot be written.
    """
    path = Path(root) / EXCLUDED
    listed = read_excluded(root)
    before = _count(listed)
    for dataset, images in choose_excluded(leaks).items():
        known = listed.setdefault(dataset, {})
        for name, reason in images.items():
            known.setdefault(name, reason)
    ordered = {dataset: dict(sorted(images.items())) for dataset, images in sorted(listed.items())}
    publish_json(path, {'excluded': ordered}, overwrite=True)
    return path, _count(listed) - before


def _count(listed: Mapping[str, Mapping[str, str]]) -> int:
    return sum(len(images) for images in listed.values())
