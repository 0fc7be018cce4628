"""Readers of raw files, one module a format; each knows its frames and its annotations."""

from __future__ import annotations

from typing import Any

from ultrasam.corpus import words
from ultrasam.corpus.plan import Item, SourceFile
from ultrasam.corpus.readers.base import Annotation, FrameStack
from ultrasam.errors import ConfigError


def open_stack(frames: words.FrameFiles, item: Item) -> FrameStack:
    """Open the frames of an item; modules that need a large library are loaded here and not before."""
    if isinstance(frames, words.ImageFiles):
        from ultrasam.corpus.readers.image import ImageStack

        return ImageStack(frames, item)
    if isinstance(frames, words.VolumeFiles):
        from ultrasam.corpus.readers.volume import VolumeStack

        return VolumeStack(frames, item)
    if isinstance(frames, words.VideoFiles):
        from ultrasam.corpus.readers.video import VideoStack

        return VideoStack(frames, item)
    raise ConfigError(f'{frames!r}: only a function of the description reads such files (read=...)')


def open_annotation(
    annotation: words.AnnotationFiles, files: tuple[SourceFile, ...], item: Item, *, frames: Any, stray: float
) -> Annotation:
    """Open one annotation of an item.

    Args:
        annotation: the word.
        files: its files.
        item: to which they belong.
        frames: the word of the frames, whose axis volumes share.
        stray: largest share of mask pixels that no rule names.
    """
    if isinstance(annotation, words.MaskFiles):
        from ultrasam.corpus.readers.image import MaskImages

        return MaskImages(annotation, files, item, stray)
    if isinstance(annotation, words.LabelVolumes):
        from ultrasam.corpus.readers.volume import VolumeLabels

        return VolumeLabels(annotation, files, item, frames, stray)
    if isinstance(annotation, words.Files):
        raise ConfigError(f'{annotation!r}: only a function of the description reads such files (read=...)')
    from ultrasam.corpus.readers import polygons

    if isinstance(annotation, words.PolygonFiles):
        return polygons.PolygonShapes(annotation, files, item)
    if isinstance(annotation, words.TracedRows):
        return polygons.TracedOutlines(annotation, item)
    return polygons.ViaShapes(annotation, item)


__all__ = ['Annotation', 'FrameStack', 'open_annotation', 'open_stack']
