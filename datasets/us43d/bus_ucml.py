from ultrasam.cli.convert import run_description
from ultrasam.corpus import Category, Colours, DatasetSpec, Download, Expected, ImageFiles, MaskFiles, Table

SPEC = DatasetSpec(
    name='BUS-UCLM',
    title='BUS-UCLM: breast ultrasound lesion segmentation dataset',
    homepage='https://data.mendeley.com/datasets/7fvgj4jsp7/1',
    licence='CC BY-NC 3.0 (version 1), CC BY 4.0 (version 3)',
    citation='Vallez N. et al., Scientific Data 2025, 10.1038/s41597-025-04562-3; data 10.17632/7fvgj4jsp7',
    access='open',
    downloads=(
        Download(
            file='7fvgj4jsp7-1.zip',
            urls=('https://prod-dcd-datasets-cache-zipfiles.s3.eu-west-1.amazonaws.com/7fvgj4jsp7-1.zip',),
            doi='10.17632/7fvgj4jsp7.1',
        ),
    ),
    organs=('breast',),
    application='lesions, benign or malignant',
    categories=(Category('benign_breast_lesion', 'nodule'), Category('malignant_breast_lesion', 'nodule')),
    archives=('BUS-UCLM*.zip', '7fvgj4jsp7-1.zip'),
    frames=ImageFiles(r'images/{patient:[A-Z]{4}}_{n:\d+}.png'),
    annotations=(
        MaskFiles(
            r'masks/{patient:[A-Z]{4}}_{n:\d+}.png',
            # half of a border that was smoothed when a mask was saved again belongs to the lesion
            Colours(
                {(0, 255, 0): 'benign_breast_lesion', (255, 0, 0): 'malignant_breast_lesion'}, tolerance=127
            ),
        ),
    ),
    # not in every version
    tables=(
        Table(
            'INFO.csv',
            on={'Image': '{patient}_{n}.png'},
            take={'pathology': 'Label'},
            absent='empty',
            missing='empty',
            delimiter=';',
        ),
    ),
    translate={'pathology': {'Benign': 'benign', 'Malignant': 'malignant', 'Normal': 'normal', '': ''}},
    subject='{patient}',
    label='{pathology}',
    classes=('benign', 'malignant', 'normal'),
    # two in three images are of normal breasts, with a black mask
    empty='skip',
    leave_out={'partitions/**': 'the same images, shared out'},
    expected=Expected(images=264),
    notes=(
        'Also written BUS_UCML and BUS_UCLM. The page is that of version 1; version 3 is the current one, under '
        'another licence. Pixel sizes differ between the paper and the files.',
        'Some 18 images a patient: split by subject. Whether the partitions of later versions keep patients '
        'apart is not known, so they are not used.',
        'A few images are in colour Doppler; INFO.csv marks them. It states the class of an image, too; without it, or '
        'without a row in it, an image is in no list for classifiers.',
    ),
)

if __name__ == '__main__':
    run_description(__file__)
