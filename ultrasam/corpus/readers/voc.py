"""Pascal VOC files, of which the class of the image is taken; entities and document types are refused."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from ultrasam.corpus.errors import RawFileError
from ultrasam.corpus.labels import Labelled
from ultrasam.corpus.plan import Item, SourceFile
from ultrasam.corpus.readers.base import Annotation
from ultrasam.corpus.words import VocNames

_MOST_BYTES = 1 << 20


class VocName(Annotation):
    """The one name that all objects of an image have."""

    def __init__(self, word: VocNames, files: tuple[SourceFile, ...], item: Item) -> None:
        if len(files) > 1:
            raise RawFileError(f'{item.key}: {len(files)} annotation files where one is described')
        self._groups = {word.group: _only_name(files[0]) if files else ''}

    def read(self, number: int, size_hw: tuple[int, int]) -> Labelled:
        """No structures."""
        return [], Counter()

    def groups(self, number: int) -> Mapping[str, str]:
        """The name."""
        return self._groups


def _only_name(file: SourceFile) -> str:
    """The name of the objects of a file.

    Raises:
        RawFileError: damaged, too large, with a document type, without objects, or with several names.
    """
    from defusedxml import ElementTree  # type: ignore[import-untyped]

    data = file.path.read_bytes()
    if len(data) > _MOST_BYTES:
        raise RawFileError(f'{file.name}: {len(data):,} bytes are too many for an annotation file')
    try:
        root = ElementTree.fromstring(data, forbid_dtd=True)
    # the parser's errors and the refusals share no class
    except Exception as error:
        raise RawFileError(f'{file.name}: damaged, or no plain XML ({error!r})') from error
    names = sorted({(one.findtext('name') or '').strip() for one in root.iter('object')})
    if len(names) != 1 or not names[0]:
        found = f'objects of {len(names)} classes, {" and ".join(map(repr, names))}' if names else 'no object'
        raise RawFileError(f'{file.name}: {found}, where one class an image is described')
    return names[0]
