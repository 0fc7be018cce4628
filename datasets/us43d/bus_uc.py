from ultrasam.cli.convert import run_description
from ultrasam.corpus import Category, DatasetSpec, Download, Expected, ImageFiles, MaskFiles, Threshold

SPEC = DatasetSpec(
    name='BUS_UC',
    title='BUS_UC breast ultrasound dataset',
    homepage='https://data.mendeley.com/datasets/3ksd7w7jkx/1',
    licence='CC BY 4.0',
    citation='Iqbal A. and Sharif M., Engineering Applications of Artificial Intelligence 2024, '
    '10.1016/j.engappai.2023.107292; data 10.17632/3ksd7w7jkx.1',
    access='open',
    downloads=(
        Download(
            file='3ksd7w7jkx-1.zip',
            urls=('https://prod-dcd-datasets-cache-zipfiles.s3.eu-west-1.amazonaws.com/3ksd7w7jkx-1.zip',),
            doi='10.17632/3ksd7w7jkx.1',
        ),
    ),
    organs=('breast',),
    application='tumours, benign or malignant',
    categories=(Category('breast_benign', 'tumor'), Category('breast_malignant', 'tumor')),
    archives=('BUS_UC*.zip', '3ksd7w7jkx-1.zip'),
    # numbers may restart in each class
    frames=ImageFiles(r'{pathology:Benign|Malignant}/images/{n:\d+}.png'),
    annotations=(
        MaskFiles(
            r'{pathology:Benign|Malignant}/masks/{n:\d+}.png',
            Threshold(128, 'breast_{pathology}'),
            # a mask is known that is a pixel smaller than its image
            fit='nearest',
        ),
    ),
    translate={'pathology': {'Benign': 'benign', 'Malignant': 'malignant'}},
    label='breast_{pathology}',
    classes=('breast_benign', 'breast_malignant'),
    empty='skip',
    leave_out={'All/{_kind:images|masks}/*.png': 'both classes, stored again'},
    expected=Expected(images=811),
    notes=(
        'Collected from a public site of cases: patients are not named, and several images of a case are likely.',
        'A mask that differs from its image in size is resized by taking the nearest pixel.',
    ),
)

if __name__ == '__main__':
    run_description(__file__)
