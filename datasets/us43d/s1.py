from ultrasam.cli.convert import run_description
from ultrasam.corpus import Category, DatasetSpec, Download, ImageFiles, MaskFiles, Split, Values

SPEC = DatasetSpec(
    name='S1',
    title='Breast tumour images of the expanded U-Net (supporting data)',
    homepage='https://www.ncbi.nlm.nih.gov/pmc/articles/PMC8205136/',
    licence='CC BY 4.0 (of the article)',
    citation='Guo, Duan, Wang, Guo, PLoS ONE 2021, 16(6):e0253202',
    access='open',
    downloads=(
        Download(
            file='S1.zip',
            by_hand='Download the supporting files of the article at PLOS ONE and put them into one archive.',
        ),
    ),
    organs=('breast',),
    application='tumours, benign or malignant',
    categories=(Category('benign_tumour', 'nodule'), Category('malignant_tumour', 'nodule')),
    archives=('S1.zip', r'pone.0253202.s{_n:\d+}.{_suffix:zip|rar}'),
    # numbers start again in each part
    frames=ImageFiles(
        r'{part:Training|Testing}DataSet/{_test:(?:Test-Expanded-)?}BreastTumourImages/{n:\d+}.jpg'
    ),
    annotations=(
        MaskFiles(
            r'{part:Training|Testing}DataSet/{_test:(?:Test-)?}Expanded-3-channel-Labels/{n:\d+}.png',
            Values({127: 'benign_tumour', 255: 'malignant_tumour'}),
        ),
    ),
    split=Split('{part}', test=('Testing',), train=('Training',)),
    leave_out={
        '{_test:(?:Test-)?}General-1-channel-Labels/*': 'the same labels without classes',
        'Test-General-1-BreastTumourImages/*': 'test images for the labels without classes',
        '*esult*/**': 'masks that models predicted',
    },
    # the published corpus pools all parts
    published={'split': None},
    notes=(
        'That 127 is benign and 255 malignant is how others read the labels; the release does not say so.',
        'Patients are not named.',
    ),
)

if __name__ == '__main__':
    run_description(__file__)
