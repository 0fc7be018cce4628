from ultrasam.cli.convert import run_description
from ultrasam.corpus import (
    ClassificationSpec,
    ClassLists,
    Derived,
    Expected,
    ImageFiles,
    Split,
    Table,
    VocNames,
)

SPEC = ClassificationSpec(
    name='TN5000',
    title='TN5000: thyroid nodule detection and classification',
    homepage='https://doi.org/10.6084/m9.figshare.28455641',
    licence='',
    citation='Zhang H., Liu Q., Han X., Niu L., Sun W., TN5000, Scientific Data 2025',
    access='open',
    organs=('thyroid',),
    application='nodules, benign or malignant',
    archives=('TN5000*.zip',),
    frames=ImageFiles('JPEGImages/{id}.jpg'),
    annotations=(VocNames('Annotations/{id}.xml', group='name'),),
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
