"""Fetching from a server that fails in every way that matters; each test says what is on disk afterwards."""

from __future__ import annotations

import dataclasses
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from tests.downloads.server import Behaviour, FileServer
from tests.weights.conftest import BODY, SHA256
from ultrasam.downloads.fetch import Fetched
from ultrasam.downloads.integrity import DownloadError, IntegrityError
from ultrasam.downloads.known_weights import KnownWeights
from ultrasam.downloads.transfer import Patience
from ultrasam.downloads.weights import fetch_weights
from ultrasam.errors import ConfigError, OutputError

HASTE = Patience(attempts=3, first_wait_s=0.0, timeout_s=5.0)


def fetch(entry: KnownWeights, out: Path, server: FileServer, **options: object) -> Fetched:
    return fetch_weights(entry, out, mirror=server.url, patience=HASTE, show_progress=False, **options)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_whole_file(entry, out, server):
    got = fetch(entry, out, server)
    assert (got.path, got.sha256, got.source) == (out / 'tiny.pth', SHA256, f'{server.url}/tiny.pth')
    assert got.path.read_bytes() == BODY
    assert names(out) == ['tiny.pth'], 'no partial file, and no manifest where the digest was known'
    assert server.requests == [('/tiny.pth', None, None)]
    assert got.path.stat().st_mode & 0o777 == 0o644


def test_cut_connection_goes_on_where_it_stopped(entry, out, server):
    server.script = [Behaviour(cut_after=400_000), Behaviour(cut_after=300_000), Behaviour()]
    assert fetch(entry, out, server).path.read_bytes() == BODY
    assert server.ranges == [None, 'bytes=400000-', 'bytes=700000-']
    assert all(condition for _, _, condition in server.requests[1:]), (
        'If-Range guards against another version'
    )
    assert names(out) == ['tiny.pth']


def test_a_later_call_goes_on_where_an_earlier_one_gave_up(entry, out, server):
    server.script = [Behaviour(cut_after=400_000), *[Behaviour(status=503)] * 3, Behaviour()]
    with pytest.raises(DownloadError, match='400,000 bytes are kept'):
        fetch(entry, out, server)
    assert names(out) == ['tiny.pth.part', 'tiny.pth.part.json']
    assert (out / 'tiny.pth.part').read_bytes() == BODY[:400_000]
    assert fetch(entry, out, server).path.read_bytes() == BODY
    assert server.ranges[-1] == 'bytes=400000-'
    assert names(out) == ['tiny.pth']


def test_progress_earns_new_tries(entry, out, server):
    server.script = [*[Behaviour(cut_after=250_000)] * 5, Behaviour()]
    assert fetch(entry, out, server).path.read_bytes() == BODY
    assert len(server.requests) == 6 > HASTE.attempts


def test_file_that_changed_meanwhile_starts_anew(unknown, out, server):
    server.script = [Behaviour(cut_after=400_000), *[Behaviour(status=503)] * 3, Behaviour()]
    with pytest.raises(DownloadError):
        fetch(unknown, out, server)
    server.files['tiny.pth'] = changed = BODY[::-1]
    assert fetch(unknown, out, server).path.read_bytes() == changed
    assert names(out) == ['tiny.pth', 'tiny.pth.sha256']


def test_server_that_ignores_range_starts_anew(entry, out, server):
    server.script = [Behaviour(cut_after=400_000), Behaviour(ignore_range=True)]
    assert fetch(entry, out, server).path.read_bytes() == BODY
    assert server.ranges == [None, 'bytes=400000-']


def test_server_that_sends_another_part_starts_anew(entry, out, server):
    server.script = [Behaviour(cut_after=400_000), Behaviour(wrong_part=True), Behaviour()]
    assert fetch(entry, out, server).path.read_bytes() == BODY
    assert server.ranges == [None, 'bytes=400000-', None]


@pytest.mark.parametrize('how', [{'omit_validators': True}, {'weak_etag': True}])
def test_without_proof_of_version_bytes_are_joined_only_if_a_digest_will_tell(
    entry, unknown, out, server, how
):
    server.script = [Behaviour(cut_after=400_000, **how), Behaviour(**how)]
    assert fetch(unknown, out, server).path.read_bytes() == BODY
    assert server.ranges == [None, None]
    server.requests.clear()
    assert fetch(entry, out / 'b', server).path.read_bytes() == BODY
    assert server.ranges == [None, 'bytes=400000-']


