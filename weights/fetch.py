r"""Fetch published weights: resumed where a download stopped, verified, never half a file.

Examples:
  python weights/fetch.py UltraSam
  python weights/fetch.py --list
  python weights/fetch.py sam_vit_b medsam_vit_b --out my_weights
  python weights/fetch.py --all --mirror http://mirror.hospital.example/weights

A mirror keeps each file under the name that --list --markdown shows. It can be named in ULTRASAM_WEIGHTS_MIRROR too.
Exit code: 0 all there, 2 wrong use, 3 some not fetched, 4 some with wrong bytes.
"""

from __future__ import annotations

import argparse
import dataclasses
import os
import sys
from pathlib import Path

from known_weights import KNOWN_WEIGHTS

from ultrasam.downloads.integrity import IntegrityError
from ultrasam.downloads.known_weights import list_weights, select_weights
from ultrasam.downloads.weights import fetch_weights
from ultrasam.errors import ConfigError, UltraSamError


def build_parser() -> argparse.ArgumentParser:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    what = parser.add_mutually_exclusive_group()
    parser.add_argument('names', nargs='*', metavar='NAME', help='which weights; see --list')
    what.add_argument('--all', action='store_true', help='every entry of the table')
    what.add_argument('--list', action='store_true', help='print the table of known weights')
    parser.add_argument(
        '--markdown', action='store_true', help='with --list: for a document, with everything'
    )
    parser.add_argument('--out', type=Path, default=Path(__file__).parent, help='folder (default: this one)')
    mirror = os.environ.get('ULTRASAM_WEIGHTS_MIRROR')
    parser.add_argument(
        '--mirror', default=mirror, metavar='URL', help='folder on a web server to ask instead'
    )
    parser.add_argument('--sha256', metavar='DIGEST', help='digest that you trust, for one NAME')
    parser.add_argument('--overwrite', action='store_true', help='fetch anew what is there')
    return parser


def main() -> int:
    """Fetch each, and say what became of it."""
    parser = build_parser()
    args = parser.parse_args()
    if args.list:
        sys.stdout.write(list_weights(KNOWN_WEIGHTS, markdown=args.markdown))
        return 0
    if bool(args.names) == args.all or (args.sha256 and len(args.names) != 1):
        parser.error('give names, or --all, or --list; --sha256 goes with one name')
    try:
        entries = select_weights(KNOWN_WEIGHTS, args.names or [entry.name for entry in KNOWN_WEIGHTS])
        if args.sha256:
            trusted = dict(
                sha256=args.sha256.lower(), sha256_source='given', sha256_prefix=None, md5_prefix=None
            )
            entries = [dataclasses.replace(entries[0], **trusted)]
    except ConfigError as error:
        parser.error(str(error))
    code = 0
    for entry in entries:
        try:
            got = fetch_weights(entry, args.out, mirror=args.mirror, overwrite=args.overwrite)
        except UltraSamError as error:
            code = max(code, 4 if isinstance(error, IntegrityError) else 3)
            sys.stderr.write(f'{entry.name}: {type(error).__name__}: {error}\n')
            continue
        sys.stdout.write(
            f'{got.path}: {f"fetched from {got.source}" if got.source else "was there"}\n'
            f'  sha256 {got.sha256}\n  checked by {got.checked_by}\n  licence {entry.licence}\n'
        )
    return code


if __name__ == '__main__':
    sys.exit(main())
