"""Terms of datasets: shown, accepted once, and remembered in the user's folder of settings."""

from __future__ import annotations

import hashlib
import json
import os
import sys
from datetime import datetime, timezone
from pathlib import Path
from typing import TextIO

from ultrasam.atomic import publish_json
from ultrasam.corpus.classification.spec import ClassificationSpec, TermsError
from ultrasam.corpus.spec import DatasetSpec
from ultrasam.errors import UltraSamError

_ANSWER = 'accept'
_FILE = 'accepted_terms.json'


def settings_folder() -> Path:
    """Return the folder of a user's settings, which need not be there."""
    return Path(os.environ.get('XDG_CONFIG_HOME') or Path.home() / '.config') / 'ultrasam'


def terms_of(spec: DatasetSpec) -> str:
    """Return what a user should know before the files of a dataset are used, a few lines."""
    lines = [
        spec.title,
        f'  licence: {spec.licence or "not stated, so ask the authors before you use it"}',
        f'  access:  {spec.access}; {spec.homepage}',
        f'  cite:    {spec.citation}',
    ]
    if isinstance(spec, ClassificationSpec) and spec.terms:
        lines.append(f'  {spec.terms}\n  {spec.terms_link}')
    return '\n'.join(lines) + '\n'


def must_accept(spec: DatasetSpec) -> bool:
    """Return whether a dataset has terms that must be accepted before it is even read."""
    return isinstance(spec, ClassificationSpec) and bool(spec.terms)


def accept_terms(spec: DatasetSpec, *, accepted: bool, answers: TextIO | None = None) -> None:
    """Show the terms of a dataset, unless they were accepted before, and see that they are accepted.

    Args:
        spec: The description.
        accepted: Whether ``--accept-terms`` was given.
        answers: Where the answer of a user comes from; None for the standard input, if it is a terminal.

    Raises:
        TermsError: They were not accepted.
    """
    text = terms_of(spec)
    digest = hashlib.sha256(text.encode()).hexdigest()
    known = _accepted()
    if known.get(spec.name, {}).get('sha256') == digest:
        return
    sys.stdout.write(text)
    answers = answers or (sys.stdin if sys.stdin is not None and sys.stdin.isatty() else None)
    if not accepted and answers is not None:
        sys.stdout.write(f"Type '{_ANSWER}' if you accept these terms and may use the data: ")
        sys.stdout.flush()
        accepted = answers.readline().strip().lower() == _ANSWER
    if not accepted:
        raise TermsError(
            f'{spec.name}: its terms were not accepted, so nothing was read or written. If you have read them and may '
            'use the data, run again with --accept-terms'
        )
    entry = {'sha256': digest, 'date': datetime.now(timezone.utc).date().isoformat()}
    _remember({**known, spec.name: entry})


def _accepted() -> dict[str, dict[str, str]]:
    """What was accepted before, by the names of datasets; nothing if the file is missing or damaged."""
    try:
        content = json.loads((settings_folder() / _FILE).read_text(encoding='utf-8'))
    except (OSError, ValueError, RecursionError):
        return {}
    entries = content.items() if isinstance(content, dict) else ()
    return {name: entry for name, entry in entries if isinstance(entry, dict)}


def _remember(entries: dict[str, dict[str, str]]) -> None:
    """Keep what was accepted; where the folder cannot be written the user is asked again next time."""
    try:
        settings_folder().mkdir(parents=True, exist_ok=True)
        publish_json(settings_folder() / _FILE, entries, overwrite=True)
    except (OSError, UltraSamError) as error:
        sys.stderr.write(f'that the terms were accepted cannot be kept ({error}): you will be asked again\n')
