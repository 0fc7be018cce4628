"""Rows of CSV, text, spreadsheet and JSON files, every value as text."""

from __future__ import annotations

import csv
import json
from collections import defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from ultrasam.corpus.errors import RawFileError
from ultrasam.corpus.patterns import fill, natural_key
from ultrasam.corpus.spec import Rows, Table
from ultrasam.corpus.tree import RawTree

Row = dict[str, Any]


class RowIndex:
    """Rows of the files that a table names, found by what its ``on`` says.

    Args:
        table: which files, and how they are read.
        tree: the files.

    Raises:
        RawFileError: no such file, or one that cannot be read.
    """

    def __init__(self, table: Table | Rows, tree: RawTree) -> None:
        self.table = table
        self.pattern = table.pattern
        self.files: list[str] = []
        self._rows: dict[tuple[str, ...], list[Row]] = {}
        self._first_file: dict[tuple[str, ...], str] = {}
        self._asked: set[tuple[str, ...]] = set()
        taken = table.take.values() if isinstance(table, Table) else ()
        for path, _, groups in tree.matching(table.pattern):
            self.files.append(path)
            for row in _read(table, tree.files[path], path):
                row = {**groups, **row}
                missing = [column for column in (*table.on, *taken) if column not in row]
                if missing:
                    raise RawFileError(
                        f'{path} has no column {missing[0]!r} (columns: {", ".join(map(str, row))}). '
                        + _other_delimiter(table, row)
                    )
                key = tuple(str(row[column]).strip() for column in table.on)
                self._rows.setdefault(key, []).append(row)
                self._first_file.setdefault(key, path)
        if not self.files and getattr(table, 'missing', 'fault') == 'fault':
            raise RawFileError(f'no file matches the table {table.pattern}: is the download complete?')

    def of(self, groups: Mapping[str, str]) -> list[Row]:
        """Rows of an item with these groups, in the order of the file."""
        key = tuple(fill(template, groups) for template in self.table.on.values())
        self._asked.add(key)
        return self._rows.get(key, [])

    @property
    def unasked(self) -> list[tuple[str, str]]:
        """What the table names that no item has asked for, each with its file, in their order."""
        keys = self._rows.keys() - self._asked
        found = [(self._first_file[key], ' '.join(key)) for key in keys]
        return sorted(found, key=lambda pair: (natural_key(pair[0]), natural_key(pair[1])))

    @property
    def without_item(self) -> int:
        """How many things the table names that no item has asked for."""
        return len(self._rows.keys() - self._asked)


def _other_delimiter(table: Table | Rows, row: Row) -> str:
    """What may be wrong with a table that lacks a column."""
    header = ' '.join(map(str, row))
    for mark, name in ((';', 'semicolons'), ('\t', 'tabs'), (',', 'commas')):
        if table.form == 'csv' and mark in header and mark != table.delimiter:
            return f'Its columns seem to be separated by {name}, where {table.delimiter!r} is described: save it again'
    return 'Is this the release that is described?'


def _read(table: Table | Rows, path: Path, name: str) -> Iterator[Row]:
    try:
        if table.form == 'xlsx':
            yield from _spreadsheet(path, name)
        elif table.form == 'coco':
            yield from _coco_objects(path)
        elif table.form == 'index':
            content = json.loads(path.read_text(encoding=table.encoding))
            yield from (
                {'list': key, 'value': str(value)} for key, values in content.items() for value in values
            )
        elif table.form == 'list':
            yield from _lines(table, path, name)
        else:
            with path.open(encoding=table.encoding, newline='') as file:
                yield from _csv_rows(csv.DictReader(file, delimiter=table.delimiter or ','), name)
    except (OSError, UnicodeDecodeError, ValueError, KeyError, TypeError, csv.Error) as error:
        if isinstance(error, RawFileError):
            raise
        raise RawFileError(f'{name}: cannot be read as {table.form} ({error}). Download it again') from error


def _csv_rows(reader: csv.DictReader[str], name: str) -> Iterator[Row]:
    reader.fieldnames = [column.strip().lstrip('#') for column in reader.fieldnames or []]
    for row in reader:
        # a row of too many or too few columns
        if None in row or None in row.values():
            raise RawFileError(f'{name}, line {reader.line_num}: not {len(reader.fieldnames or [])} columns')
        yield dict(row)


def _lines(table: Table | Rows, path: Path, name: str) -> Iterator[Row]:
    for number, line in enumerate(path.read_text(encoding=table.encoding).splitlines(), start=1):
        if not line.strip():
            continue
        values = [value.strip() for value in line.strip().split(table.delimiter)]
        if len(values) != len(table.columns):
            raise RawFileError(f'{name}, line {number}: {line!r} has not the columns {table.columns}')
        yield dict(zip(table.columns, values, strict=True))


def _spreadsheet(path: Path, name: str) -> Iterator[Row]:
    from openpyxl import load_workbook  # type: ignore[import-untyped]

    book = load_workbook(path, read_only=True, data_only=True)
    try:
        rows = book.active.iter_rows(values_only=True)
        header = [str(value).strip() for value in next(rows)]
        for values in rows:
            yield dict(zip(header, ('' if value is None else str(value) for value in values), strict=True))
    finally:
        book.close()


def _coco_objects(path: Path) -> Iterator[Row]:
    """One row an object; an image without objects gives a row without category."""
    content = json.loads(path.read_text(encoding='utf-8'))
    objects: defaultdict[Any, list[dict[str, Any]]] = defaultdict(list)
    for annotation in content['annotations']:
        objects[annotation['image_id']].append(annotation)
    for image in content['images']:
        shared = {'file_name': str(image['file_name'])}
        for annotation in objects.pop(image['id'], [{'category_id': '', 'segmentation': []}]):
            yield {
                **shared,
                'category_id': str(annotation['category_id']),
                'segmentation': annotation['segmentation'],
            }
    if objects:
        raise RawFileError(
            f'{path.name}: objects of images {sorted(objects)[:3]}, which the file does not list'
        )
