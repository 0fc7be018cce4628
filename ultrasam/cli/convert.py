"""Commands that convert data sets; ``datasets/convert.py`` and every description call what is here."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from ultrasam.cli.class_sets import licence_line, listing
from ultrasam.cli.guard import guarded
from ultrasam.cli.terms import accept_terms, must_accept
from ultrasam.corpus.errors import EXIT_OK, exit_code_of
from ultrasam.corpus.library import find_description
from ultrasam.corpus.loading import list_descriptions, load_spec
from ultrasam.corpus.sources import find_source, holds
from ultrasam.corpus.spec import CRUMB_PX, DatasetSpec
from ultrasam.errors import ConfigError, InputError, UltraSamError

if TYPE_CHECKING:
    from ultrasam.corpus.engine import Report

_PREVIEW = 'preview.png'
_SHOWN = 8
CODES = """
exit codes: 0 converted, 2 wrong use, 3 faults in the data (good files are kept, run again to resume),
4 an archive or a published data set that is damaged or unsafe, 5 disk, permission or missing program,
130 and 143 stopped by a signal (run again to resume)
"""


def run_description(file: str, arguments: Sequence[str] | None = None) -> NoReturn:
    """The command of one description: ``python datasets/us43d/busi.py SOURCE OUT``.

    Args:
        file: of the description.
        arguments: of the command line; None for those of the process.
    """
    path = Path(file).resolve()
    spec = load_spec(path)
    parser = _parser(
        f'Convert {spec.title}.',
        f'  python datasets/{path.parent.name}/{path.name} downloads/{path.stem} data\n',
    )
    parser.add_argument('source', type=Path, metavar='SOURCE', help='archive or folder of the release')
    parser.add_argument(
        'out', type=Path, metavar='OUT', help=f'folder of all data sets; {spec.name}/ is made in it'
    )
    args = parser.parse_args(arguments)
    sys.exit(guarded(lambda: _convert(path, args.source, args)))


def run_all(
    folder: Path, arguments: Sequence[str] | None = None, *, classification: Path | None = None
) -> int:
    """The command ``datasets/convert.py``.

    Args:
        folder: of the descriptions of the corpus.
        arguments: of the command line; None for those of the process.
        classification: folder of the descriptions of sets of classified images, which are no part of the corpus.
    """
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    if arguments[:1] == ['list']:
        return guarded(lambda: list_datasets(folder, classification))
    if arguments[:1] == ['readme']:
        return guarded(lambda: _readme(folder, classification, arguments[1:]))
    examples = (
        '  python datasets/convert.py list\n'
        '  python datasets/convert.py readme > datasets/README.md\n'
        '  python datasets/convert.py readme classification > datasets/classification/README.md\n'
        '  python datasets/convert.py busi downloads data --preview\n'
        '  python datasets/convert.py all downloads data --jobs 8\n'
        '  python datasets/convert.py pocus downloads data\n'
    )
    parser = _parser('Convert one data set, or all of the corpus whose files are there.', examples)
    add_names(parser)
    args = parser.parse_args(arguments)
    return guarded(lambda: convert_named(folder, classification, args))


def _parser(description: str, examples: str) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=description,
        epilog=f'examples:\n{examples}{CODES}',
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_options(parser)
    return parser


def add_names(parser: argparse.ArgumentParser) -> None:
    """Add what is converted, from where, to where."""
    parser.add_argument(
        'name',
        metavar='NAME',
        help="short name, as 'list' shows it; 'all' of the corpus; or a description, NAME.py",
    )
    parser.add_argument(
        'source',
        type=Path,
        metavar='SOURCE_ROOT',
        help='folder with a folder or archive of each, under its short name or as its site calls it',
    )
    parser.add_argument('out', type=Path, metavar='OUT_ROOT', help='folder of all data sets')


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add how it is converted."""
    parser.add_argument('--jobs', type=int, default=1, help='number of processes (default: 1)')
    parser.add_argument('--published', action='store_true', help="choices of the published model's data")
    parser.add_argument(
        '--keep-crumbs',
        action='store_true',
        help=f'keep objects of {CRUMB_PX} pixels or fewer, which are dropped',
    )
    parser.add_argument('--overwrite', action='store_true', help='replace a data set that is there already')
    parser.add_argument(
        '--accept-counts', action='store_true', help='publish a part of a release, or another version'
    )
    parser.add_argument(
        '--skip-unusable',
        action='store_true',
        help='publish without the files that cannot be used; each is named',
    )
    parser.add_argument(
        '--leave-out',
        action='append',
        default=[],
        metavar='FILE',
        help='do not use this file of the release, given by the end of its path; may be repeated',
    )
    parser.add_argument(
        '--accept-terms', action='store_true', help='the terms that are shown were read and are accepted'
    )
    parser.add_argument(
        '--verify', action='store_true', help='check what is there already instead of refusing it'
    )
    parser.add_argument(
        '--preview', type=int, nargs='?', const=24, help='write a contact sheet of so many images'
    )


