"""The corpus: descriptions of data sets, the engine that converts them, and tools on COCO files.

Nothing here loads a deep-learning library, and a description loads no library at all.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ultrasam.corpus.classification.spec import ClassificationSpec, ClassLists, Derived, DrawnParts
from ultrasam.corpus.release import Download, Verified
from ultrasam.corpus.spec import Category, DatasetSpec, Expected, Instances, Rows, Split, Table
from ultrasam.corpus.words import (
    Colours,
    Files,
    ImageFiles,
    LabelVolumes,
    MaskFiles,
    Nonzero,
    Outline,
    PolygonFiles,
    Threshold,
    TracedRows,
    Values,
    ViaRegions,
    VideoFiles,
    VolumeFiles,
)

if TYPE_CHECKING:
    from ultrasam.corpus.frames import RawFrame, Structure
    from ultrasam.corpus.plan import Item

__all__ = [
    'Category',
    'ClassLists',
    'ClassificationSpec',
    'Colours',
    'DatasetSpec',
    'Derived',
    'Download',
    'DrawnParts',
    'Expected',
    'Files',
    'ImageFiles',
    'Instances',
    'Item',
    'LabelVolumes',
    'MaskFiles',
    'Nonzero',
    'Outline',
    'PolygonFiles',
    'RawFrame',
    'Rows',
    'Split',
    'Structure',
    'Table',
    'Threshold',
    'TracedRows',
    'Values',
    'Verified',
    'ViaRegions',
    'VideoFiles',
    'VolumeFiles',
]


def __getattr__(name: str) -> Any:
    """Load the types of functions in descriptions when they are asked for: listing needs none of them."""
    if name in ('RawFrame', 'Structure'):
        from ultrasam.corpus import frames

        return getattr(frames, name)
    if name == 'Item':
        from ultrasam.corpus.plan import Item

        return Item
    raise AttributeError(f'module {__name__!r} has no attribute {name!r}')