def test_old_bytes_that_do_not_fit_are_fetched_once_more(entry, out, server):
    server.script = [Behaviour(cut_after=400_000), *[Behaviour(status=503)] * 3, Behaviour()]
    with pytest.raises(DownloadError):
        fetch(entry, out, server)
    part = out / 'tiny.pth.part'
    part.write_bytes(bytes(400_000))  # as after a crash of the machine
    assert fetch(entry, out, server).path.read_bytes() == BODY
    assert server.ranges[-2:] == ['bytes=400000-', None]


def test_length_that_promises_too_much_ends_in_an_error(unknown, out, server):
    server.script = [Behaviour(says_length=len(BODY) + 10)]
    with pytest.raises(DownloadError, match=r'gave up after \d tries'):
        fetch(unknown, out, server)
    assert 'tiny.pth' not in names(out)
    assert len(server.requests) < 10


def test_length_that_promises_too_little_is_found_by_the_digest(entry, out, server):
    server.script = [Behaviour(says_length=1000)]
    with pytest.raises(IntegrityError, match='sha256'):
        fetch(entry, out, server)
    assert names(out) == []


def test_no_length_and_no_digest_is_refused(entry, unknown, out, server):
    server.script = [Behaviour(omit_length=True)]
    with pytest.raises(DownloadError, match='nothing would show that it is whole'):
        fetch(unknown, out, server)
    assert names(out) == []
    assert fetch(entry, out, server).path.read_bytes() == BODY, 'with a digest it can be told'


def test_web_page_is_refused_at_once(entry, out, server):
    server.script = [Behaviour(content_type='text/html; charset=utf-8')]
    with pytest.raises(DownloadError, match='web page'):
        fetch(entry, out, server)
    assert names(out) == []
    assert len(server.requests) == 1, 'another try would get the same page'


def test_web_page_that_calls_itself_a_file_is_refused(unknown, out, server):
    server.files['tiny.pth'] = b'\n<!DOCTYPE html><html>Virus scan warning</html>'
    with pytest.raises(DownloadError, match='web page'):
        fetch(unknown, out, server)
    assert names(out) == []


@pytest.mark.parametrize(
    'digest', [{'sha256': 'f' * 64}, {'sha256_prefix': 'abcdef01'}, {'md5_prefix': '012345'}]
)
def test_wrong_bytes_are_never_published(unknown, out, server, digest):
    source = 'somebody' if 'sha256' in digest else ''
    wrong = dataclasses.replace(unknown, **digest, sha256_source=source)
    with pytest.raises(IntegrityError, match=r'tiny\.pth: (sha256|md5) is .+Removed'):
        fetch(wrong, out, server)
    assert names(out) == []


def test_wrong_bytes_do_not_replace_a_file_that_is_there(entry, out, server):
    fetch(entry, out, server)
    server.files['tiny.pth'] = b'other'
    with pytest.raises(IntegrityError):
        fetch(entry, out, server, overwrite=True)
    assert (out / 'tiny.pth').read_bytes() == BODY
    assert names(out) == ['tiny.pth']


def test_first_fetch_is_recorded_and_holds_from_then_on(unknown, out, server):
    got = fetch(unknown, out, server)
    assert 'nothing' in got.checked_by
    assert (out / 'tiny.pth.sha256').read_text() == f'{SHA256}  tiny.pth\n'
    if shutil.which('sha256sum'):
        subprocess.run(['sha256sum', '-c', '--status', 'tiny.pth.sha256'], cwd=out, check=True)
    assert fetch(unknown, out, server).checked_by == 'sha256 recorded when it was first seen'
    (out / 'tiny.pth').write_bytes(BODY[:-1] + b'x')
    with pytest.raises(IntegrityError, match='records'):
        fetch(unknown, out, server)
    assert len(server.requests) == 1
    assert fetch(unknown, out, server, overwrite=True).path.read_bytes() == BODY


