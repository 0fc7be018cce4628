"""The images that are compared: those of the parts of each data set, with their subjects."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from ultrasam.coco.files import read_coco
from ultrasam.corpus.errors import UnsafeNameError
from ultrasam.corpus.layout import PARTS, DatasetFolder
from ultrasam.corpus.subjects import subject_of

UNSPLIT = 'unsplit'


@dataclass(frozen=True)
class Picture:
    """An image of a part.

    Args:
        dataset: its name.
        file_name: below the images of the data set.
        part: ``'train'``, ``'val'``, ``'test'``, or ``'unsplit'`` where a data set is not split yet.
        release: under which its subjects are known.
        subject: or the source file where none is known.
        path: of the file.
    """

    dataset: str
    file_name: str
    part: str
    release: str
    subject: str
    path: Path

    @property
    def name(self) -> str:
        """Data set and file name, as merged files spell it."""
        return f'{self.dataset}/images/{self.file_name}'

    @property
    def group(self) -> tuple[str, str, str]:
        """Release, subject and part: frames of one group are expected to be alike."""
        return self.release, self.subject, self.part


def list_pictures(folder: DatasetFolder) -> list[Picture]:
    """Images of the parts of a data set, in the order of parts and files; of all, if it has no train and no val.

    Raises:
        AnnotationError: a COCO file that cannot be used.
        UnsafeNameError: an image is a link out of its data set.
    """
    is_split = any(folder.coco_path(part).is_file() for part in ('train', 'val'))
    files = {part: folder.coco_path(part) for part in PARTS if folder.coco_path(part).is_file()}
    if not is_split:
        files = {UNSPLIT: folder.coco_path(), **files}
    release = folder.facts().release
    root = os.path.realpath(folder.images)
    pictures = []
    for part, path in files.items():
        for image in read_coco(path, allow_empty=part in ('test', UNSPLIT)).images:
            file_name = image['file_name']
            target = folder.images / file_name
            if not os.path.realpath(target).startswith(root + os.sep):
                raise UnsafeNameError(
                    f'{target} is a link that leaves its data set: put the image itself there'
                )
            pictures.append(Picture(folder.name, file_name, part, release, subject_of(image), target))
    return pictures
