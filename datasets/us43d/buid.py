from ultrasam.cli.convert import run_description
from ultrasam.corpus import Category, DatasetSpec, Download, Expected, ImageFiles, MaskFiles, Threshold

SPEC = DatasetSpec(
    name='BUID',
    title='Breast ultrasound images database (QAMEBI)',
    homepage='https://qamebi.com/breast-ultrasound-images-database/',
    licence='',
    citation='Abbasian Ardakani A. et al., Computers in Biology and Medicine 2023, '
    '10.1016/j.compbiomed.2022.106438',
    access='open',
    downloads=(
        Download(file='Benign.zip', urls=('https://qamebi.com/wp-content/uploads/2022/11/Benign.zip',)),
        Download(file='Malignant.zip', urls=('https://qamebi.com/wp-content/uploads/2022/11/Malignant.zip',)),
    ),
    organs=('breast',),
    application='lesions, benign or malignant',
    categories=(Category('breast_nodule', 'nodule'),),
    archives=('Benign.zip', 'Malignant.zip'),
    # numbers restart in each class
    frames=ImageFiles(r'{pathology:Benign|Malignant}/{n:\d+} {pathology} Image.bmp'),
    annotations=(
        MaskFiles(
            r'{pathology:Benign|Malignant}/{n:\d+} {pathology} Mask.tif', Threshold(150, 'breast_nodule')
        ),
    ),
    translate={'pathology': {'Benign': 'benign', 'Malignant': 'malignant'}},
    label='{pathology}',
    classes=('benign', 'malignant'),
    leave_out={'* Lesion.bmp': 'the lesion, cut out'},
    expected=Expected(images=232),
    notes=(
        'Class and number name a lesion, not a patient, and each lesion has one image; whether two lesions '
        'belong to one woman is not known.',
        'A third party counts 236 instances in the published corpus.',
    ),
)

if __name__ == '__main__':
    run_description(__file__)
