"""Size and digest of fetched files, written into the description that asks for them."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from pathlib import Path

from ultrasam.atomic import publish_bytes
from ultrasam.corpus.loading import load_spec
from ultrasam.errors import OutputError

_CALL = 'Download'


def record_downloads(
    description: Path, files: Mapping[str, Path], digests: Mapping[str, str], *, today: str
) -> list[str]:
    """Write size, SHA-256 and date of fetched files into a description, where it does not state them.

    Args:
        description: The file with its ``SPEC``.
        files: Fetched files by the names that the description has for them.
        digests: SHA-256 of each.
        today: Date of the fetch, as YYYY-MM-DD.

    Returns:
        What was written, or could not be, a sentence a file.

    Raises:
        OutputError: The description cannot be written.
    """
    text = description.read_text(encoding='utf-8')
    calls = {_file_of(call): call for call in _calls(text)}
    known = {one.file: one for one in load_spec(description).downloads}
    said, changes = [], []
    for name, path in files.items():
        call, one = calls.get(name), known.get(name)
        if call is None or one is None:
            said.append(f'{name}: not recorded, no Download(file={name!r}) is written there')
            continue
        new = {'size': path.stat().st_size, 'sha256': digests[name], 'fetched': today}
        missing = {field: value for field, value in new.items() if not getattr(one, field)}
        if missing:
            changes.append((_end(text, call), _arguments(call, missing)))
            said.append(f'{name}: recorded {", ".join(missing)}')
    for place, addition in sorted(changes, reverse=True):
        text = text[:place].rstrip().removesuffix(',') + addition + text[place:].lstrip()
    if changes:
        _write(description, text)
    return said


def _calls(text: str) -> list[ast.Call]:
    return [
        node
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == _CALL
    ]


def _file_of(call: ast.Call) -> str:
    values = [word.value for word in call.keywords if word.arg == 'file']
    return str(values[0].value) if values and isinstance(values[0], ast.Constant) else ''


def _end(text: str, call: ast.Call) -> int:
    """Where the closing bracket of a call is."""
    lines = text.splitlines(keepends=True)[: (call.end_lineno or 1) - 1]
    # columns of ast count bytes
    line = text.splitlines()[(call.end_lineno or 1) - 1].encode()
    return sum(map(len, lines)) + len(line[: (call.end_col_offset or 1) - 1].decode())


def _arguments(call: ast.Call, values: Mapping[str, object]) -> str:
    """Further arguments of a call, one a line, with the comma before and the line break after."""
    outer = ' ' * call.col_offset
    return ''.join(f',\n{outer}    {name}={value!r}' for name, value in values.items()) + f',\n{outer}'


def _write(description: Path, text: str) -> None:
    if description.is_symlink() or not description.is_file():
        raise OutputError(f'{description}: not a file that can be written')
    publish_bytes(description, text.encode(), overwrite=True)
    load_spec.cache_clear()
    load_spec(description)