def test_record_of_another_version_goes_with_it(entry, unknown, out, server):
    server.files['tiny.pth'] = b'an older version'
    fetch(unknown, out, server)
    server.files['tiny.pth'] = BODY
    fetch(entry, out, server, overwrite=True)
    assert names(out) == ['tiny.pth'], 'the old record would accuse the new file'
    assert fetch(unknown, out, server).sha256 == SHA256


def test_prefix_of_a_digest_is_compared_and_the_rest_recorded(unknown, out, server):
    got = fetch(dataclasses.replace(unknown, sha256_prefix=SHA256[:8]), out, server)
    assert got.checked_by == 'first 8 digits of the sha256; its sha256 is recorded from now on'
    assert names(out) == ['tiny.pth', 'tiny.pth.sha256']


def test_file_that_is_there_is_verified_without_traffic(entry, out, server):
    out.mkdir()
    (out / 'tiny.pth').write_bytes(BODY)
    assert fetch(entry, out, server).source == ''
    (out / 'tiny.pth').write_bytes(BODY[:-1])
    with pytest.raises(IntegrityError, match='left as it is'):
        fetch(entry, out, server)
    assert (out / 'tiny.pth').read_bytes() == BODY[:-1]
    assert server.requests == []


def test_full_disk_is_found_before_the_first_byte(entry, out, server, monkeypatch):
    usage = shutil.disk_usage(out.parent)
    monkeypatch.setattr(shutil, 'disk_usage', lambda path: usage._replace(free=1000))
    with pytest.raises(OutputError, match=r'needs 1\.5 MB more'):
        fetch(entry, out, server)
    assert names(out) == []


def test_disk_that_fills_up_on_the_way_keeps_what_came(entry, out, server, monkeypatch):
    from ultrasam.downloads.partial import PartialFile

    append = PartialFile.append

    def full(part: PartialFile, data: bytes) -> None:
        if part.length > 500_000:
            raise OutputError('full')
        append(part, data)

    monkeypatch.setattr(PartialFile, 'append', full)
    with pytest.raises(OutputError):
        fetch(entry, out, server)
    monkeypatch.setattr(PartialFile, 'append', append)
    assert fetch(entry, out, server).path.read_bytes() == BODY
    assert server.ranges[-1] is not None


def test_out_that_is_a_file(entry, out, server):
    out.write_text('here')
    with pytest.raises(OutputError, match='cannot be written'):
        fetch(entry, out, server)
    assert server.requests == []


@pytest.mark.parametrize('target', ['file:///etc/passwd', 'ftp://127.0.0.1/tiny.pth'])
def test_redirect_out_of_the_web_is_not_followed(entry, out, server, target):
    server.script = [Behaviour(redirect=target)]
    with pytest.raises(DownloadError, match='refused with status 302'):
        fetch(entry, out, server)
    assert names(out) == []
    assert len(server.requests) == 1


def test_redirect_within_the_web_is_followed(entry, out, server):
    server.files['elsewhere'] = BODY
    server.script = [Behaviour(redirect='/elsewhere'), Behaviour(cut_after=600_000), Behaviour(redirect='/elsewhere'),
                     Behaviour()]  # fmt: skip
    assert fetch(entry, out, server).path.read_bytes() == BODY
    assert server.requests[-1][:2] == ('/elsewhere', 'bytes=600000-'), 'the range survives the redirect'


def test_passing_faults_are_retried_and_final_ones_are_not(entry, out, server):
    server.script = [Behaviour(status=503), Behaviour(status=429), Behaviour()]
    assert fetch(entry, out, server).path.read_bytes() == BODY
    server.requests.clear()
    server.script = [Behaviour(status=403)]
    with pytest.raises(DownloadError, match='403'):
        fetch(entry, out / 'b', server)
    server.files.clear()
    with pytest.raises(DownloadError, match='no such file'):
        fetch(entry, out / 'b', server)
    assert len(server.requests) == 2
    assert names(out / 'b') == []


def test_no_answer_names_the_address(entry, out):
    with pytest.raises(DownloadError, match=r'http://127\.0\.0\.1:9/tiny\.pth: no answer .+Nothing came'):
        fetch_weights(entry, out, mirror='http://127.0.0.1:9', patience=HASTE, show_progress=False)
    assert names(out) == []


