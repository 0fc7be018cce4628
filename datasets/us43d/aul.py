from ultrasam.cli.convert import run_description
from ultrasam.corpus import Category, DatasetSpec, Download, Expected, ImageFiles, PolygonFiles

OUTLINE = r'{pathology:Normal|Benign|Malignant}/segmentation/outline/{n:\d+}.json'
OBJECTS = (
    PolygonFiles(
        r'{pathology:Normal|Benign|Malignant}/segmentation/liver/{n:\d+}.json',
        'points',
        'liver',
        absent='empty',
    ),
    PolygonFiles(
        r'{pathology:Normal|Benign|Malignant}/segmentation/mass/{n:\d+}.json',
        'points',
        'mass',
        absent='empty',
    ),
)

SPEC = DatasetSpec(
    name='AUL',
    title='Annotated Ultrasound Liver images',
    homepage='https://zenodo.org/records/7272660',
    licence='CC BY 4.0',
    citation='Xu Y. et al., Briefings in Bioinformatics 2023, 10.1093/bib/bbac569',
    access='open',
    downloads=(
        Download(file='Benign.zip', doi='10.5281/zenodo.7272660'),
        Download(file='Malignant.zip', doi='10.5281/zenodo.7272660'),
        Download(file='Normal.zip', doi='10.5281/zenodo.7272660'),
    ),
    organs=('liver',),
    application='liver and masses in it',
    public_test=True,
    categories=(Category('liver', 'liver'), Category('mass', 'nodule')),
    archives=('AUL.zip', '7272660.zip', '{_class:Benign|Malignant|Normal}.zip'),
    # numbers start again in each class
    frames=ImageFiles(r'{pathology:Normal|Benign|Malignant}/image/{n:\d+}.jpg'),
    # image 374 of Malignant has no liver; normal images have no mass
    annotations=OBJECTS,
    subject='{pathology}_{n}',
    label='{pathology}',
    classes=('Normal', 'Benign', 'Malignant'),
    leave_out={'segmentation/outline/*.json': 'the scanned area, no anatomy'},
    expected=Expected(images=735),
    # with the scanned area
    published={
        'categories': (
            Category('liver', 'liver'),
            Category('mass', 'nodule'),
            Category('outline', 'outline'),
        ),
        'annotations': (*OBJECTS, PolygonFiles(OUTLINE, 'points', 'outline', absent='empty')),
        'leave_out': {},
    },
    notes=(
        'The outlines of the scanned area are not converted: they are no anatomy, and those of images 229 and 306 '
        'of Malignant are outlines of the liver.',
        'One image a patient is assumed; the files do not tell.',
        'There is no official test part, and public comparisons drew one each: classifiers are tested on the '
        'validation part, by subject and seed, or on one that a split file names.',
    ),
)

if __name__ == '__main__':
    run_description(__file__)
