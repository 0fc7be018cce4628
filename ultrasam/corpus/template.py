"""The beginning of a description and of its test, as ``ultrasam data new`` writes them."""

from __future__ import annotations

import re
from pathlib import Path

from ultrasam.atomic import publish_bytes, refuse_existing
from ultrasam.errors import ConfigError

_DESCRIPTION = '''\
"""How the release of NAME becomes images with masks. See what this makes of it: ultrasam data plan NAME.py SOURCE."""

from ultrasam.corpus import Category, DatasetSpec, Expected, ImageFiles, MaskFiles, Table, Values

SPEC = DatasetSpec(
    # What it is. The name becomes the folder of the converted dataset and the beginning of every file name.
    name='NAME',
    title='What its authors call it',
    homepage='https://',
    licence='',  # as its page states it; empty if none is stated
    citation='Authors, title, journal, year',
    access='open',  # or registration, request, login
    organs=('liver',),
    application='lesions, benign or malignant',
    # Classes of structure, each with its group; their ids are 1, 2, ... in this order.
    categories=(Category('liver', 'organ'), Category('lesion', 'nodule')),
    # Images, by the ends of their paths. Braces are groups, parts of a name that differ: {patient} is any text
    # within a name, {n:\\d+} digits only, {kind:benign|malignant} one of two words.
    # Volumes and videos have words of their own.
    frames=ImageFiles('images/{patient}_{n}.png'),
    # Masks; each belongs to the image whose groups are the same. Values says what a value means, of a palette its
    # index. Others are Threshold(128, 'lesion'), Nonzero('lesion') and Colours({(255, 0, 0): 'lesion'}).
    annotations=(MaskFiles('masks/{patient}_{n}.png', Values({1: 'liver', 2: 'lesion'})),),
    # Tables; of the row whose column 'file' is this text, the column 'finding' becomes the group {finding}.
    tables=(Table('labels.csv', on={'file': '{patient}_{n}.png'}, take={'finding': 'finding'}),),
    # Who was scanned, so that a split keeps a patient on one side. Leave it out where nobody is known.
    subject='{patient}',
    # Class of the whole image, and all classes in the order of their indices. Leave both out where there are none.
    label='{finding}',
    classes=('benign', 'malignant'),
    # Counts that the publication states; a part of the release is then noticed.
    expected=Expected(images=None, subjects=None),
    # Files that are not used, and why.
    leave_out={'README.txt': 'a description of the release'},
    # Where the files are, for `ultrasam data fetch` (import Download, too):
    # downloads=(Download(file='NAME.zip', doi='10.5281/zenodo.1234567'),),
)
'''

_TEST = '''\
"""Does the description of NAME read its release? One of the same layout is made here, as small as can be."""

import json
from pathlib import Path

import numpy as np
from PIL import Image

from ultrasam.corpus.engine import Options, convert_dataset

DESCRIPTION = Path(__file__).with_name('NAME.py')


def write_release(root: Path) -> None:
    """Write an image of each of two patients, under the names and with the mask values of the release."""
    for folder in ('images', 'masks'):
        (root / folder).mkdir(parents=True)
    for patient in ('P1', 'P2'):
        mask = np.zeros((40, 60), np.uint8)
        mask[5:15, 5:25] = 1
        mask[20:30, 30:50] = 2
        Image.fromarray(np.full((40, 60), 90, np.uint8)).save(root / f'images/{patient}_1.png')
        Image.fromarray(mask).save(root / f'masks/{patient}_1.png')
    (root / 'labels.csv').write_text('file,finding\\nP1_1.png,benign\\nP2_1.png,malignant\\n')


def test_the_release_is_read(tmp_path: Path) -> None:
    write_release(tmp_path / 'raw')
    report = convert_dataset(DESCRIPTION, tmp_path / 'raw', tmp_path / 'data', Options(accept_counts=True))
    coco = json.loads((report.folder / 'annotations/NAME__coco.json').read_text(encoding='utf-8'))
    images = [(image['subject'], image['label']) for image in coco['images']]
    assert images == [('P1', 'benign'), ('P2', 'malignant')]
    objects = [(one['image_id'], one['category_id'], one['area']) for one in coco['annotations']]
    assert objects == [(0, 1, 200), (0, 2, 200), (1, 1, 200), (1, 2, 200)]
    assert report.counts.unused == 0
'''


def write_template(name: str, folder: Path, *, overwrite: bool = False) -> tuple[Path, Path]:
    """Write the beginning of a description, and a test that it passes as it is.

    Args:
        name: Short name of the dataset: letters, digits and underscores.
        folder: Where ``NAME.py`` and ``test_NAME.py`` go; made if missing.
        overwrite: Replace files that are there.

    Returns:
        Both files.

    Raises:
        ConfigError: A name that no file of Python can have.
        OutputError: A file is there already, or cannot be written.
    """
    if not re.fullmatch(r'[A-Za-z0-9]\w*', name, re.ASCII):
        raise ConfigError(f'name {name!r}: give letters, digits and underscores, such as my_liver')
    files = folder / f'{name}.py', folder / f'test_{name}.py'
    for path in files:
        refuse_existing(path, overwrite=overwrite)
    folder.mkdir(parents=True, exist_ok=True)
    for path, text in zip(files, (_DESCRIPTION, _TEST), strict=True):
        publish_bytes(path, text.replace('NAME', name).encode(), overwrite=overwrite)
    return files
