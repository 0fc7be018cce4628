"""Download the files of datasets into OUT/SHORT_NAME, where `ultrasam data convert` finds them.

The terms of each are shown and accepted once. A download that breaks off goes on where it was; every file is compared
with the size and digest that its publisher states, or else its SHA-256 is recorded beside it and holds from then on.
Files that only a person can obtain are named, with what to do. Many addresses are from public sources and were never
tried from here: the list says which.

Examples:
    ultrasam data fetch busi bus_bra --out downloads
    ultrasam data fetch --list
    ultrasam data fetch all --accept-terms --out downloads
    ultrasam data fetch hc --mirror http://mirror.hospital.example/ultrasound
    ultrasam data fetch bus_bra --record

A mirror has the files as SHORT_NAME/FILE. --record writes size and SHA-256 of what was fetched into the description.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Mapping
from datetime import datetime, timezone
from pathlib import Path

from ultrasam.cli.corpus import say
from ultrasam.cli.terms import accept_terms
from ultrasam.corpus.library import find_description, known_descriptions
from ultrasam.corpus.loading import load_spec
from ultrasam.corpus.recording import record_downloads
from ultrasam.corpus.release import Download
from ultrasam.downloads.fetch import mirror_address
from ultrasam.errors import ConfigError, UltraSamError

CODES = """
exit codes: 0 all there, 2 wrong use, 3 some not fetched (they are named), 4 wrong bytes or terms that were not
accepted, 5 disk or permission
"""
_SOME_MISSING, _REFUSED = 3, 4


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    parser.add_argument(
        'names',
        nargs='*',
        metavar='NAME',
        help="short names, descriptions NAME.py, or 'all' that have addresses",
    )
    parser.add_argument(
        '--out', type=Path, default=Path('downloads'), metavar='DIR', help='default: %(default)s'
    )
    parser.add_argument('--list', action='store_true', help='say what can be fetched, and fetch nothing')
    parser.add_argument(
        '--accept-terms', action='store_true', help='the terms that are shown were read and are accepted'
    )
    parser.add_argument(
        '--mirror',
        default=os.environ.get('ULTRASAM_DATA_MIRROR'),
        metavar='URL',
        help='folder on a web server to ask instead (or ULTRASAM_DATA_MIRROR)',
    )
    parser.add_argument('--overwrite', action='store_true', help='fetch anew what is there')
    parser.add_argument(
        '--record',
        action='store_true',
        help='write size and SHA-256 of what was fetched into the description',
    )


def run(args: argparse.Namespace) -> int:
    """Fetch each, and say what became of it."""
    known = known_descriptions()
    if args.list == bool(args.names):
        raise ConfigError('give short names, or --list')
    if args.list:
        _list(known)
        return 0
    if args.mirror:
        mirror_address(args.mirror)
    descriptions = _chosen(args.names, known)
    codes = [_fetch(path, args) for path in descriptions.values()]
    if len(codes) > 1:
        say(f'{codes.count(0)} of {len(codes)} datasets are there, whole')
    return max(codes)


def _chosen(names: list[str], known: Mapping[str, Path]) -> dict[str, Path]:
    """Descriptions by the names of their folders, each once."""
    if names == ['all']:
        return {
            name: path
            for name, path in known.items()
            if any(one.urls or one.doi for one in load_spec(path).downloads)
        }
    return {path.stem: path for path in (find_description(name, known) for name in names)}


def _fetch(path: Path, args: argparse.Namespace) -> int:
    """Fetch one dataset; an exit code says how it went."""
    from ultrasam.downloads.release import fetch_release

    spec = load_spec(path)
    if not spec.downloads:
        _complain(
            f'{path.stem}: no public source tells an address ({spec.access}). Obtain it from {spec.homepage} and save '
            f'it in {args.out / path.stem}'
        )
        return _SOME_MISSING
    try:
        accept_terms(spec, accepted=args.accept_terms)
    except UltraSamError as error:
        _complain(str(error))
        return _REFUSED
    folder = args.out / path.stem
    mirror = f'{args.mirror.rstrip("/")}/{path.stem}' if args.mirror else None
    done = fetch_release(spec.downloads, folder, mirror=mirror, overwrite=args.overwrite)
    for one in done.fetched.values():
        say(f'{one.path}: {f"fetched from {one.source}" if one.source else "was there"}')
        say(f'  sha256 {one.sha256}, checked by {one.checked_by}')
    for reason in done.failures.values():
        _complain(f'{path.stem}: not fetched: {reason}')
    if args.record and done.fetched:
        today = datetime.now(timezone.utc).date().isoformat()
        files = {name: one.path for name, one in done.fetched.items()}
        digests = {name: one.sha256 for name, one in done.fetched.items()}
        for text in record_downloads(path, files, digests, today=today):
            say(f'{path}: {text}')
    if done.failures:
        return _REFUSED if done.wrong else _SOME_MISSING
    say(f'next: ultrasam data convert {path.stem} {args.out} data')
    return 0


def _complain(text: str) -> None:
    sys.stderr.write(f'{text}\n')


def _list(known: Mapping[str, Path]) -> None:
    """Say what can be fetched of each dataset, and what was tried."""
    for name, path in known.items():
        spec = load_spec(path)
        if not spec.downloads:
            say(f'{name:<24} no address is known ({spec.access}): {spec.homepage}')
        for one in spec.downloads:
            say(f'{name:<24} {one.file}: {_how(one)}')


def _how(one: Download) -> str:
    size = f'{one.size / 1e6:,.1f} MB' if one.size else 'size not known'
    checked = (
        one.expected.known_by if one.expected.has_digest else 'the digest of its record' if one.doi else ''
    )
    if not one.urls and not one.doi:
        return f'{size}, by hand: {one.by_hand}'
    tried = f'fetched on {one.fetched}' if one.fetched else 'not tried'
    return f'{size}, checked by {checked or "the first fetch"}, {tried}'
