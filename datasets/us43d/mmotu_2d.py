from ultrasam.cli.convert import run_description
from ultrasam.corpus import (
    Category,
    DatasetSpec,
    Download,
    Expected,
    ImageFiles,
    Instances,
    MaskFiles,
    Nonzero,
    Split,
    Table,
)

# in the order of the indices of the lists; 'thera' is how configs spell theca
CLASSES = (
    'chocolate_cyst',
    'serous_cystadenoma',
    'teratoma',
    'thera_cell_tumor',
    'simple_cyst',
    'normal_ovary',
    'mucinous_cystadenoma',
    'high_grade_serous',
)

SPEC = DatasetSpec(
    name='MMOTU_2d',
    title='MMOTU: multi-modality ovarian tumor ultrasound, 2D part',
    homepage='https://github.com/cv516Buaa/MMOTU_DS2Net',
    licence='',
    citation='Zhao Q. et al., arXiv:2207.06799',
    access='open',
    downloads=(
        Download(
            file='OTU_2d.zip',
            by_hand='Download the folder OTU_2d as a zip archive from the Google Drive that the homepage links.',
        ),
    ),
    organs=('ovary',),
    application='tumours of the ovary',
    public_test=True,
    held_out=True,
    # the last one in copies without the lists of classes alone
    categories=(*(Category(name, 'nodule') for name in CLASSES), Category('tumor', 'nodule', optional=True)),
    archives=('OTU_2d.zip', 'MMOTU_2d.zip'),
    frames=ImageFiles(r'images/{n:\d+}.JPG'),
    annotations=(MaskFiles(r'annotations/{n:\d+}.PNG', Nonzero('{category}')),),
    tables=(
        Table(
            '{part:train|val}_cls.txt',
            on={'file': '{n}.JPG'},
            take={'tumor': 'class', 'category': 'class', 'part': 'part'},
            missing='empty',
            form='list',
            columns=('file', 'class'),
            delimiter=None,
        ),
        # the same lists without classes, for copies that lack the others
        Table(
            '{part:train|val}.txt',
            on={'stem': '{n}'},
            take={'listed': 'part'},
            absent='empty',
            missing='empty',
            form='list',
            columns=('stem',),
            delimiter=None,
        ),
    ),
    translate={
        'tumor': {str(index): name for index, name in enumerate(CLASSES)} | {'': ''},
        'category': {str(index): name for index, name in enumerate(CLASSES)} | {'': 'tumor'},
    },
    # the val list is the test part of all who use the data
    split=Split('{part}|{listed}', test=('val|*', '|val'), train=('train|*', '|train')),
    label='{tumor}',
    classes=CLASSES,
    # resampled edges leave specks beside the lesions
    instances=Instances(min_share=0.05),
    leave_out={
        'annotations/*_binary.PNG': 'the same mask without classes',
    },
    expected=Expected(images=1469, test_images=469),
    published={'instances': Instances(), 'test_instances': Instances(min_share=0.95)},
    notes=(
        'Patients are not named; only the official parts are believed to share none.',
        'A copy without train_cls.txt and val_cls.txt has no classes: its lesions are of the category tumor, and its '
        'images are in no list for classifiers.',
    ),
)

if __name__ == '__main__':
    run_description(__file__)
