"""``ultrasam data fetch`` of a description whose files are on this machine."""

from __future__ import annotations

import hashlib
import io
import json
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.downloads.server import FileServer, serving
from tests.downloads.test_faulty_server import BODY, OTHER
from ultrasam.cli.main import main
from ultrasam.cli.terms import settings_folder
from ultrasam.corpus.library import known_descriptions
from ultrasam.corpus.loading import load_spec

SHA256 = hashlib.sha256(BODY).hexdigest()
DESCRIPTION = """from ultrasam.corpus import Category, DatasetSpec, Download, ImageFiles, MaskFiles, Nonzero

SPEC = DatasetSpec(
    name='TINY',
    title='Tiny dataset',
    homepage='https://data.invalid',
    licence='CC0-1.0',
    citation='Nobody, 2026',
    access='open',
    categories=(Category('a', 'b'),),
    frames=ImageFiles('images/{n}.png'),
    annotations=(MaskFiles('masks/{n}.png', Nonzero('a')),),
    downloads=(
        Download(file='a.zip', urls=('URL/a.zip',)),  # the images, über alles
        Download(file='b.zip', urls=('URL/b.zip',), sha256='DIGEST'),
    ),
)
"""


@pytest.fixture
def server() -> Iterator[FileServer]:
    with serving() as server:
        yield server


@pytest.fixture
def description(server: FileServer, tmp_path: Path) -> Path:
    path = tmp_path / 'tiny.py'
    text = DESCRIPTION.replace('URL', server.url).replace('DIGEST', SHA256)
    path.write_text(text, encoding='utf-8')
    return path


def fetch(description: Path, *options: str) -> int:
    out = description.parent / 'downloads'
    return main(['data', 'fetch', str(description), '--out', str(out), *options])


def test_terms_are_shown_and_accepted_once(
    description: Path, server: FileServer, capsys: pytest.CaptureFixture[str]
) -> None:
    assert fetch(description) == 4
    shown = capsys.readouterr().out
    assert 'licence: CC0-1.0' in shown
    assert 'run again with --accept-terms' in shown
    assert server.requests == []
    assert fetch(description, '--accept-terms') == 0
    assert 'next: ultrasam data convert tiny' in capsys.readouterr().out
    folder = description.parent / 'downloads/tiny'
    assert ((folder / 'a.zip').read_bytes(), (folder / 'b.zip').read_bytes()) == (OTHER, BODY)
    assert fetch(description) == 0
    assert 'licence' not in capsys.readouterr().out
    assert len(server.requests) == 2
    description.write_text(description.read_text().replace('CC0-1.0', 'CC BY-NC 4.0'))
    load_spec.cache_clear()
    assert fetch(description) == 4, 'other terms are asked for anew'


def test_settings_that_are_damaged_or_cannot_be_written(
    description: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    settings_folder().mkdir(parents=True)
    (settings_folder() / 'accepted_terms.json').write_text('[["TINY"]]')
    assert fetch(description) == 4
    blocked = description.parent / 'file'
    blocked.write_text('')
    monkeypatch.setenv('XDG_CONFIG_HOME', str(blocked))
    assert fetch(description, '--accept-terms') == 0
    assert 'you will be asked again' in capsys.readouterr().err


def test_an_answer_at_the_terminal(description: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    monkeypatch.setattr(sys, 'stdin', Terminal('no\n'))
    assert fetch(description) == 4
    monkeypatch.setattr(sys, 'stdin', Terminal('accept\n'))
    assert fetch(description) == 0
    entries = json.loads((settings_folder() / 'accepted_terms.json').read_text())
    assert entries['TINY'].keys() == {'sha256', 'date'}


def test_wrong_bytes_and_missing_files_have_codes_of_their_own(
    description: Path, server: FileServer, capsys: pytest.CaptureFixture[str]
) -> None:
    server.files['b.zip'] = OTHER
    assert fetch(description, '--accept-terms') == 4
    said = capsys.readouterr().out
    assert 'not fetched' in said
    assert (description.parent / 'downloads/tiny/a.zip').exists(), (
        'one wrong file does not keep the other away'
    )
    del server.files['b.zip']
    assert fetch(description) == 3
    assert 'there is no such file' in capsys.readouterr().out


def test_a_mirror(description: Path, server: FileServer) -> None:
    assert fetch(description, '--accept-terms', '--mirror', f'{server.url}/mirror') == 0
    assert [path for path, _, _ in server.requests] == ['/mirror/tiny/a.zip', '/mirror/tiny/b.zip']
    assert fetch(description, '--overwrite', '--mirror', 'mirror.example') == 2


def test_record_writes_what_the_description_does_not_state(
    description: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = load_spec(description)
    assert fetch(description, '--accept-terms', '--record') == 0
    said = capsys.readouterr().out
    assert 'a.zip: recorded size, sha256, fetched' in said
    assert 'b.zip: recorded size, fetched' in said
    a, b = load_spec(description).downloads
    assert (a.size, a.sha256) == (len(OTHER), hashlib.sha256(OTHER).hexdigest())
    assert (b.size, b.sha256) == (len(BODY), SHA256)
    assert a.fetched == b.fetched != ''
    assert (a.urls, b.urls) == tuple(one.urls for one in before.downloads)
    text = description.read_text(encoding='utf-8')
    assert '# the images, über alles' in text
    assert fetch(description, '--record') == 0
    assert description.read_text(encoding='utf-8') == text


def test_a_dataset_without_an_address_says_where_to_ask(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(['data', 'fetch', 'echonet_dynamic']) == 3
    assert 'Obtain it from https://' in capsys.readouterr().out


def test_list_has_a_line_for_every_dataset(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(['data', 'fetch', '--list']) == 0
    lines = capsys.readouterr().out.splitlines()
    assert {line.split()[0] for line in lines} == set(known_descriptions())


@pytest.mark.parametrize('words', [[], ['busi', '--list'], ['no_such_set'], ['absent.py']])
def test_wrong_use(words: list[str]) -> None:
    assert main(['data', 'fetch', *words]) == 2
