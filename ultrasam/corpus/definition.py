"""What can be told of a description before any file is there: groups, categories, rows and tables that fit together."""

from __future__ import annotations

import re
import string
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from ultrasam.corpus.patterns import compiled
from ultrasam.errors import ConfigError

if TYPE_CHECKING:
    from ultrasam.corpus.spec import DatasetSpec, Rows, Table

_TUPLES = (
    'organs',
    'categories',
    'annotations',
    'archives',
    'tables',
    'rows',
    'classes',
    'notes',
    'downloads',
)


def check_definition(spec: DatasetSpec, derived: Iterable[str] = ()) -> None:
    """See that the parts of a description fit together.

    Args:
        spec: The description.
        derived: Groups that are made from others for each frame.

    Raises:
        ConfigError: They do not; the sentence names the field, what is wrong and what there is.
    """
    for fault in _faults(spec, derived):
        raise ConfigError(f'{spec.name}: {fault}')


def _faults(spec: DatasetSpec, derived: Iterable[str]) -> Iterator[str]:
    for name in _TUPLES:
        if not isinstance(getattr(spec, name), tuple):
            yield f'{name} is not a tuple: a single entry needs a comma behind it, ({name}=(...,))'
    for text in _patterns(spec):
        compiled(text)
    groups = set(compiled(spec.frames.pattern).names)
    yield from _table_faults(spec, groups)
    for name in spec.translate:
        if name not in groups:
            yield f'translate: no group {name!r} ({_known(groups)})'
    # functions may give further groups
    is_open = spec.read is not None or spec.adjust is not None
    if not is_open:
        yield from _template_faults(spec, groups | set(derived))
    yield from _class_faults(spec)
    yield from _annotation_faults(spec, groups, is_open=is_open)


def _patterns(spec: DatasetSpec) -> Iterator[str]:
    yield spec.frames.pattern
    yield from (table.pattern for table in spec.tables)
    yield from (rows.pattern for rows in spec.rows)
    yield from filter(None, (getattr(one, 'pattern', '') for one in spec.annotations))
    yield from (*spec.archives, *spec.leave_out, *spec.known_faults)


def _table_faults(spec: DatasetSpec, groups: set[str]) -> Iterator[str]:
    """Faults of tables, whose groups are added to those that are known."""
    for table in spec.tables:
        where = f'table {table.pattern}'
        yield from (f'{where}: on: {fault}' for text in table.on.values() for fault in _unknown(text, groups))
        for name in sorted(set(table.take) & groups):
            yield f'{where}: take gives the group {name!r}, which is there already'
        groups |= set(table.take)
    for rows in spec.rows:
        yield from (
            f'rows {rows.name!r}: on: {fault}'
            for text in rows.on.values()
            for fault in _unknown(text, groups)
        )
    everything: list[Table | Rows] = [*spec.tables, *spec.rows]
    for one in everything:
        if one.form == 'list' and not one.columns:
            yield f"{one.pattern}: the form 'list' needs the names of its columns (columns=...)"
    wanted = {str(word.rows) for word in spec.annotations if hasattr(word, 'rows')}
    given = {rows.name for rows in spec.rows}
    for name in sorted(wanted - given):
        yield f'an annotation reads the rows {name!r}, which nothing gives ({_known(given)})'
    if spec.read is None and not any(callable(one) for one in spec.annotations):
        for name in sorted(given - wanted):
            yield f'no annotation reads the rows {name!r}'


def _template_faults(spec: DatasetSpec, groups: set[str]) -> Iterator[str]:
    templates = {'subject': spec.subject or '', 'series': spec.series, 'label': spec.label}
    templates |= {
        'spacing_mm': spec.spacing_mm,
        **{f'noted[{key!r}]': text for key, text in spec.noted.items()},
    }
    if spec.split is not None:
        templates['split.by'] = spec.split.by
    for name, text in templates.items():
        yield from (f'{name}: {fault}' for fault in _unknown(text, groups))


def _class_faults(spec: DatasetSpec) -> Iterator[str]:
    for label in sorted(_values(spec.label, spec.translate) - set(spec.classes) - {''}):
        yield f'label: {spec.label!r} becomes {label!r}, which is none of the classes {", ".join(spec.classes)}'


def _annotation_faults(spec: DatasetSpec, groups: set[str], *, is_open: bool) -> Iterator[str]:
    frames = compiled(spec.frames.pattern).names
    for one in spec.annotations:
        pattern = getattr(one, 'pattern', '')
        own = compiled(pattern).names if pattern else frozenset()
        if pattern and not own & frames:
            yield f'{pattern} shares no group with {spec.frames.pattern}: which mask is of which image cannot be told'
        frame = getattr(one, 'frame', None)
        if pattern and frame and frame not in own:
            yield f'{pattern}: frame: no group {frame!r} ({_known(own)})'
        for template in _categories_of(one):
            if not is_open:
                yield from (f'category {template!r}: {fault}' for fault in _unknown(template, groups | own))
            for name in sorted(_values(template, spec.translate) - {one.name for one in spec.categories}):
                there = ', '.join(one.name for one in spec.categories)
                yield f'a rule gives the category {name!r}, which is none of the categories {there}'


def _categories_of(annotation: Any) -> list[str]:
    """Names of categories, or templates of them, that an annotation or its rule gives."""
    rule = getattr(annotation, 'rule', annotation)
    names = getattr(rule, 'names', {})
    found = [getattr(rule, 'category', ''), *(names.values() if isinstance(names, Mapping) else ())]
    return [str(text) for text in found if text]


def _values(template: str, translate: Mapping[str, Mapping[str, str]]) -> set[str]:
    """What a template may become, as far as ``translate`` tells; nothing where a group may be anything."""
    names = _names(template)
    if not template or len(names) > 1 or not names <= set(translate):
        return set()
    if not names:
        return {template}
    name = names.pop()
    return {re.sub(r'\{[^{}]*\}', text, template) for text in translate[name].values()}


def _names(template: str) -> set[str]:
    try:
        return {name for _, name, _, _ in string.Formatter().parse(template) if name is not None}
    except ValueError as error:
        raise ConfigError(f'template {template!r}: {error}') from error


def _unknown(template: str, groups: Iterable[str]) -> Iterator[str]:
    for name in sorted(_names(template) - set(groups)):
        yield f'{template!r} names no group of a pattern or table: {name!r} ({_known(groups)})'


def _known(names: Iterable[str]) -> str:
    return f'there are: {", ".join(sorted(names)) or "none"}'
