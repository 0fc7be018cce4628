"""The words of which a description is made: where frames and masks are, and what mask values mean.

All are plain data; :mod:`ultrasam.corpus.labels` and :mod:`ultrasam.corpus.readers` do what they say. Patterns
are those of :mod:`ultrasam.corpus.patterns`. A ``category`` may hold groups: ``'nodule_{pathology}'``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    import numpy as np

    from ultrasam.corpus.labels import Labelled

Absent = Literal['fault', 'empty', 'skip']
"""What an image without its annotation file is: a fault, an image without objects, or left out and counted."""

# ---------------------------------------------------------------------------------------------- label rules


@dataclass(frozen=True)
class Threshold:
    """Gray at or above ``at`` is the structure; values from ``slack + 1`` to ``at - 1`` are counted as stray.

    Args:
        at: lowest gray value of the structure.
        category: its name.
        slack: highest gray value that is background for certain; masks stored as JPEG need some 16.
    """

    at: int
    category: str
    slack: int = 0


@dataclass(frozen=True)
class Nonzero:
    """Every pixel that is not 0, in any channel, is the structure."""

    category: str


@dataclass(frozen=True)
class Values:
    """Each value of a label map names a category, several may name one; ``background`` is none, others are stray."""

    names: Mapping[int, str]
    background: tuple[int, ...] = (0,)


@dataclass(frozen=True)
class Colours:
    """Each RGB colour names a category.

    Args:
        names: category of a colour.
        background: colours that are no structure; others are stray.
        tolerance: largest difference of a channel at which a pixel still has a colour; the nearest one wins.
    """

    names: Mapping[tuple[int, int, int], str]
    background: tuple[tuple[int, int, int], ...] = ((0, 0, 0),)
    tolerance: int = 0


@dataclass(frozen=True)
class Outline:
    """A drawn curve; the structure is the curve and what it encloses, the border of the image closing it."""

    category: str
    at: int = 128


RuleFunction = Callable[['np.ndarray', Mapping[str, str], str], 'Labelled']
"""A rule of one dataset as a function: mask values, groups and name of the file to structures and stray values."""
LabelRule = Threshold | Nonzero | Values | Colours | Outline | RuleFunction

# -------------------------------------------------------------------------------------------- where frames are


@dataclass(frozen=True)
class ImageFiles:
    """One image a file: PNG, JPEG, TIFF or BMP.

    Args:
        pattern: of the files.
        window: lowest and highest value to show; needed for more than 8 bits.
    """

    pattern: str
    window: tuple[float, float] | None = None


@dataclass(frozen=True)
class VolumeFiles:
    """NIfTI or MetaImage files; frames are cut along an axis.

    Args:
        pattern: of the files.
        axis: of the array (z, y, x) that SimpleITK gives; None for files of a single frame.
        channel: of channels-first arrays the one to keep; None if there are none.
        window: lowest and highest value to show; None if the values are 0 to 255 already.
    """

    pattern: str
    axis: int | None = 0
    channel: int | None = None
    window: tuple[float, float] | None = None


@dataclass(frozen=True)
class VideoFiles:
    """Videos, decoded from the first frame on.

    Args:
        pattern: of the files.
        frames: ``'annotated'``: those that an annotation names; ``'all'``: every one.
    """

    pattern: str
    frames: Literal['annotated', 'all'] = 'annotated'


@dataclass(frozen=True)
class Files:
    """Files that a function of the description reads, with ``read``: frames, or annotations beside them.

    Args:
        pattern: Pattern of the files.
        absent: What an image without a file is, where the files are annotations.
    """

    pattern: str
    absent: Absent = 'fault'


FrameFiles = ImageFiles | VolumeFiles | VideoFiles | Files


# ----------------------------------------------------------------------------------------- where annotations are


@dataclass(frozen=True)
class MaskFiles:
    """Mask images, paired with images by the names that both patterns have; several an image stay apart.

    Args:
        pattern: of the files.
        rule: what their values mean.
        absent: what an image without a mask is.
        frame: the name of the group with the frame number, for masks of a video.
        fit: ``'refuse'`` masks of another size than the image, or ``'nearest'``: resize them, where the release
            has some; they are counted.
    """

    pattern: str
    rule: LabelRule
    absent: Absent = 'fault'
    frame: str | None = None
    fit: Literal['refuse', 'nearest'] = 'refuse'


@dataclass(frozen=True)
class LabelVolumes:
    """Label volumes of the shape of the image volume; ``channel`` takes one of a last axis of several."""

    pattern: str
    rule: LabelRule
    absent: Absent = 'fault'
    channel: int | None = None


@dataclass(frozen=True)
class PolygonFiles:
    """JSON files with polygons: one bare list of points (``'points'``), or the shapes of LabelMe.

    Args:
        pattern: of the files.
        form: how they are written.
        category: of the polygons of a ``'points'`` file.
        names: category of each label of a LabelMe file; another label is a fault.
        absent: what an image without a file is.
        encodings: tried in this order.
    """

    pattern: str
    form: Literal['points', 'labelme']
    category: str = ''
    names: Mapping[str, str] = field(default_factory=dict)
    absent: Absent = 'fault'
    encodings: tuple[str, ...] = ('utf-8-sig',)


@dataclass(frozen=True)
class TracedRows:
    """Outlines in the rows of a table (:class:`~ultrasam.corpus.spec.Rows`), one per frame.

    Args:
        rows: name of the rows.
        category: of the structure.
        frame: column of the frame number.
        points: columns x and y of one point of the outline a row; or None.
        chords: columns x1, y1, x2, y2 of one line across the structure a row; the first row of a frame is the
            long axis and not used. Or None.
        first_frame: the number of the first frame of a video.
        untraced: values of the column ``frame`` that say that there is no tracing.
    """

    rows: str
    category: str
    frame: str = 'Frame'
    points: tuple[str, str] | None = None
    chords: tuple[str, str, str, str] | None = None
    first_frame: int = 0
    untraced: tuple[str, ...] = ()


@dataclass(frozen=True)
class ViaRegions:
    """Regions of the VGG Image Annotator in the rows of its CSV export.

    Args:
        rows: name of the rows.
        attribute: region attribute that holds the label.
        names: category of each label; labels of ``ignored`` are left out, others are faults.
        ignored: labels that are no structure here.
        merge: regions of one category are one structure, for tables that list an image twice.
    """

    rows: str
    attribute: str
    names: Mapping[str, str]
    ignored: tuple[str, ...] = ()
    merge: bool = False


AnnotationFiles = MaskFiles | LabelVolumes | PolygonFiles | TracedRows | ViaRegions | Files
