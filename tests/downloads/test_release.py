"""A release from its record to a folder, with services that answer from this machine."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.downloads.server import Behaviour, FileServer, serving
from tests.downloads.test_faulty_server import BODY, OTHER
from ultrasam.downloads.download import Download
from ultrasam.downloads.integrity import DownloadError
from ultrasam.downloads.records import Services, list_record
from ultrasam.downloads.release import Release, fetch_release
from ultrasam.downloads.transfer import Patience
from ultrasam.errors import ConfigError

HASTE = Patience(attempts=2, first_wait_s=0.0, timeout_s=2.0)
SHA256, MD5 = hashlib.sha256(BODY).hexdigest(), hashlib.md5(BODY).hexdigest()  # noqa: S324
ZENODO = Download(file='train.zip', doi='10.5281/zenodo.123')


@pytest.fixture
def server() -> Iterator[FileServer]:
    with serving() as server:
        server.files.update({'f/1': BODY, 'f/2': OTHER})
        record(
            server,
            'records/123',
            {'files': [zenodo(server, 'train.zip', 'f/1', MD5), zenodo(server, 'val.zip', 'f/2', '')]},
        )
        yield server


def record(server: FileServer, path: str, answer: Any) -> None:
    server.files[path] = json.dumps(answer).encode()


def zenodo(server: FileServer, name: str, path: str, md5: str) -> dict[str, Any]:
    one = {'key': name, 'size': len(server.files[path]), 'links': {'self': f'{server.url}/{path}'}}
    return {**one, 'checksum': f'md5:{md5}'} if md5 else one


def services(server: FileServer) -> Services:
    return Services(zenodo=server.url, mendeley=f'{server.url}/m', figshare=f'{server.url}/fs')


def fetch(server: FileServer, folder: Path, *downloads: Download, **options: Any) -> Release:
    return fetch_release(
        downloads, folder, services=services(server), patience=HASTE, show_progress=False, **options
    )


def paths(server: FileServer) -> list[str]:
    return [path for path, _, _ in server.requests]


def test_a_doi_gives_address_size_and_digest(server: FileServer, tmp_path: Path) -> None:
    done = fetch(server, tmp_path, ZENODO)
    assert done.failures == {}
    assert (tmp_path / 'train.zip').read_bytes() == BODY
    assert done.fetched['train.zip'].checked_by == 'md5; its sha256 is recorded from now on'
    server.requests.clear()
    assert fetch(server, tmp_path, ZENODO).fetched['train.zip'].source == ''
    assert server.requests == [], 'what is there and recorded needs no network'


def test_wrong_bytes_behind_a_doi_are_refused(server: FileServer, tmp_path: Path) -> None:
    server.files['f/1'] = OTHER
    done = fetch(server, tmp_path, ZENODO)
    assert done.wrong == {'train.zip'}
    assert 'md5 is' in done.failures['train.zip']
    assert list(tmp_path.iterdir()) == []


def test_a_pattern_takes_the_files_of_a_record_that_fit(server: FileServer, tmp_path: Path) -> None:
    done = fetch(server, tmp_path, dataclasses.replace(ZENODO, file='*.zip'))
    assert sorted(done.fetched) == ['train.zip', 'val.zip']
    assert paths(server).count('/records/123') == 1, 'a record is asked for once'
    none = fetch(server, tmp_path, dataclasses.replace(ZENODO, file='*.rar'))
    assert none.failures == {
        '*.rar': 'doi 10.5281/zenodo.123 has no file of this name; it has train.zip, val.zip'
    }


def test_one_file_that_fails_does_not_keep_the_others_away(server: FileServer, tmp_path: Path) -> None:
    by_hand = Download(file='more.zip', by_hand='Ask for it at https://data.invalid.')
    gone = Download(file='gone.zip', urls=(f'{server.url}/gone.zip',))
    done = fetch(server, tmp_path, by_hand, gone, ZENODO)
    assert sorted(done.fetched) == ['train.zip']
    assert done.failures['more.zip'].startswith('Ask for it at https://data.invalid. Save it as')
    assert 'no such file' in done.failures['gone.zip']
    (tmp_path / 'more.zip').write_bytes(OTHER)
    assert fetch(server, tmp_path, by_hand).failures == {}, 'saved by hand, it is taken'


def test_the_next_address_is_asked_if_one_has_nothing_or_other_bytes(
    server: FileServer, tmp_path: Path
) -> None:
    urls = tuple(f'{server.url}/{name}' for name in ('gone', 'f/2', 'f/1'))
    done = fetch(server, tmp_path, Download(file='a.zip', urls=urls, sha256=SHA256))
    assert done.fetched['a.zip'].source == urls[2]
    assert paths(server) == ['/gone', '/f/2', '/f/1']


def test_a_mirror_is_asked_instead(server: FileServer, tmp_path: Path) -> None:
    server.files['mirror/a set/train.zip'.replace(' ', '%20')] = BODY
    done = fetch(server, tmp_path, ZENODO, mirror=f'{server.url}/mirror/a%20set')
    assert done.fetched['train.zip'].source == f'{server.url}/mirror/a%20set/train.zip'
    assert '/records/123' not in paths(server)


def test_addresses_are_used_while_the_record_cannot_be_read(server: FileServer, tmp_path: Path) -> None:
    server.script = [Behaviour(status=503)] * 2 + [Behaviour()]
    done = fetch(server, tmp_path, dataclasses.replace(ZENODO, urls=(f'{server.url}/f/1',)))
    assert done.failures == {}


def test_mendeley_and_figshare(server: FileServer, tmp_path: Path) -> None:
    details = {'download_url': f'{server.url}/f/1', 'size': len(BODY), 'sha256_hash': SHA256}
    path = 'm/datasets/abc123/files?folder_id=root&version=2'
    record(server, path, [{'filename': 'set.zip', 'content_details': details}])
    server.files['m/zip/abc123/download/2'] = OTHER
    one = {'name': 'fig.zip', 'download_url': f'{server.url}/f/1', 'size': len(BODY), 'computed_md5': MD5}
    record(server, 'fs/articles/77', {'files': [one]})
    record(server, 'fs/articles/77/versions/3', {'files': [{**one, 'name': 'three.zip'}]})
    done = fetch(
        server,
        tmp_path,
        Download(file='set.zip', doi='10.17632/abc123.2'),
        Download(file='abc123-2.zip', doi='10.17632/abc123.2'),
        Download(file='fig.zip', doi='10.6084/m9.figshare.77'),
        Download(file='three.zip', doi='10.6084/m9.figshare.77.v3'),
    )
    assert done.failures == {}
    checked = {name: one.checked_by.split(';')[0] for name, one in done.fetched.items()}
    assert checked == {
        'set.zip': 'sha256',
        'abc123-2.zip': 'checksums inside the archive',
        'fig.zip': 'md5',
        'three.zip': 'md5',
    }


@pytest.mark.parametrize(
    'answer',
    [
        b'<html>busy</html>',
        b'[]',
        b'{"files": {}}',
        b'{"files": [{"key": "../../evil.zip", "links": {"self": "http://x.invalid/a"}}]}',
        b'{"files": [{"key": "a.zip", "links": {"self": "file:///etc/passwd"}}]}',
        b'{"files": [{"key": "a.zip"}]}',
        b'{"files": [{"key": "a.zip", "links": {"self": "http://x.invalid/a"}, "checksum": "md5:zz"}]}',
    ],
)
def test_an_answer_that_is_no_list_of_files(server: FileServer, answer: bytes) -> None:
    server.files['records/123'] = answer
    with pytest.raises((DownloadError, ConfigError)):
        list_record(ZENODO.doi, services(server), HASTE)


def test_a_record_that_comes_cut_is_asked_for_again(server: FileServer) -> None:
    server.script = [Behaviour(cut_after=10), Behaviour(status=503), Behaviour()]
    assert len(list_record(ZENODO.doi, services(server), Patience(attempts=3, first_wait_s=0.0))) == 2


def test_a_doi_of_another_site_says_so(server: FileServer, tmp_path: Path) -> None:
    done = fetch(server, tmp_path, Download(file='a.zip', doi='10.5518/1263'))
    assert 'only records of Zenodo, Mendeley Data and figshare' in done.failures['a.zip']


@pytest.mark.parametrize(
    ('fields', 'said'),
    [
        ({}, 'give urls, a doi, or what to do by hand'),
        ({'urls': ('ftp://data.invalid/a.zip',)}, 'not http or https'),
        ({'file': '../a.zip', 'doi': '10.5281/zenodo.1'}, 'plain file name'),
        ({'doi': 'zenodo.1'}, 'not of the form'),
        ({'file': '*.zip', 'urls': ('https://data.invalid/',)}, 'pattern goes with a doi'),
        ({'doi': '10.5281/zenodo.1', 'size': 0}, 'must be positive'),
        ({'doi': '10.5281/zenodo.1', 'md5': '0123'}, '32 digits'),
        ({'doi': '10.5281/zenodo.1', 'sha256': 'ABC'}, 'hexadecimal'),
        ({'doi': '10.5281/zenodo.1', 'fetched': 'yesterday'}, 'not a date'),
    ],
)
def test_a_download_that_cannot_work_is_refused(fields: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        Download(**{'file': 'a.zip', **fields})


def test_a_file_that_two_datasets_share_is_fetched_once(server: FileServer, tmp_path: Path) -> None:
    one = Download(file='a.zip', urls=(f'{server.url}/f/1',), sha256=SHA256)
    assert fetch(server, tmp_path / 'first', one).failures == {}
    (tmp_path / 'wrong').mkdir()
    (tmp_path / 'wrong/a.zip').write_bytes(OTHER)
    server.requests.clear()
    done = fetch(server, tmp_path / 'second', one)
    assert (tmp_path / 'second/a.zip').read_bytes() == BODY
    assert (done.fetched['a.zip'].source, server.requests) == ('', [])
    assert fetch(server, tmp_path / 'third', dataclasses.replace(one, sha256=None)).failures == {}
    assert len(server.requests) == 1, 'without a digest it may be another file of that name'