def list_datasets(folder: Path, classification: Path | None) -> int:
    """Print the datasets that are described."""
    specs = _specs(folder)
    sys.stdout.write(f'{listing(specs)}{len(specs)} data sets\n')
    if classification is not None:
        apart = _specs(classification)
        title = 'sets of classified images, no part of the corpus, each converted by its name'
        sys.stdout.write(f'\n{listing(apart)}{len(apart)} {title}\n')
    return EXIT_OK


def _specs(folder: Path) -> dict[str, DatasetSpec]:
    return {name: load_spec(path) for name, path in list_descriptions(folder).items()}


def _readme(folder: Path, classification: Path | None, which: Sequence[str]) -> int:
    from ultrasam.corpus.catalogue import catalogue_text
    from ultrasam.corpus.classification.catalogue import class_catalogue_text

    if which and (list(which) != ['classification'] or classification is None):
        raise ConfigError(f"readme {' '.join(which)}: give nothing more, or 'classification'")
    if which and classification is not None:
        sys.stdout.write(class_catalogue_text(_specs(classification), _specs(folder)))
    else:
        sys.stdout.write(catalogue_text(_specs(folder)))
    return EXIT_OK


def convert_named(folder: Path, classification: Path | None, args: argparse.Namespace) -> int:
    """Convert the dataset of a name, or all whose files are there.

    Args:
        folder: Folder of the descriptions of the corpus.
        classification: Folder of the descriptions of sets of classified images.
        args: Arguments as they were typed.
    """
    descriptions = list_descriptions(folder)
    if args.name != 'all':
        known = descriptions | ({} if classification is None else list_descriptions(classification))
        path = find_description(args.name, known)
        return _convert(path, source_of(path.stem, load_spec(path), args.source), args)
    if args.leave_out:
        raise ConfigError("--leave-out names files of one data set: give its short name instead of 'all'")
    if not args.source.is_dir():
        raise InputError(f'{args.source}: no such folder: give the one that holds the downloads')
    codes = []
    missing = []
    for name, path in descriptions.items():
        try:
            spec = load_spec(path)
            if _is_finished(spec, args):
                sys.stdout.write(f'{spec.name}: there already, passed over\n')
                codes.append(EXIT_OK)
                continue
            source = find_source(args.source, name, spec)
            if not source:
                missing.append(name)
                continue
            codes.append(_convert(path, source, args))
        except UltraSamError as error:
            sys.stderr.write(f'{error}\n')
            codes.append(exit_code_of(error))
    if missing:
        sys.stderr.write(
            f'{len(missing)} of {len(descriptions)} are not in {args.source}: {", ".join(missing)}\n'
        )
    if not codes:
        raise InputError(
            f'{args.source}: no folder or archive in it is called after a data set, or as the site of one calls it'
        )
    sys.stdout.write(f'{codes.count(EXIT_OK)} of {len(codes)} data sets converted\n')
    return max(codes)


