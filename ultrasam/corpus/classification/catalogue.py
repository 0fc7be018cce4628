"""The page of sets of classified images, ``datasets/classification/README.md``, written from their descriptions."""

from __future__ import annotations

from collections.abc import Mapping

from ultrasam.corpus.classification.spec import ClassificationSpec, ClassLists
from ultrasam.corpus.spec import DatasetSpec
from ultrasam.markdown import markdown_table

_HEAD = """# Sets of classified images

Public sets on which classifiers of ultrasound images are compared. Their images have a class and no outlines, so they
are no part of the corpus, and `convert all` leaves them out; each is converted by its name, from files that you
obtain under its terms:

```bash
ultrasam data list                                                      # short names, after those of the corpus
ultrasam data fetch tn5000 fatty_liver                                  # terms, then the files, into downloads/
ultrasam data convert pocus downloads data                              # found by its short name
python datasets/classification/pocus.py downloads/covid19_ultrasound/data data
ultrasam data convert butterfly downloads data                          # its terms are shown first
```

Each gives `data/NAME/` with

- `images/*.png`, 8-bit RGB, whole images: nothing is cropped, masked or resized,
- `annotations/train.txt`, `val_classification.txt` and `test_classification.txt`: lines of file name and index of the
  class, as the configs of the classifiers read them. Where there is a second split its files have a suffix.
- `annotations/classes.txt`: names of the classes, one a line, in the order of their indices,
- `annotations/images.csv`: class, subject, source file, frame and parts of every image,
- `README.md`: images and subjects of each part and class, and how many images leak where a split leaks,
- `manifest.json`: counts, what was left out and why, and the SHA-256 of every file.

The rest is as for the corpus ([`../README.md`](../README.md)): the same files give the same bytes, a conversion that is
stopped goes on, files that cannot be used are listed and nothing is published. A subject in two parts is a fault, but
for a public split that is known to leak, whose leak is counted instead.

"""
_COLUMNS = ('short name', 'data set', 'images', 'classes', 'subjects', 'licence', 'access')


def class_catalogue_text(descriptions: Mapping[str, DatasetSpec], corpus: Mapping[str, DatasetSpec]) -> str:
    """The README of ``datasets/classification/``.

    Args:
        descriptions: by their short names; those of other kinds are passed over.
        corpus: descriptions of the corpus, of which those with classes of whole images are named.

    Returns:
        Markdown.
    """
    specs = {
        name: spec for name, spec in sorted(descriptions.items()) if isinstance(spec, ClassificationSpec)
    }
    rows = []
    for name, spec in specs.items():
        cells = (
            f'`{name}`',
            f'[{spec.title}]({spec.homepage})',
            f'{spec.expected.images:,}' if spec.expected.images else 'not stated',
            ', '.join(f'{index} {label}' for index, label in enumerate(spec.classes)),
            _subjects(spec),
            spec.licence or 'not stated: ask the authors',
            spec.access,
        )
        rows.append(cells)
    labelled = ', '.join(f'`{name}`' for name, spec in sorted(corpus.items()) if spec.label)
    further = f'Further sets with classes of whole images are in the corpus: {labelled}.\n\n'
    text = _HEAD + further + markdown_table(_COLUMNS, rows) + '\n\n## Splits\n\n'
    for name, spec in specs.items():
        text += ''.join(
            f'- `{name}`, `{one.file_name("train")}`: {_split(spec, one)}\n' for one in spec.lists
        )
    text += '\n## Terms, notes and citations\n\n'
    for name, spec in specs.items():
        terms = f'{spec.terms} <{spec.terms_link}> ' if spec.terms else ''
        text += f'- `{name}`: {terms}{" ".join(spec.notes)} {spec.citation}.\n'
    return text


def _subjects(spec: ClassificationSpec) -> str:
    if spec.subject is None:
        return 'not known'
    return f'{spec.expected.subjects:,}' if spec.expected.subjects else 'as far as file names tell'


def _split(spec: ClassificationSpec, one: ClassLists) -> str:
    if spec.subject is None:
        return f'{one.origin}; whether it leaks cannot be told.'
    return (
        f'{one.origin}; it leaks, since {one.leak}.'
        if one.leak
        else f'{one.origin}; no subject in two parts.'
    )
