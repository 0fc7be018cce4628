"""What a description of a set of classified images says, beyond what every description does.

Such a set has no outlines: each image has one class, and lists of images and classes say what trains and what
tests. A description is a file in ``datasets/classification``; the rest is as :mod:`ultrasam.corpus.spec` says.
Example::

    SPEC = ClassificationSpec(
        name='FattyLiver',
        ...,
        frames=MatlabRecords('*.mat', 'data', values={'patient': 0, 'steatosis': 1}, stack=3),
        derived=(Derived('pathology', of='{steatosis}', rules={'0': 'Normal', '1': 'NFLD'}),),
        subject='{patient}',
        label='{pathology}',
        classes=('Normal', 'NFLD'),
        lists=(ClassLists(Split('{patient}', test=('3', '5'), val=('7',))),),
    )
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from ultrasam.corpus.patterns import fill
from ultrasam.corpus.spec import Category, DatasetSpec, Split
from ultrasam.errors import ConfigError, InputError

PARTS = ('train', 'val', 'test')


class TermsError(ConfigError):
    """Terms of a data set that were not accepted; nothing was read or written."""


@dataclass(frozen=True)
class Derived:
    r"""A group made from others: the first expression that fits a whole text says what it becomes.

    Args:
        group: the new group.
        of: template of the text.
        rules: for an expression the template of the value, which may name its groups; a text that none fits is a
            fault.

    Example:
        >>> Derived('patient', of='{stem}', rules={r'Reg_(?P<who>pat\d+)Image.*': '{who}'}).value_of(
        ...     {'stem': 'Reg_pat2Image_7'}
        ... )
        'pat2'
    """

    group: str
    of: str
    rules: Mapping[str, str]

    def value_of(self, groups: Mapping[str, str]) -> str:
        """The value.

        Raises:
            InputError: no rule fits.
        """
        text = fill(self.of, groups)
        for expression, template in self.rules.items():
            found = re.fullmatch(expression, text)
            if found is not None:
                return fill(template, {**groups, **found.groupdict('')})
        raise InputError(f'{self.group}: {text!r} fits none of {", ".join(self.rules)}')


@dataclass(frozen=True)
class DrawnParts:
    """Parts that are drawn: units, which are never divided, are put into test, then others into val.

    Args:
        by: template of the unit.
        rule: ``'shuffled'``: units in the order of their names are permuted by NumPy's ``RandomState(seed)``, and the
            first ``ceil(share * units)`` are taken, as scikit-learn's ``GroupShuffleSplit`` does. ``'balanced'``: whole
            units up to the share of the images, each class on both sides if that is possible; units that share an
            image, byte by byte, stay together.
        test: share that tests.
        val: share of the rest that validates.
        seed: another one gives other parts.
        units: how many units the release has for certain; with another number the parts are not the published ones.
    """

    by: str
    rule: Literal['shuffled', 'balanced'] = 'balanced'
    test: float = 0.2
    val: float = 0.1
    seed: int = 42
    units: int | None = None


@dataclass(frozen=True)
class ClassLists:
    """Lists of images and classes: ``train``, ``val_classification`` and ``test_classification``, each ``SUFFIX.txt``.

    Args:
        parts: the part of each image: by patterns, or drawn.
        origin: who made this split, in a few words.
        suffix: of the file names.
        leak: why a subject may be in several parts: for a published split that does not keep them apart. Where it is
            empty, such a subject is a fault.
    """

    parts: Split | DrawnParts
    origin: str
    suffix: str = ''
    leak: str = ''

    def file_name(self, part: str) -> str:
        """Of the list of a part.

        Example:
            >>> ClassLists(DrawnParts('{n}'), 'ours', suffix='_by_patient').file_name('val')
            'val_classification_by_patient.txt'
        """
        return f'{part if part == "train" else f"{part}_classification"}{self.suffix}.txt'


@dataclass(frozen=True, kw_only=True)
class ClassificationSpec(DatasetSpec):
    """The description of a set of classified images.

    Args:
        lists: splits, each with files of its own.
        derived: groups made from others, in this order, for each frame.
        terms: terms that a user must accept before anything is read or written; empty if there are none such.
        terms_link: where they are.
        categories: none.
    """

    categories: tuple[Category, ...] = ()
    lists: tuple[ClassLists, ...] = ()
    derived: tuple[Derived, ...] = ()
    terms: str = ''
    terms_link: str = ''

    def check_contents(self) -> None:
        """See that the description can work."""
        suffixes = [one.suffix for one in self.lists]
        if not suffixes or len(set(suffixes)) != len(suffixes):
            raise ConfigError(
                f'{self.name}: lists with the suffixes {suffixes} must be some, and each only once'
            )
        if not self.label or len(set(self.classes)) != len(self.classes):
            raise ConfigError(f'{self.name}: no label, or classes {self.classes} that are not different')
        if self.categories or self.split is not None:
            raise ConfigError(f'{self.name}: categories or split, which a set of classified images has not')
        for one in self.derived:
            for expression in one.rules:
                _check_expression(self.name, expression)

    @property
    def licence_note(self) -> str:
        """What a user should know of the licence, in a sentence."""
        if self.licence:
            return f'Licence: {self.licence}'
        return 'Licence: not stated by the release; ask its authors before you use or pass on the images'

    @property
    def derived_groups(self) -> tuple[str, ...]:
        """Groups that rules make from others."""
        return tuple(one.group for one in self.derived)

    def completed(self, groups: Mapping[str, str]) -> Mapping[str, str]:
        """Groups of a frame, with those that are derived."""
        known = dict(groups)
        for one in self.derived:
            known[one.group] = one.value_of(known)
        return known

    def extras(self, groups: Mapping[str, str]) -> dict[str, Any]:
        """What the record of a frame says beyond that of other data sets: its part or unit in each list."""
        places = {}
        for one in self.lists:
            parts = one.parts
            places[one.suffix] = parts.part_of(groups) if isinstance(parts, Split) else fill(parts.by, groups)
        return {**super().extras(groups), 'places': places}


def check_terms(spec: ClassificationSpec, *, accepted: bool) -> None:
    """See that the terms of a data set are accepted, if it has some.

    Raises:
        TermsError: they are not.
    """
    if spec.terms and not accepted:
        raise TermsError(
            f'{spec.name}: its terms were not accepted, so nothing was read or written. {spec.terms} '
            f'Read them at {spec.terms_link}; if you may use the data, run again with --accept-terms'
        )


def _check_expression(name: str, expression: str) -> None:
    try:
        re.compile(expression)
    except re.error as error:
        raise ConfigError(f'{name}: {expression!r} is no expression ({error})') from error