def source_of(name: str, spec: DatasetSpec, root: Path) -> Sequence[Path]:
    """Return where a dataset lies: in a folder of many, or the folder or archive itself.

    Args:
        name: Short name.
        spec: The description.
        root: Folder of many, or the folder or archive of this one.

    Raises:
        InputError: The folder holds nothing of this dataset.
    """
    found = find_source(root, name, spec)
    if found or not root.is_dir() or holds(root, spec):
        return found or (root,)
    there = sorted(path.name for path in root.iterdir())
    shown = ', '.join(there[:_SHOWN]) + (', ...' if len(there) > _SHOWN else '') if there else 'nothing'
    wanted = ' or '.join(dict.fromkeys((name, spec.name, *spec.archives)))
    raise InputError(
        f'{root}: no files of {spec.name} in it: it holds {shown}. Wanted is a folder or archive {wanted}; or give the '
        'folder or archive itself'
    )


def _is_finished(spec: DatasetSpec, args: argparse.Namespace) -> bool:
    """Whether a dataset is there already, made with the same choices, and is not asked for anew."""
    from ultrasam.corpus.layout import DatasetFolder

    if args.overwrite or args.verify:
        return False
    manifest = DatasetFolder(spec.name, args.out / spec.name).manifest()
    return (
        bool(manifest)
        and manifest.get('as_published') == args.published
        and (manifest.get('crumbs_kept', True) == (args.published or args.keep_crumbs))
    )


def _convert(path: Path, source: Path | Sequence[Path], args: argparse.Namespace) -> int:
    """Convert one data set and report it."""
    from tqdm import tqdm

    from ultrasam.corpus.engine import Options, convert_dataset
    from ultrasam.corpus.manifest import MANIFEST, verify_dataset

    spec = load_spec(path)
    name = spec.name
    if args.verify and not args.overwrite and (args.out / name / MANIFEST).exists():
        counts = verify_dataset(args.out / name)['counts']
        sys.stdout.write(f'{name}: verified, {sum(counts["images"].values()):,} images\n')
        _preview(args.out / name, args.preview)
        return EXIT_OK
    if must_accept(spec):
        accept_terms(spec, accepted=args.accept_terms)
    with tqdm(desc=name, unit='item', disable=None) as bar:

        def progress(done: int, total: int) -> None:
            bar.total = total
            bar.update(done - bar.n)

        options = Options(
            jobs=args.jobs,
            published=args.published,
            keep_crumbs=args.keep_crumbs,
            overwrite=args.overwrite,
            accept_terms=must_accept(spec),
            accept_counts=args.accept_counts,
            skip_unusable=args.skip_unusable,
            leave_out=tuple(args.leave_out),
            progress=progress,
            note=lambda text: bar.set_postfix_str(text),
        )
        report = convert_dataset(path, source, args.out, options)
    _report(spec, report)
    _preview(report.folder, args.preview)
    return EXIT_OK


def _report(spec: DatasetSpec, report: Report) -> None:
    counts = report.counts
    sys.stdout.write(
        f'{spec.name}: {counts.images.total():,} images, {counts.annotations.total():,} annotations, '
        f'{counts.subjects:,} subjects in {report.folder}\n{licence_line(spec)}'
    )
    for title in (
        'images',
        'categories',
        'labels',
        'left_out',
        'dropped',
        'changed',
        'known_faults',
        'stray',
    ):
        for key, count in sorted(getattr(counts, title).items())[:20]:
            sys.stdout.write(f'  {title.replace("_", " ")}: {key}: {count:,}\n')
    if counts.unusable:
        sys.stdout.write(f'  unusable: {counts.unusable:,}\n')
    for warning in report.warnings:
        sys.stdout.write(f'  look at: {warning}\n')


def _preview(folder: Path, count: int | None) -> None:
    if count:
        from ultrasam.corpus.layout import DatasetFolder
        from ultrasam.corpus.sheets import write_sheet

        target = folder.parent / f'{folder.name}.{_PREVIEW}'
        write_sheet(DatasetFolder(folder.name, folder), target, count=count)
        sys.stdout.write(f'  preview: {target}\n')
