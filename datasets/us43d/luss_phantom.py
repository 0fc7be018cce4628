from ultrasam.cli.convert import run_description
from ultrasam.corpus import Category, DatasetSpec, Download, ImageFiles, MaskFiles, Split, Values

NAMES = {1: 'rib', 2: 'pleural_line', 3: 'A_line', 4: 'B_line', 5: 'B_line_confluence'}

SPEC = DatasetSpec(
    name='LUSS_phantom',
    title='Lung ultrasound phantom: artefacts of five kinds',
    homepage='https://archive.researchdata.leeds.ac.uk/1263/',
    licence='',
    citation='Howell L. et al., Ultrasonics 2024, 140; data 10.5518/1485',
    access='open',
    downloads=(
        Download(
            file='LUSS_phantom.zip', by_hand='Download the archives from its page at the University of Leeds.'
        ),
    ),
    organs=('lung',),
    application='artefacts of the lung, in a phantom',
    categories=tuple(Category(name, 'artefact') for name in NAMES.values()),
    # how the release names its archives is not known
    archives=('*.zip',),
    # clips are named by what stands before the last '-F'
    frames=ImageFiles(r'{part:train|test}/images/{clip:[^/]+?}{frame:(?:-F(?:(?!-F)[^/])*)?}.png'),
    annotations=(
        MaskFiles(r'{part:train|test}/masks/{clip:[^/]+?}{frame:(?:-F(?:(?!-F)[^/])*)?}.png', Values(NAMES)),
    ),
    subject='{clip}',
    split=Split('{part}', test=('test',), train=('train',)),
    leave_out={
        'VideoClips/*.webm': 'clips without masks',
        'vidtoImage.m': 'how frames were taken from clips',
    },
    # the published corpus pools all parts
    published={'split': None},
    notes=(
        'A subject is a clip of a phantom. Whether clips of the test part are also in the training part is not known.',
    ),
)

if __name__ == '__main__':
    run_description(__file__)
