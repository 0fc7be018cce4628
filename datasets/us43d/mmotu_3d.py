from ultrasam.cli.convert import run_description
from ultrasam.corpus import (
    Category,
    DatasetSpec,
    Download,
    Expected,
    ImageFiles,
    MaskFiles,
    Nonzero,
    Split,
    Table,
)

SPEC = DatasetSpec(
    name='MMOTU_3d',
    title='MMOTU: multi-modality ovarian tumor ultrasound, contrast-enhanced part',
    homepage='https://github.com/cv516Buaa/MMOTU_DS2Net',
    licence='',
    citation='Zhao Q. et al., arXiv:2207.06799',
    access='open',
    downloads=(
        Download(
            file='OTU_3d.zip',
            by_hand='Download the folder OTU_CEUS as a zip archive from the Google Drive that the homepage links.',
        ),
    ),
    organs=('ovary',),
    application='tumours of the ovary with contrast agent',
    categories=(Category('lesion', 'nodule'),),
    archives=('OTU_3d.zip', 'MMOTU_3d.zip'),
    frames=ImageFiles(r'images/{n:\d+}.JPG'),
    # colours tell the type of tumour; all of them are the lesion
    annotations=(MaskFiles(r'annotations/{n:\d+}.PNG', Nonzero('lesion')),),
    tables=(
        Table(
            '{part:train|val}.txt',
            on={'stem': '{n}'},
            take={'part': 'part'},
            form='list',
            columns=('stem',),
            delimiter=None,
        ),
    ),
    # the val list is the test part of its authors
    split=Split('{part}', test=('val',), train=('train',)),
    leave_out={
        'annotations/*_binary.PNG': 'the same mask without types',
        '{_part:train|val}_cls.txt': 'the same lists with types',
    },
    expected=Expected(images=170),
    # the published corpus pools all parts
    published={'split': None},
    notes=(
        'Single frames of contrast-enhanced ultrasound, no volumes; some may show two panels side by side.',
        'Patients are not named; only the official parts are believed to share none.',
        'The source must not hold the 2D part beside this one: its folders have the same names.',
    ),
)

if __name__ == '__main__':
    run_description(__file__)
