"""The table of data sets in ``datasets/README.md``, written from the descriptions."""

from __future__ import annotations

from collections.abc import Mapping

from ultrasam.corpus.spec import DatasetSpec
from ultrasam.markdown import markdown_table

_HEAD = """# Data sets

One description a data set lies in `us43d/`; the engine in `ultrasam.corpus` does the rest:

```bash
ultrasam data list                                    # short names
ultrasam data fetch busi hc                           # terms, then the files, into downloads/
ultrasam data plan busi downloads                     # what is there, samples drawn, nothing converted
ultrasam data convert busi downloads data --preview   # one data set, found by its short name
ultrasam data convert all downloads data --jobs 8     # all that are there
```

`fetch` knows where the files of most open data sets are (`fetch --list`), from public sources; which addresses were
never tried from here, it says. Files are compared with what their publisher states, and a download that breaks off goes
on where it was. The others you obtain yourself, under their terms. The scripts of the published code work as before:
`python datasets/us43d/busi.py downloads/busi data`, `python datasets/convert.py busi downloads data`.

`convert` finds a data set in `downloads` as a folder or archive of its short name or its folder name (see the
table), or under the names that its site gives its archives; where these could be anybody's, such as `archive.zip`, by
the files in them. Archives of other data sets stay packed. `all` passes over what is there already.

Each gives `data/NAME/` with

- `images/*.png`, 8-bit RGB,
- `annotations/NAME__coco.json`, and `annotations/test.NAME__coco.json` where there is an official test part, which is
  never mixed into the other. Each image states its `subject`, `source_file`, `frame`, `official_split` and `label`,
  as far as they are known. A subject that is a file name means that no patient is known: such images may share one.
- where images have classes `annotations/classes.txt`, their names in the order of the indices. Lists for classifiers,
  `train.txt`, `val_classification.txt` and `test_classification.txt` beside it, come with the split by subject
  (`ultrasam data split` or `build`): lines of file name and index, in the parts of the COCO files,
- `manifest.json`: counts, what was left out and why, and the SHA-256 of every file.

The same files give the same bytes, whatever the machine's order of files or the number of processes. A conversion
that is stopped goes on where it was when it is started again; until it is complete nothing appears under `data/NAME/`.
Files that cannot be used are listed and the data set is not published (exit code 3), unless you say `--skip-unusable`:
then each is named and counted in the report and in the manifest, and the rest is published. `--leave-out FILE` does not
use a file that you name. An archive that is damaged or unsafe is refused (4). Objects of up to 4 pixels are crumbs of
the annotation: they are dropped and counted, unless you say `--keep-crumbs`. `--published` makes the choices of the
published model's data where its numbers depend on them, and keeps crumbs, as it did.
`--accept-counts` takes a part of a release, or another version of it. `--verify` checks what was published.

`ultrasam data build data` does all that training needs: split by subject, class-agnostic files, merged files. Its parts
and the rest (`split`, `agnostic`, `merge`, `clean-pool`, `verify`, `near-duplicates`, `statistics`) say with `--help`
what they do; the scripts in `tools/` are the same commands under their published names.

Sets of classified images, on which classifiers are compared, lie in `classification/`, with
[a page of their own](classification/README.md).

[Add a data set](../docs/add_a_dataset.md) goes through a description of your own in six steps.

"""
_COLUMNS = (
    'short name',
    'folder',
    'data set',
    'images',
    'organs',
    'categories',
    'subject',
    'official parts',
    'licence',
    'access',
)


def catalogue_text(descriptions: Mapping[str, DatasetSpec]) -> str:
    """The README of ``datasets/``.

    Args:
        descriptions: by their short names.

    Returns:
        Markdown.
    """
    rows = []
    for name, spec in sorted(descriptions.items()):
        images = f'{spec.expected.images:,}' if spec.expected.images else 'not stated'
        categories = ', '.join(category.name for category in spec.categories)
        subject = 'known' if spec.subject is not None else 'not known'
        parts = '-'
        if spec.split is not None:
            parts = ', '.join(part for part in ('train', 'val', 'test') if getattr(spec.split, part))
        cells = (
            f'`{name}`',
            f'`{spec.name}`',
            f'[{spec.title}]({spec.homepage})',
            images,
            ', '.join(spec.organs),
            categories,
            subject,
            parts,
            spec.licence or 'not stated',
            spec.access,
        )
        rows.append(cells)
    notes = [
        f'- `{name}`: {" ".join(spec.notes)} {spec.citation}.' for name, spec in sorted(descriptions.items())
    ]
    return _HEAD + markdown_table(_COLUMNS, rows) + '\n\n## Notes and citations\n\n' + '\n'.join(notes) + '\n'
