"""What the commands that convert data sets say of sets of classified images: terms, licences, a list of them."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import TextIO

from ultrasam.corpus.classification.spec import ClassificationSpec, check_terms
from ultrasam.corpus.spec import DatasetSpec

_ANSWER = 'accept'


def accept_terms(spec: DatasetSpec, *, accepted: bool, answers: TextIO | None = None) -> bool:
    """Show the terms of a data set, if it has some, and see that they are accepted.

    Args:
        spec: the description.
        accepted: whether ``--accept-terms`` was given.
        answers: where the answer of a user comes from; None: the standard input, if it is a terminal.

    Returns:
        Whether terms were accepted; false where there are none.

    Raises:
        TermsError: they were not.
    """
    if not isinstance(spec, ClassificationSpec) or not spec.terms:
        return False
    sys.stdout.write(f'{spec.title}\n  {spec.terms}\n  {spec.terms_link}\n')
    answers = answers or (sys.stdin if sys.stdin is not None and sys.stdin.isatty() else None)
    if not accepted and answers is not None:
        sys.stdout.write(f"Type '{_ANSWER}' if you accept these terms and may use the data: ")
        sys.stdout.flush()
        accepted = answers.readline().strip().lower() == _ANSWER
    check_terms(spec, accepted=accepted)
    return True


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