def test_waits_grow_and_heed_the_server(entry, out, server, monkeypatch):
    waits: list[float] = []
    monkeypatch.setattr(time, 'sleep', waits.append)
    server.script = [Behaviour(status=503)]
    with pytest.raises(DownloadError):
        fetch_weights(entry, out, mirror=server.url, patience=Patience(attempts=4), show_progress=False)
    assert waits == [1.0, 2.0, 4.0]


def test_second_address_is_asked_when_the_first_has_nothing(entry, out, server, monkeypatch):
    from ultrasam.downloads import weights as module

    addresses = [f'{server.url}/gone.pth', f'{server.url}/tiny.pth']
    monkeypatch.setattr(module, '_resolve', lambda url: addresses.pop(0))
    two = dataclasses.replace(entry, urls=('https://a.invalid/x', 'https://b.invalid/x'))
    got = fetch_weights(two, out, patience=HASTE, show_progress=False)
    assert got.source.endswith('/tiny.pth')
    assert [path for path, _, _ in server.requests] == ['/gone.pth', '/tiny.pth']


def test_entry_that_needs_a_click_says_where_and_is_taken_from_a_mirror(entry, out, server):
    by_hand = dataclasses.replace(entry, urls=())
    with pytest.raises(DownloadError, match=r'without a click\. Download it from https://weights\.invalid/'):
        fetch_weights(by_hand, out)
    assert fetch(by_hand, out, server).sha256 == SHA256


@pytest.mark.parametrize('mirror', ['file:///srv', 'mirror.example/weights'])
def test_mirror_must_be_on_the_web(entry, out, mirror):
    with pytest.raises(ConfigError, match='mirror'):
        fetch_weights(entry, out, mirror=mirror)


@pytest.mark.slow
def test_torchvision_knows_its_own_addresses(table):
    pytest.importorskip('torchvision')
    from ultrasam.downloads.weights import _addresses

    (entry,) = [
        entry for entry in table.KNOWN_WEIGHTS if entry.urls and entry.urls[0].startswith('torchvision')
    ]
    (url,) = _addresses(entry, None, Path())
    assert url.startswith('https://') and url.endswith(f'/{entry.file}')


CHILD = """
import sys
from pathlib import Path
sys.path.insert(0, {root!r})
from ultrasam.downloads.known_weights import KnownWeights
from ultrasam.downloads.weights import fetch_weights
entry = KnownWeights(name='tiny', file='tiny.pth', urls=(), page='https://weights.invalid/', size_mb=2,
                     licence='CC0-1.0', citation='none', purpose='tests', sha256_prefix={prefix!r})
fetch_weights(entry, Path({out!r}), mirror={mirror!r}, show_progress=False)
"""


def test_kill_in_the_middle_leaves_no_final_file_and_locks_out_nobody_after(unknown, out, server):
    release = threading.Event()
    server.script = [Behaviour(cut_after=700_000, wait_for=release), Behaviour()]
    entry = dataclasses.replace(unknown, sha256_prefix=SHA256[:8])
    root = str(Path(__file__).resolve().parents[2])
    code = CHILD.format(root=root, prefix=SHA256[:8], out=str(out), mirror=server.url)
    child = subprocess.Popen([sys.executable, '-c', code])
    part = out / 'tiny.pth.part'
    deadline = time.monotonic() + 30
    while not (part.exists() and part.stat().st_size == 700_000) and time.monotonic() < deadline:
        time.sleep(0.02)
    try:
        assert names(out) == ['tiny.pth.part', 'tiny.pth.part.json']
        with pytest.raises(DownloadError, match='another process'):
            fetch(entry, out, server)
    finally:
        child.send_signal(signal.SIGKILL)
        child.wait()
        release.set()
    assert names(out) == ['tiny.pth.part', 'tiny.pth.part.json']
    assert fetch(entry, out, server).path.read_bytes() == BODY
    assert server.ranges == [None, 'bytes=700000-']
    assert names(out) == ['tiny.pth', 'tiny.pth.sha256']
