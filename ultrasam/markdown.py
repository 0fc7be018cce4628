"""Tables in Markdown."""

from __future__ import annotations

import re
from collections.abc import Sequence


def markdown_table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    r"""Return a table; bars and line breaks in cells do not break it.

    Args:
        head: Titles of the columns.
        rows: Cells of each row, in Markdown.

    Example:
        >>> markdown_table(['name', 'count'], [['a|b', '3']])
        '| name | count |\n| --- | --- |\n| a\\|b | 3 |'
    """
    lines = [head, ['---'] * len(head), *rows]
    return '\n'.join('| ' + ' | '.join(map(_cell, line)) + ' |' for line in lines)


def _cell(text: str) -> str:
    return re.sub(r'(?<!\\)\|', r'\\|', ' '.join(text.split()))
