"""Tables, and how files are paired."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from tests.corpus.raw_trees.common import write
from tests.corpus.test_sweep import DESCRIPTIONS, build
from ultrasam.corpus.engine import convert_dataset
from ultrasam.corpus.errors import RawFileError
from ultrasam.corpus.loading import load_spec
from ultrasam.corpus.plan import Plan, make_plan
from ultrasam.corpus.spec import Category, DatasetSpec, Rows, Split, Table
from ultrasam.corpus.tables import RowIndex
from ultrasam.corpus.tree import open_tree
from ultrasam.corpus.words import ImageFiles, MaskFiles, Nonzero


def index(folder: Path, table: Table | Rows) -> RowIndex:
    return RowIndex(table, open_tree(folder, folder / 'scratch', []))


def test_csv_with_its_own_delimiter_and_a_mark_in_front(tmp_path: Path) -> None:
    (tmp_path / 'INFO.csv').write_bytes('\ufeff#Image; Label\nA_1.png;Benign \n'.encode())
    table = Table('INFO.csv', on={'Image': '{id}.png'}, take={'label': 'Label'}, delimiter=';')
    assert index(tmp_path, table).of({'id': 'A_1'}) == [{'Image': 'A_1.png', 'Label': 'Benign '}]


def test_path_of_a_list_is_a_column(tmp_path: Path) -> None:
    write(tmp_path / 'train.txt', '1.JPG  3\n\n2.JPG  0\n')
    write(tmp_path / 'val.txt', '7.JPG 1\n')
    table = Table(
        '{part:train|val}.txt',
        on={'file': '{n:d}.JPG'},
        take={},
        form='list',
        columns=('file', 'class'),
        delimiter=None,
    )
    rows = index(tmp_path, table)
    assert rows.of({'n': '0007'}) == [{'part': 'val', 'file': '7.JPG', 'class': '1'}]
    assert rows.without_item == 2


def test_index_and_spreadsheet_and_coco(tmp_path: Path) -> None:
    write(tmp_path / 'i.json', json.dumps({'train': [0, 2], 'val': [1]}))
    table = Table('i.json', on={'value': '{n:d}'}, take={}, form='index')
    assert index(tmp_path, table).of({'n': '02'}) == [{'list': 'train', 'value': '2'}]
    content = {
        'images': [{'id': 5, 'file_name': 'a.jpg'}, {'id': 6, 'file_name': 'b.jpg'}],
        'annotations': [{'image_id': 5, 'category_id': 2, 'segmentation': [[1, 1, 2, 2, 3, 1]]}],
    }
    write(tmp_path / 'c.json', json.dumps(content))
    objects = Rows('o', 'c.json', on={'file_name': '{n}.jpg'}, form='coco')
    rows = index(tmp_path, objects)
    assert [row['category_id'] for row in rows.of({'n': 'a'})] == ['2']
    assert [row['category_id'] for row in rows.of({'n': 'b'})] == ['']
    content['annotations'][0]['image_id'] = 9
    write(tmp_path / 'c.json', json.dumps(content))
    with pytest.raises(RawFileError, match=r'images \[9\]'):
        index(tmp_path, objects)


def test_spreadsheet(tmp_path: Path) -> None:
    openpyxl = pytest.importorskip('openpyxl')
    book = openpyxl.Workbook()
    book.active.append(['Image', 'Age'])
    book.active.append(['a.png', 51])
    book.save(tmp_path / 't.xlsx')
    table = Table('t.xlsx', on={'Image': '{n}.png'}, take={}, form='xlsx')
    assert index(tmp_path, table).of({'n': 'a'}) == [{'Image': 'a.png', 'Age': '51'}]


@pytest.mark.parametrize(
    ('text', 'match'),
    [
        ('ID,a\n1\n', 'line 2: not 2 columns'),
        ('ID,a\n1,2,3\n', 'line 2'),
        ('other,a\n1,2\n', "no column 'ID'"),
    ],
)
def test_damaged_table(text: str, match: str, tmp_path: Path) -> None:
    write(tmp_path / 't.csv', text)
    with pytest.raises(RawFileError, match=match):
        index(tmp_path, Table('t.csv', on={'ID': '{n}'}, take={}))


def test_missing_table(tmp_path: Path) -> None:
    with pytest.raises(RawFileError, match=r'no file matches the table t\.csv'):
        index(tmp_path, Table('t.csv', on={'ID': '{n}'}, take={}))


def plan(folder: Path, **changes: object) -> Plan:
    spec = DatasetSpec(
        **{
            'name': 'T',
            'title': 't',
            'homepage': 'h',
            'licence': '',
            'citation': 'c',
            'access': 'a',
            'categories': (Category('a', 'a'),),
            'frames': ImageFiles('images/{n}.png'),
            'annotations': (MaskFiles('masks/{n}.png', Nonzero('a')),),
            **changes,
        }
    )
    return make_plan(spec, open_tree(folder, folder / 'scratch', []))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ('1', '2', '10'):
        write(tmp_path / f'images/{name}.png', '')
        write(tmp_path / f'masks/{name}.png', '')
    return tmp_path


def test_items_are_in_natural_order_and_other_files_are_told(folder: Path) -> None:
    write(folder / 'notes.txt', '')
    found = plan(folder)
    assert [item.key for item in found.items] == ['images/1.png', 'images/2.png', 'images/10.png']
    assert found.unused == ('notes.txt',)


@pytest.mark.parametrize(('absent', 'items', 'faults'), [('fault', 2, 1), ('skip', 2, 0), ('empty', 3, 0)])
def test_image_without_mask(folder: Path, absent: str, items: int, faults: int) -> None:
    (folder / 'masks/2.png').unlink()
    found = plan(folder, annotations=(MaskFiles('masks/{n}.png', Nonzero('a'), absent=absent),))  # type: ignore[arg-type]
    assert (len(found.items), len(found.faults)) == (items, faults)
    assert found.left_out.total() == (absent == 'skip')


@pytest.mark.parametrize(
    ('text', 'match'), [('n,s\n1,a\n2,a\n', 'no row'), ('n,s\n1,a\n2,a\n10,a\n10,b\n', 'disagree')]
)
def test_row_that_is_missing_or_contradicts_itself_is_no_guess(folder: Path, text: str, match: str) -> None:
    write(folder / 't.csv', text)
    found = plan(folder, tables=(Table('t.csv', on={'n': '{n}'}, take={'s': 's'}),), subject='{s}')
    assert [item.key for item in found.items] == ['images/1.png', 'images/2.png']
    assert match in str(found.faults[0])
    assert found.faults[0].file == 'images/10.png'


def test_unknown_values_are_faults(folder: Path) -> None:
    found = plan(folder, translate={'n': {'1': 'one', '2': 'two'}})
    assert "n = '10' is none of ['1', '2']" in str(found.faults[0])
    found = plan(folder, split=Split('{n}', test=('1',), train=('2',)))
    assert [item.part for item in found.items] == ['test', 'train']
    assert 'no part' in str(found.faults[0])


def test_table_that_not_every_copy_has(folder: Path) -> None:
    table = Table('t.csv', on={'n': '{n}'}, take={'s': 's'}, missing='empty')
    found = plan(folder, tables=(table,))
    assert [item.groups['s'] for item in found.items] == ['', '', '']
    assert dict(found.left_out) == {'no table t.csv, so that what it tells is not known': 1}
    # where it is there, it holds as any table does
    write(folder / 't.csv', 'n,s\n1,a\n2,b\n')
    found = plan(folder, tables=(table,))
    assert [item.groups['s'] for item in found.items] == ['a', 'b']
    assert [fault.file for fault in found.faults] == ['images/10.png']


def with_csv_columns() -> list[tuple[str, str]]:
    """Each description with a CSV table, and each column that the table is asked for."""
    found = []
    for name, path in DESCRIPTIONS.items():
        for table in load_spec(path).tables:
            if table.form == 'csv':
                found += [(name, column) for column in (*table.on, *table.take.values())]
    return found


@pytest.mark.parametrize(('name', 'column'), with_csv_columns())
def test_a_column_that_is_missing_is_named_with_those_that_are_there(
    name: str, column: str, tmp_path: Path
) -> None:
    source = build(name, tmp_path / 'raw').source
    for path in source.rglob('*.csv'):
        header, _, rest = path.read_text(encoding='utf-8-sig').partition('\n')
        path.write_text(
            re.sub(rf'(?<![^,;]){re.escape(column)}(?![^,;\r])', 'elsewhere', header) + '\n' + rest
        )
    with pytest.raises(
        RawFileError, match=rf"\.csv has no column '{re.escape(column)}' \(columns: .*elsewhere.*\)\. Is this"
    ):
        convert_dataset(DESCRIPTIONS[name], source, tmp_path / 'out')
