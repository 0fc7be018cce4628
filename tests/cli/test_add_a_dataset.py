"""docs/add_a_dataset.md, followed literally: its commands are typed and its files are written."""

from __future__ import annotations

import csv
import json
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.golden import ROOT
from tests.packaging.test_project_files import load_by_path
from ultrasam.cli.main import main
from ultrasam.corpus.errors import DataFaultsError
from ultrasam.corpus.loading import load_spec

PAGE = (ROOT / 'docs/add_a_dataset.md').read_text(encoding='utf-8')
FINDINGS = {
    'P01_left': 'benign',
    'P01_right': 'benign',
    'P02_left': 'malignant',
    'P03_left': 'benign',
    'P04_right': 'malignant',
}


def blocks(text: str) -> Iterator[tuple[str, str]]:
    """Language and content of each block of code, in order."""
    for match in re.finditer(r'^```(\w+)\n(.*?)^```$', text, re.MULTILINE | re.DOTALL):
        yield match[1], match[2]


def write_release(root: Path) -> None:
    """Write the release that the page shows."""
    for folder in ('scans', 'outlines'):
        (root / folder).mkdir(parents=True)
    for number, name in enumerate(FINDINGS):
        random = np.random.default_rng(number)
        Image.fromarray(random.integers(0, 90, (48, 64), dtype=np.uint8)).save(root / f'scans/{name}.png')
        values = np.zeros((48, 64), np.uint8)
        values[8:28, 10:50] = 1
        values[12:20, 20 : 20 + 4 * (number + 1)] = 2
        mask = Image.fromarray(values, 'P')
        mask.putpalette([0, 0, 0, 255, 255, 255, 255, 255, 254])  # colours that hardly differ
        mask.save(root / f'outlines/{name}.png')
    with (root / 'findings.csv').open('w', newline='') as file:
        csv.writer(file).writerows([('image', 'diagnosis'), *FINDINGS.items()])


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    write_release(tmp_path / 'downloads/thyroid_demo')
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_page_shows_the_release(folder: Path) -> None:
    (listing,) = (text for language, text in blocks(PAGE) if language == 'text')
    shown = {line.split()[0] for line in listing.splitlines()}
    release = folder / 'downloads/thyroid_demo'
    assert shown == {path.relative_to(folder).as_posix() for path in release.rglob('*') if path.is_file()}


def test_the_page_is_followed_literally(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    typed = 0
    for language, text in blocks(PAGE):
        if language == 'python':
            name = text.split('\n', 1)[0].removeprefix('# ')
            assert (folder / name).is_file(), 'it is an edit of what `new` wrote'
            (folder / name).write_text(text, encoding='utf-8')
        for line in text.splitlines() if language == 'bash' else ():
            program, *words = shlex.split(line)
            if program == 'ultrasam':
                assert main(words) == 0, (line, capsys.readouterr())
                typed += 1
    assert typed == 5
    said = capsys.readouterr().out
    assert '5 files match scans/{patient}_{side:left|right}.png' in said
    assert "first: scans/P01_left.png: diagnosis='benign', patient='P01', side='left'" in said
    assert 'subjects: 4, such as P01' in said
    assert 'unused' not in said
    with Image.open(folder / 'thyroid_demo.plan.png') as sheet:
        assert min(sheet.size) > 300
    coco = json.loads((folder / 'data/thyroid_demo/annotations/thyroid_demo__coco.json').read_text())
    names = {one['id']: one['name'] for one in coco['categories']}
    labels = {one['id']: (one['subject'], one['label']) for one in coco['images']}
    areas = {
        (*labels[one['image_id']], names[one['category_id']], one['area']) for one in coco['annotations']
    }
    gland, nodule = 'thyroid_gland', 'thyroid_nodule'
    assert areas == {
        ('P01', 'benign', gland, 768), ('P01', 'benign', nodule, 32),
        ('P01', 'benign', gland, 736), ('P01', 'benign', nodule, 64),
        ('P02', 'malignant', gland, 704), ('P02', 'malignant', nodule, 96),
        ('P03', 'benign', gland, 672), ('P03', 'benign', nodule, 128),
        ('P04', 'malignant', gland, 640), ('P04', 'malignant', nodule, 160),
    }  # fmt: skip
    sides = [
        {image['subject'] for image in json.loads(path.read_text())['images']}
        for path in sorted((folder / 'data/thyroid_demo/annotations').glob('[tv]*.thyroid_demo__coco.json'))
    ]
    assert len(sides) == 2
    assert not sides[0] & sides[1]


def test_what_new_writes_passes_its_own_test(folder: Path) -> None:
    assert main(['data', 'new', 'my_liver']) == 0
    test = load_by_path(folder / 'test_my_liver.py').test_the_release_is_read
    test(folder / 'good')
    description = folder / 'my_liver.py'
    description.write_text(description.read_text().replace('2: ', '3: '))
    load_spec.cache_clear()
    with pytest.raises(DataFaultsError, match='could not be converted'):
        test(folder / 'broken')


def test_new_refuses_what_it_cannot_write(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(['data', 'new', 'my-liver']) == 2
    assert main(['data', 'new', '../liver']) == 2
    assert main(['data', 'new', 'liver', '--out', 'deep/er']) == 0
    assert main(['data', 'new', 'liver', '--out', 'deep/er']) == 5
    assert main(['data', 'new', 'liver', '--out', 'deep/er', '--overwrite']) == 0
    assert 'test_liver.py' in capsys.readouterr().out
