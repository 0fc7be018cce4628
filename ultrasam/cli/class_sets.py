"""What the commands that convert data sets say of sets of classified images: licences, a list of them."""

from __future__ import annotations

from collections.abc import Mapping

from ultrasam.corpus.classification.spec import ClassificationSpec
from ultrasam.corpus.spec import DatasetSpec


def licence_line(spec: DatasetSpec) -> str:
    """The licence of a set of classified images, as a line of the report; nothing for another data set."""
    if not isinstance(spec, ClassificationSpec):
        return ''
    return f'  {spec.licence_note}\n'


def listing(specs: Mapping[str, DatasetSpec]) -> str:
    """Lines of short name, number of images, access and title.

    Args:
        specs: descriptions by their short names.
    """
    lines = []
    for name, spec in specs.items():
        images = f'{spec.expected.images:,}' if spec.expected.images else '?'
        lines.append(f'{name:<24} {images:>8} images  {spec.access:<40.40}  {spec.title}\n')
    return ''.join(lines)
