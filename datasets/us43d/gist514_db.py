from collections.abc import Iterator

from ultrasam.cli.convert import run_description
from ultrasam.corpus import (
    Category,
    DatasetSpec,
    Download,
    Expected,
    ImageFiles,
    Instances,
    Item,
    RawFrame,
    Rows,
    Split,
    Table,
)

FOLD = 'usd514_jpeg_roi/annotations/{part:train|val}_anno_crop_split_0.json'
NAMES = {'1': 'lmym', '2': 'gist'}


def read_objects(item: Item) -> Iterator[RawFrame]:
    """Read an image and its objects; each polygon of an object is an instance, drawn as COCO's tools draw it."""
    from ultrasam.corpus import Structure
    from ultrasam.corpus.errors import RawFileError
    from ultrasam.corpus.readers.image import read_image
    from ultrasam.corpus.readers.polygons import coco_polygon_mask

    image, name, structures = read_image(item.frames), item.frames.name, []
    if not item.rows['objects']:
        raise RawFileError(f'{name}: not listed in the annotation file')
    for row in item.rows['objects']:
        polygons = row['segmentation']
        if row['category_id'] and (row['category_id'] not in NAMES or not isinstance(polygons, list)):
            raise RawFileError(f'{name}: an object of category {row["category_id"]}, or not of polygons')
        for flat in polygons:
            mask = coco_polygon_mask(flat, image.shape[:2], name)
            structures.append(Structure(NAMES[row['category_id']], mask))
    yield RawFrame(image, tuple(structures))


SPEC = DatasetSpec(
    name='GIST514-DB',
    title='GIST514-DB: endoscopic ultrasound of gastrointestinal stromal tumours and leiomyomas',
    homepage='https://github.com/howardchina/query2',
    licence='CC BY-NC-SA 4.0',
    citation='He et al., Query2, Computers in Biology and Medicine 2022',
    access='open (share linked in the repository)',
    downloads=(
        Download(
            file='GIST514-DB.zip',
            by_hand='Download the folder at Google Drive that the homepage links, as a zip archive.',
        ),
    ),
    organs=('digestive tract',),
    application='stromal tumours and leiomyomas in endoscopic ultrasound',
    public_test=True,
    held_out=True,
    categories=(Category('lmym', 'lmym'), Category('gist', 'gist')),
    archives=('GIST514-DB.zip', 'usd514*.zip'),
    frames=ImageFiles('usd514_jpeg_roi/images/{stem}.jpg'),
    read=read_objects,
    # objects of one image must be of one class
    tables=(
        Table(
            FOLD,
            on={'file_name': '{stem}.jpg'},
            take={'part': 'part', 'tumour': 'category_id'},
            absent='skip',
            form='coco',
        ),
    ),
    rows=(Rows('objects', FOLD, on={'file_name': '{stem}.jpg'}, form='coco'),),
    translate={'tumour': NAMES},
    # of five folds the first, whose validation part is the test part of all who publish numbers on it
    split=Split('{part}', test=('val',), train=('train',)),
    label='{tumour}',
    classes=('lmym', 'gist'),
    # objects are those of the file
    instances=Instances(components=False),
    leave_out={
        'all_anno_crop.json': 'all objects again',
        '{_part:train|val}_anno_crop_split_{_k:[1-4]}.json': 'other folds',
        '{_variant:usd489|usdanno514raw}*/**': 'other versions of the images',
    },
    expected=Expected(images=514, test_images=106),
    notes=(
        'One image a case is assumed; the files do not tell.',
        'Fold 0 is harder than the others: a number on it does not compare with a mean over five folds.',
    ),
)

if __name__ == '__main__':
    run_description(__file__)
