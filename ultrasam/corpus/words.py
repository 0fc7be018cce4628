"""The words of which a description is made: where frames and masks are, and what mask values mean.

All are plain data; :mod:`ultrasam.corpus.labels` and :mod:`ultrasam.corpus.readers` do what they say. Patterns
are those of :mod:`ultrasam.corpus.patterns`. A ``category`` may hold groups: ``'nodule_{pathology}'``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

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
class EachValue:
    """Every value but 0 is a structure of its own, all of one category: which value means which is not known.

    Args:
        category: of all structures.
        most: how many values a mask may have; one with more is no label map.
    """

    category: str
    most: int


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


LabelRule = Threshold | Nonzero | Values | EachValue | Colours | Outline

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
class SampledFiles:
    """Still images as they are, and clips of which some frames a second are taken.

    Of a clip every ``int(rate / per_second)``-th frame is taken, from frame ``first`` on; every frame of one that is
    slower than that.

    Args:
        pattern: of the files, stills and clips.
        stills: endings of the still images, in lower case; every other file is a clip.
        per_second: about how many frames of a second are taken.
        first: number of the first frame that is taken, from 0.
        most: frames of one clip, at most.
    """

    pattern: str
    stills: tuple[str, ...] = ('png', 'jpg', 'jpeg')
    per_second: int = 3
    first: int = 1
    most: int = 30


@dataclass(frozen=True)
class MatlabRecords:
    """Records of a struct array in a MATLAB file (up to version 7), each with a stack of frames, (N, H, W).

    Args:
        pattern: of the files.
        variable: the struct array.
        values: place of the field, from 0, of each group that a record gives.
        stack: place of the field with the frames.
    """

    pattern: str
    variable: str
    values: Mapping[str, int]
    stack: int


@dataclass(frozen=True)
class ArrayFiles:
    """NumPy files, (N, H, W) or (N, H, W, 1); values times ``scale``, fractions cut, are the 8-bit gray."""

    pattern: str
    scale: float = 1.0


@dataclass(frozen=True)
class Hdf5Frames:
    """Frames in a data set of an HDF5 file, (N, H, W), 8 bits.

    Args:
        pattern: of the file.
        dataset: its key.
        groups: further keys, one value a frame, by the name of the group that they give to each frame.
    """

    pattern: str
    dataset: str
    groups: Mapping[str, str] = field(default_factory=dict)


FrameFiles = ImageFiles | VolumeFiles | VideoFiles | SampledFiles | MatlabRecords | ArrayFiles | Hdf5Frames

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
class LabelArrays:
    """NumPy label files, (N, H, W) or (N, H, W, 1)."""

    pattern: str
    rule: LabelRule
    absent: Absent = 'fault'


@dataclass(frozen=True)
class Hdf5Masks:
    """Masks in a data set of the HDF5 file that holds the frames, at the same index."""

    dataset: str
    rule: LabelRule


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


@dataclass(frozen=True)
class CocoObjects:
    """Objects of a COCO file in rows of form ``'coco'``; each polygon of an object becomes an instance."""

    rows: str
    names: Mapping[int, str]


@dataclass(frozen=True)
class VocNames:
    """Pascal VOC files of which only the names of the objects are used, which must be one and the same.

    Args:
        pattern: of the files.
        group: that the name becomes.
        absent: what an image without a file is.
    """

    pattern: str
    group: str
    absent: Absent = 'fault'


AnnotationFiles = (
    MaskFiles
    | LabelVolumes
    | LabelArrays
    | Hdf5Masks
    | PolygonFiles
    | TracedRows
    | ViaRegions
    | CocoObjects
    | VocNames
)
