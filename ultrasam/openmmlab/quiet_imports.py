"""Imports of mmdet and mmpretrain without what they print."""

from __future__ import annotations

import contextlib
import io
import warnings
from collections.abc import Iterator


@contextlib.contextmanager
def quiet_imports() -> Iterator[None]:
    """Silence what mmdet and mmpretrain say while they are imported.

    Both print a line about a package that nobody needs; from Python 3.12 on, their unescaped backslashes are warnings
    that everybody sees.
    """
    with contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings():
        for category in (SyntaxWarning, DeprecationWarning):
            warnings.simplefilter('ignore', category)
        yield
