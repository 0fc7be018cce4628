"""Opting in to one pickle, by its content: the only place that lets torch run what a checkpoint asks for."""

from __future__ import annotations

import hashlib
import io
import logging
import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from ultrasam.errors import CheckpointError

VARIABLE = 'ULTRASAM_TRUST_PICKLE'
"""Environment variable with the sha256 of each file that may run code, separated by commas."""

_SHA256 = re.compile(r'[0-9a-f]{64}')
_LOG = logging.getLogger(__name__)


def trust_pickles(digests: Sequence[str]) -> None:
    """Allow the files of these sha256 to run code when they are read, here and in processes started from here.

    Args:
        digests: Full sha256 in hexadecimal; there is no way to name a file, a folder or everything.

    Raises:
        CheckpointError: One is no sha256.
    """
    if digests:
        os.environ[VARIABLE] = ','.join(sorted(_parsed(digests, '--trust-pickle') | trusted_digests()))


def trusted_digests() -> frozenset[str]:
    """The sha256 of every file that may run code.

    Raises:
        CheckpointError: The environment variable holds something else.
    """
    return _parsed([part for part in os.environ.get(VARIABLE, '').split(',') if part.strip()], VARIABLE)


def _parsed(digests: Sequence[str], source: str) -> frozenset[str]:
    cleaned = frozenset(digest.strip().lower() for digest in digests)
    for digest in cleaned:
        if not _SHA256.fullmatch(digest):
            raise CheckpointError(
                f'{source}: {digest!r} is no sha256. Give the 64 hexadecimal digits that sha256sum prints for the file.'
            )
    return cleaned


def read_if_trusted(file: Path, device: torch.device) -> Any | None:
    """Read a pickle with torch, code and all, if its very bytes are trusted.

    Args:
        file: A file that the safe reader refuses.
        device: Device of its tensors.

    Returns:
        Its object, or None if it is not trusted.

    Raises:
        CheckpointError: The environment variable is malformed, or torch cannot read the file.
    """
    trusted = trusted_digests()
    if not trusted:
        return None
    # Read once: what is compared is what is run, whatever happens to the file meanwhile.
    content = file.read_bytes()
    digest = hashlib.sha256(content).hexdigest()
    if digest not in trusted:
        return None
    _LOG.warning(
        '%s: RUNNING CODE FROM THIS FILE, because its sha256 %s is trusted by %s', file, digest, VARIABLE
    )
    try:
        return torch.load(io.BytesIO(content), map_location=device, weights_only=False)
    # What a pickle runs can fail in any way.
    except Exception as error:
        raise CheckpointError(
            f'{file}: is trusted, but torch cannot read it ({type(error).__name__}: {error}).'
        ) from error
