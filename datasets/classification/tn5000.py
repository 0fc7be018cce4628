from collections.abc import Iterator

from ultrasam.cli.convert import run_description
from ultrasam.corpus import (
    ClassificationSpec,
    ClassLists,
    Derived,
    Download,
    Expected,
    Files,
    ImageFiles,
    Item,
    RawFrame,
    Split,
    Table,
)

# of an annotation file
MOST_BYTES = 1 << 20


def name_of_objects(file) -> str:
    """Return the one class of the objects of a Pascal VOC file; entities and document types are refused."""
    from defusedxml import ElementTree

    from ultrasam.corpus.errors import RawFileError

    data = file.path.read_bytes()
    if len(data) > MOST_BYTES:
        raise RawFileError(f'{file.name}: {len(data):,} bytes are too many for an annotation file')
    try:
        root = ElementTree.fromstring(data, forbid_dtd=True)
    # the errors of the parser and its refusals share no class
    except Exception as error:
        raise RawFileError(f'{file.name}: damaged, or not plain XML ({error!r})') from error
    names = sorted({(one.findtext('name') or '').strip() for one in root.iter('object')})
    if len(names) != 1 or not names[0]:
        found = f'objects of {len(names)} classes, {" and ".join(map(repr, names))}' if names else 'no object'
        raise RawFileError(f'{file.name}: {found}, where one class an image is described')
    return names[0]


def read_image_with_class(item: Item) -> Iterator[RawFrame]:
    """Read an image; its class stands in the annotation file."""
    from ultrasam.corpus.errors import RawFileError
    from ultrasam.corpus.readers.image import read_image

    files = item.annotations[0]
    if len(files) != 1:
        raise RawFileError(f'{item.key}: {len(files)} annotation files where one is described')
    yield RawFrame(read_image(item.frames), (), groups={'name': name_of_objects(files[0])})


SPEC = ClassificationSpec(
    name='TN5000',
    title='TN5000: thyroid nodule detection and classification',
    homepage='https://doi.org/10.6084/m9.figshare.28455641',
    licence='',
    citation='Zhang H., Liu Q., Han X., Niu L., Sun W., TN5000, Scientific Data 2025',
    access='open',
    downloads=(Download(file='TN5000*.zip', doi='10.6084/m9.figshare.28455641'),),
    organs=('thyroid',),
    application='nodules, benign or malignant',
    archives=('TN5000*.zip',),
    frames=ImageFiles('JPEGImages/{id}.jpg'),
    annotations=(Files('Annotations/{id}.xml'),),
    read=read_image_with_class,
    tables=(
        Table(
            'ImageSets/Main/{part:train|val|test}.txt',
            form='list',
            columns=('id',),
            delimiter=None,
            on={'id': '{id}'},
            take={'part': 'part'},
            whole=True,
        ),
    ),
    derived=(Derived('pathology', of='{name}', rules={'0': 'benign', '1': 'malignant'}),),
    label='{pathology}',
    classes=('benign', 'malignant'),
    lists=(
        ClassLists(
            Split('{part}', test=('test',), val=('val',), train=('train',)), origin='the official one'
        ),
    ),
    leave_out={'ImageSets/Main/trainval.txt': 'train and val together'},
    expected=Expected(images=5000),
    notes=(
        'Patients are not named: that the official parts share none cannot be excluded.',
        'Malignant is the larger class (71 %): always answering it gives a macro F1 of 42.2 %.',
        'Some published figures are of crops around the nodule, also of other images: they do not compare.',
    ),
)

if __name__ == '__main__':
    run_description(__file__)
