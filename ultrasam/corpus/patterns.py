"""Path patterns with named groups: how a description says which file is what.

``'{label:benign|malignant}/{label} ({n}).png'`` matches ``Dataset/benign/benign (12).png`` with
``label='benign'`` and ``n='12'``.

- A pattern is matched from the end of a path, at the border of a folder, so that it does not matter how deep
  the data lie.
- ``{name}`` stands for one or more characters without ``/``, ``{name:REGEX}`` for what the expression matches;
  a name that comes back must match the same text again.
- ``*`` stands for any characters without ``/``, ``**`` for any at all. Everything else is taken as it stands.
- A name that starts with ``_`` is not part of the key by which files are paired.
"""

from __future__ import annotations

import re
import string
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from ultrasam.errors import ConfigError


class PathPattern:
    """A pattern, ready to be matched.

    Args:
        text: the pattern, as above.

    Raises:
        ConfigError: braces that do not close, or an expression that is none.

    Example:
        >>> PathPattern('{label:benign|malignant}/{n}.png').match('a/benign/7.png')
        ('benign/7.png', {'label': 'benign', 'n': '7'})
    """

    def __init__(self, text: str) -> None:
        self.text = text
        expression, names = _translate(text)
        self.names = frozenset(name for name in names if not name.startswith('_'))
        try:
            self._regex = re.compile(f'(?:.*/)?(?P<_matched_>{expression})', re.DOTALL)
        except re.error as error:
            raise ConfigError(f'pattern {text!r}: {error}') from error

    def match(self, path: str, *, any_case: bool = False) -> tuple[str, dict[str, str]] | None:
        """Match a whole path with forward slashes.

        Args:
            path: The path.
            any_case: Take upper and lower case for the same.

        Returns:
            The part of the path that the pattern covers, and the groups that belong to the key; or None.
        """
        regex = (
            re.compile(self._regex.pattern, self._regex.flags | re.IGNORECASE) if any_case else self._regex
        )
        found = regex.fullmatch(path)
        if found is None:
            return None
        return found['_matched_'], {name: found[name] or '' for name in self.names}


@lru_cache(maxsize=1024)
def compiled(text: str) -> PathPattern:
    """The pattern of a text, compiled once."""
    return PathPattern(text)


def _translate(text: str) -> tuple[str, list[str]]:
    """A regular expression for a pattern, and the names in it."""
    parts: list[str] = []
    names: list[str] = []
    position = 0
    while position < len(text):
        if text[position] == '{':
            end = _closing_brace(text, position)
            name, _, body = text[position + 1 : end].partition(':')
            if not name.isidentifier():
                raise ConfigError(f'pattern {text!r}: {name!r} is no name for a group')
            # a free group may repeat with other text
            if name in names and not name.startswith('_'):
                parts.append(f'(?P={name})')
            elif name.startswith('_'):
                parts.append(f'(?:{body or "[^/]+?"})')
            else:
                parts.append(f'(?P<{name}>{body or "[^/]+?"})')
            names.append(name)
            position = end + 1
        elif text.startswith('**', position):
            parts.append('.*')
            position += 2
        elif text[position] == '*':
            parts.append('[^/]*')
            position += 1
        else:
            parts.append(re.escape(text[position]))
            position += 1
    return ''.join(parts), names


def _closing_brace(text: str, start: int) -> int:
    depth = 0
    for position in range(start, len(text)):
        depth += {'{': 1, '}': -1}.get(text[position], 0)
        if depth == 0:
            return position
    raise ConfigError(f'pattern {text!r}: a brace that is not closed')


class _Filler(string.Formatter):
    def format_field(self, value: Any, format_spec: str) -> str:
        return str(int(value)) if format_spec == 'd' else format(value, format_spec)


_FILLER = _Filler()


def fill(template: str, groups: Mapping[str, str]) -> str:
    """Put groups into a template; ``{n:d}`` writes a number without leading zeros.

    Raises:
        ConfigError: the template names a group that there is not.

    Example:
        >>> fill('case_{n:d}', {'n': '007'})
        'case_7'
    """
    try:
        return _FILLER.vformat(template, (), groups)
    except KeyError as error:
        known = ', '.join(sorted(groups)) or 'none'
        raise ConfigError(f'template {template!r}: no group {error.args[0]!r} (known: {known})') from error
    except ValueError as error:
        raise ConfigError(f'template {template!r} with {dict(groups)}: {error}') from error


def natural_key(text: str) -> tuple[tuple[int, int, str], ...]:
    """A key that sorts ``a2`` before ``a10``; texts that differ have different keys.

    Example:
        >>> sorted(['a10', 'a2'], key=natural_key)
        ['a2', 'a10']
    """
    pieces = re.split(r'(\d+)', text)
    numbered = ((0, int(p), p) if p.isascii() and p.isdigit() else (1, 0, p) for p in pieces if p)
    return tuple(numbered)
