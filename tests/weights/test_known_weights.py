"""The table of known weights, and the command over it."""

from __future__ import annotations

import dataclasses
import os
import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

from tests.downloads.server import Behaviour, FileServer
from tests.packaging.test_project_files import ROOT
from tests.weights.conftest import BODY, SHA256
from ultrasam.downloads.known_weights import KnownWeights, list_weights, select_weights
from ultrasam.errors import ConfigError

NAMES = {
    'UltraSam', 'sam_vit_b', 'sam_vit_l', 'sam_vit_h', 'medsam_vit_b', 'sam-med2d_b',
    'vit-base-p16_sam-pre', 'vit-large-p16_sam-pre', 'vit-huge-p16_sam-pre',
    'vit-base-p16_mae-in1k', 'resnet50_in1k', 'mask2former_r50_coco',
}  # fmt: skip


def command(
    *arguments: object, script: str = 'fetch.py', **environment: str
) -> subprocess.CompletedProcess[str]:
    start = [sys.executable] if script.endswith('.py') else ['bash']
    environment = {**os.environ, 'no_proxy': '127.0.0.1', 'PYTHON': sys.executable, **environment}
    return subprocess.run(
        [*start, str(ROOT / 'weights' / script), *map(str, arguments)],
        capture_output=True, text=True, check=False, env=environment,
    )  # fmt: skip


def test_the_table_is_complete_and_its_names_and_files_are_unique(table: ModuleType):
    entries = table.KNOWN_WEIGHTS
    assert {entry.name for entry in entries} == NAMES
    assert (
        len({entry.name.lower() for entry in entries}) == len({entry.file for entry in entries}) == len(NAMES)
    )


@pytest.mark.parametrize('name', sorted(NAMES))
def test_every_entry_has_all_fields_and_states_no_digest_that_its_name_contradicts(
    table: ModuleType, name: str
):
    (entry,) = select_weights(table.KNOWN_WEIGHTS, [name])
    for field in dataclasses.fields(entry):
        if field.default is dataclasses.MISSING and field.name != 'urls':
            assert getattr(entry, field.name), field.name
    assert entry.urls or 'by hand' in list_weights([entry])
    carried = re.findall(r'[-_]([0-9a-f]{6,8})\.pth$', '\n'.join([entry.file, *entry.urls]), re.MULTILINE)
    digits = entry.sha256_prefix or entry.md5_prefix
    assert set(carried) == ({digits} if digits else set())
    for url in entry.urls:
        if url.startswith('https'):
            assert url.endswith('.pth')


def test_the_one_full_digest_says_who_reported_it(table: ModuleType):
    known = [entry for entry in table.KNOWN_WEIGHTS if entry.sha256]
    assert [(entry.name, entry.sha256[:8]) for entry in known] == [('UltraSam', 'd7c223dd')]
    assert 'third party' in known[0].checked_by


@pytest.mark.parametrize(
    ('change', 'fault'),
    [
        ({'licence': ''}, 'licence is empty'),
        ({'file': '../tiny.pth'}, 'no plain file name'),
        ({'urls': ('http://weights.invalid/tiny.pth',)}, 'not https'),
        ({'urls': ('file:///tiny.pth',)}, 'not https'),
        ({'size_mb': 0}, 'size_mb'),
        ({'sha256_source': ''}, 'go together'),
        ({'sha256': 'ABC'}, 'hexadecimal'),
        ({'md5_prefix': '12'}, 'hexadecimal'),
        ({'sha256_prefix': '12345678'}, 'does not begin'),
    ],
)
def test_a_faulty_entry_is_refused(entry: KnownWeights, change: dict[str, object], fault: str):
    with pytest.raises(ConfigError, match=fault):
        dataclasses.replace(entry, **change)


def test_names_are_found_in_any_case_with_or_without_suffix(table: ModuleType):
    found = select_weights(table.KNOWN_WEIGHTS, ['ultrasam', 'UltraSam.pth', 'SAM_vit_b'])
    assert [entry.name for entry in found] == ['UltraSam', 'sam_vit_b']
    with pytest.raises(ConfigError, match=r'unknown: nope\. Known: UltraSam, '):
        select_weights(table.KNOWN_WEIGHTS, ['nope'])


def test_the_table_of_the_readme_is_the_one_of_the_data(table: ModuleType):
    text = (ROOT / 'weights' / 'README.md').read_text(encoding='utf-8')
    begin = '<!-- Begin of the table: python weights/fetch.py --list --markdown -->\n\n'
    shown = text.split(begin)[1].split('\n<!-- End of the table -->')[0]
    assert shown == list_weights(table.KNOWN_WEIGHTS, markdown=True), (
        'print it anew with the command it names'
    )


def test_list_is_printed_without_loading_torch():
    result = command('--list', PYTHONPROFILEIMPORTTIME='1')
    assert result.returncode == 0
    header, *rows = result.stdout.splitlines()
    assert header.split() == ['name', 'MB', 'licence', 'checked', 'by', 'for']
    assert {row.split()[0] for row in rows} == NAMES
    assert 'CC BY-NC-SA 4.0' in rows[0]
    imported = {line.rsplit('|', 1)[-1].strip() for line in result.stderr.splitlines()}
    assert 'ultrasam.downloads.fetch' in imported
    assert not imported & {'torch', 'torchvision', 'mmengine', 'numpy'}


@pytest.mark.parametrize('arguments', [[], ['nope'], ['--all', 'UltraSam'], ['--all', '--list'], ['--frobnicate'],
                                       ['--all', '--sha256', 'a' * 64], ['UltraSam', '--sha256', 'xyz']])  # fmt: skip
def test_wrong_use_is_code_2(arguments: list[str]):
    result = command(*arguments)
    assert (result.returncode, result.stdout) == (2, '')
    assert 'error:' in result.stderr


def test_exit_codes_of_fetching(server: FileServer, out: Path):
    server.files = {'UltraSam.pth': BODY, 'medsam_vit_b.pth': BODY}
    good = command('medsam_vit_b', '--out', out, '--mirror', server.url)
    assert (good.returncode, good.stderr) == (0, '')
    assert SHA256 in good.stdout and 'licence Apache-2.0' in good.stdout
    assert (out / 'medsam_vit_b.pth.sha256').is_file()

    again = command('medsam_vit_b', 'sam_vit_b', '--out', out, ULTRASAM_WEIGHTS_MIRROR=server.url)
    assert again.returncode == 3
    assert 'was there' in again.stdout and 'sam_vit_b: DownloadError' in again.stderr

    wrong = command('UltraSam', 'sam_vit_b', '--out', out, '--mirror', server.url)
    assert wrong.returncode == 4
    assert 'reported by a third party' in wrong.stderr and not (out / 'UltraSam.pth').exists()

    trusted = command('--out', out, '--mirror', server.url, '--sha256', SHA256, script='download_weights.sh')
    assert (trusted.returncode, trusted.stderr) == (0, '')
    assert (out / 'UltraSam.pth').read_bytes() == BODY
    assert len(server.requests) == 5, 'none for the file that was there'


def test_all_reports_each_one(server: FileServer, out: Path):
    server.files, server.script = {}, [Behaviour()]
    result = command('--all', '--out', out, '--mirror', server.url)
    assert result.returncode == 3
    assert {line.split(':')[0] for line in result.stderr.splitlines()} == NAMES


def test_help_shows_examples():
    text = command('--help').stdout
    for example in ('fetch.py UltraSam', '--list', '--mirror http', 'ULTRASAM_WEIGHTS_MIRROR', 'Exit code'):
        assert example in text
