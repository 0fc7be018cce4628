"""What both galleries show of images: thumbnails, and the outlines of masks in scripts of some images each."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ultrasam.corpus.gallery.folder import GalleryFolder, digest_of, read_script
from ultrasam.corpus.gallery.outlines import outline_of, run_lengths_of
from ultrasam.corpus.gallery.thumbnails import Thumbnail, make_thumbnail, plan_thumbnail
from ultrasam.corpus.layout import Track
from ultrasam.corpus.processes import Workers
from ultrasam.errors import AnnotationError, InputError

# images whose outlines share a script: a page of the gallery needs one or two of them
IMAGES_A_SCRIPT = 100
_VERSION = 1
_TOGETHER = 8
Drawing = tuple[tuple[int, int], tuple[Any, ...]]
"""Height and width of an image, and the segmentations of its objects."""


@dataclass(frozen=True)
class Picture:
    """An image to show.

    Args:
        name: of the image below its folder.
        size_hw: in pixels, as the annotations state it.
        segmentations: of its objects.
    """

    name: str
    size_hw: tuple[int, int]
    segmentations: tuple[Any, ...]


class PictureWriter:
    """Writes thumbnails and outlines into a gallery.

    Args:
        gallery: where to.
        workers: who does it.
        with_views: write larger copies, too, so that the gallery needs no other files.
        track: shows progress.
    """

    def __init__(self, gallery: GalleryFolder, workers: Workers, *, with_views: bool, track: Track) -> None:
        self._gallery = gallery
        self._workers = workers
        self._with_views = with_views
        self._track = track
        self.faults: Counter[str] = Counter()
        self.examples: dict[str, str] = {}

    def write(self, dataset: str, images: Path, pictures: Sequence[Picture]) -> list[dict[str, Any]]:
        """Write what is not there yet.

        Args:
            dataset: name of the data set.
            images: folder of its images.
            pictures: to write.

        Returns:
            For each picture ``thumb``, or ``fault`` where there is none, and its place in a script, ``shapes``.
        """
        facts = self._thumbnails(dataset, images, pictures)
        drawings: list[Drawing] = [(one.size_hw, one.segmentations) for one in pictures]
        folder = self._gallery.subfolder('shapes', dataset)
        parts = [drawings[i : i + IMAGES_A_SCRIPT] for i in range(0, len(drawings), IMAGES_A_SCRIPT)]
        paths = [folder / f'{digest_of([_VERSION, part])}.js' for part in parts]
        known = {path: read_script(path) for path in paths}
        missing = [(path, part) for path, part in zip(paths, parts, strict=True) if known[path] is None]
        drawn = self._workers.run(
            draw_outlines, [part for _, part in missing], title=f'{dataset}: outlines', track=self._track
        )
        for (path, _), shapes in zip(missing, drawn, strict=True):
            self._gallery.write_script(path, 'shapes', shapes)
            known[path] = shapes
        for number, (picture, fact) in enumerate(zip(pictures, facts, strict=True)):
            path, place = paths[number // IMAGES_A_SCRIPT], number % IMAGES_A_SCRIPT
            self._gallery.keep(path)
            fact['shapes'] = [path.stem, place]
            for fault in known[path][place]['faults'].values():
                self._note(fault, f'{dataset}/{picture.name}')
        return facts

    def _thumbnails(self, dataset: str, images: Path, pictures: Sequence[Picture]) -> list[dict[str, Any]]:
        folder = self._gallery.subfolder('thumbs', dataset)
        facts: list[dict[str, Any]] = [{} for _ in pictures]
        planned: list[tuple[int, Thumbnail]] = []
        for number, one in enumerate(pictures):
            try:
                thumbnail = plan_thumbnail(
                    images / one.name,
                    one.name,
                    one.size_hw,
                    inside=images,
                    folder=folder,
                    with_view=self._with_views,
                )
                planned.append((number, thumbnail))
            except InputError as error:
                facts[number]['fault'] = str(error)
        found = self._workers.run(
            make_thumbnail,
            [thumbnail for _, thumbnail in planned],
            title=f'{dataset}: thumbnails',
            track=self._track,
            together=_TOGETHER,
        )
        for (number, thumbnail), fault in zip(planned, found, strict=True):
            facts[number].update({'fault': fault} if fault else {'thumb': thumbnail.stem})
            for name in () if fault else thumbnail.names:
                self._gallery.keep(folder / name)
        for one, fact in zip(pictures, facts, strict=True):
            if 'fault' in fact:
                self._note(fact['fault'], f'{dataset}/{one.name}')
        return facts

    def _note(self, fault: str, example: str) -> None:
        self.faults[fault] += 1
        self.examples.setdefault(fault, example)


def draw_outlines(drawings: Sequence[Drawing]) -> list[dict[str, Any]]:
    """Outlines of the objects of some images.

    Returns:
        For each image ``paths``, one an object, empty where it cannot be drawn, and ``faults``: why, by the place of
        the object.
    """
    drawn = []
    for size_hw, segmentations in drawings:
        paths, faults = [], {}
        for number, segmentation in enumerate(segmentations):
            try:
                paths.append(outline_of(run_lengths_of(segmentation, size_hw)))
            except AnnotationError as error:
                paths.append('')
                faults[str(number)] = str(error)
        drawn.append({'paths': paths, 'faults': faults})
    return drawn
