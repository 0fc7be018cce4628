"""All files of a dataset, fetched into one folder."""

from __future__ import annotations

import glob
import os
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from functools import cache
from pathlib import Path
from typing import Any

from ultrasam.downloads.download import Download
from ultrasam.downloads.fetch import Fetched, fetch_file, mirror_address
from ultrasam.downloads.integrity import DownloadError, IntegrityError, read_manifest
from ultrasam.downloads.records import SERVICES, RecordFile, Services, list_record
from ultrasam.downloads.transfer import PATIENCE, Patience
from ultrasam.errors import UltraSamError


@dataclass(kw_only=True)
class Release:
    """What became of the files of a release.

    Args:
        fetched: Files that are there, by their names.
        failures: Why others are not, by their names.
        wrong: Names of those among ``failures`` whose bytes were not the right ones.
    """

    fetched: dict[str, Fetched] = field(default_factory=dict)
    failures: dict[str, str] = field(default_factory=dict)
    wrong: set[str] = field(default_factory=set)


def fetch_release(
    downloads: Sequence[Download],
    folder: Path,
    *,
    mirror: str | None = None,
    services: Services = SERVICES,
    overwrite: bool = False,
    patience: Patience = PATIENCE,
    show_progress: bool = True,
) -> Release:
    """Have the files of a release in a folder; one that cannot be fetched does not keep the others away.

    Args:
        downloads: What the release consists of.
        folder: Where the files go; made if missing.
        mirror: Address of a folder with the files, which is asked instead of the publisher.
        services: Whom to ask about a DOI.
        overwrite: Fetch anew what is there.
        patience: How long to try.
        show_progress: Draw bars where the output is a terminal.

    Raises:
        ConfigError: The mirror is no web address.
    """
    done = Release()

    @cache
    def record_of(doi: str) -> list[RecordFile]:
        return list_record(doi, services, patience)

    options: dict[str, Any] = dict(overwrite=overwrite, patience=patience, show_progress=show_progress)
    for one in downloads:
        try:
            listed = record_of(one.doi) if _needs_record(one, folder, mirror, overwrite) else []
        except UltraSamError as error:
            if not one.urls:
                done.failures[one.file] = str(error)
                continue
            listed = []  # its addresses are known without
        found = _matching(one, listed)
        if not found:
            done.failures[one.file] = f'doi {one.doi} has no file of this name; it has {_names(listed)}'
        for download in found:
            try:
                done.fetched[download.file] = _fetch(download, folder, mirror, record_of, options)
            except UltraSamError as error:
                done.failures[download.file] = str(error)
                if isinstance(error, IntegrityError):
                    done.wrong.add(download.file)
    return done


def _needs_record(one: Download, folder: Path, mirror: str | None, overwrite: bool) -> bool:
    """Whether the record tells something that is needed now: names, or a digest to compare with."""
    if not one.doi or (mirror and not one.is_pattern):
        return False
    target = folder / one.file
    is_known = target.exists() and not overwrite and read_manifest(target) is not None
    return one.is_pattern or not (one.expected.has_digest or is_known)


def _matching(one: Download, listed: Sequence[RecordFile]) -> list[Download]:
    """A download with what its record knows; for a pattern, each file that fits it."""
    if one.is_pattern:
        fitting = [file for file in listed if fnmatchcase(file.name, one.file)]
        return [_with_record(replace(one, file=file.name), file) for file in fitting]
    if not listed:
        return [one]
    return [_with_record(one, file) for file in listed if file.name == one.file]


def _with_record(one: Download, file: RecordFile) -> Download:
    """A download that knows the address and digests of its record, too."""
    known = file.expected
    return replace(
        one,
        urls=(*one.urls, file.url),
        size=one.size or known.size,
        sha256=one.sha256 or known.sha256,
        md5=one.md5 or known.md5_prefix,
    )


def _fetch(
    one: Download, folder: Path, mirror: str | None, record_of: Any, options: dict[str, Any]
) -> Fetched:
    target = folder / one.file

    if not options['overwrite']:
        _take_from_neighbour(one, target)

    def addresses() -> list[str]:
        if mirror:
            return [mirror_address(mirror, one.file)]
        if one.by_hand and not one.urls:
            raise DownloadError(f'{one.by_hand} Save it as {target}, and run again to check it')
        if one.urls or not one.doi:
            return list(one.urls)
        return [file.url for file in record_of(one.doi) if file.name == one.file]

    return fetch_file(target, addresses, one.expected, **options)


def _take_from_neighbour(one: Download, target: Path) -> None:
    """Use the very file that another dataset in the same folder has, where its SHA-256 tells that it is."""
    if one.sha256 is None or target.exists():
        return
    for path in sorted(target.parent.parent.glob(f'*/{glob.escape(target.name)}')):
        with suppress(IntegrityError, OSError):
            one.expected.check(path)
            target.parent.mkdir(parents=True, exist_ok=True)
            os.link(path, target)
            return


def _names(listed: Sequence[RecordFile]) -> str:
    return ', '.join(file.name for file in listed) or 'none'
