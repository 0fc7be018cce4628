from ultrasam.cli.convert import run_description
from ultrasam.corpus import Category, DatasetSpec, Download, Expected, ImageFiles, MaskFiles, Threshold

SPEC = DatasetSpec(
    name='BUSI',
    title='Dataset of breast ultrasound images (BUSI)',
    homepage='https://scholar.cu.edu.eg/?q=afahmy/pages/dataset',
    licence='',
    citation='Al-Dhabyani W. et al., Data in Brief 2020, 28:104863, 10.1016/j.dib.2019.104863',
    access='open',
    downloads=(
        Download(
            file='Dataset_BUSI.zip',
            urls=('https://scholar.cu.edu.eg/Dataset_BUSI.zip',),
            sha256='b2ce09f6063a31a73f628b6a6ee1245187cbaec225e93e563735691d68654de7',
        ),
    ),
    organs=('breast',),
    application='lesions, benign or malignant',
    public_test=True,
    categories=(Category('breast_nodule', 'nodule'),),
    archives=('Dataset_BUSI*.zip',),
    frames=ImageFiles(r'{pathology:benign|malignant}/{pathology} ({n:\d+}).png'),
    annotations=(
        MaskFiles(
            r'{pathology:benign|malignant}/{pathology} ({n:\d+})_mask{lesion:(?:_\d+)?}.png',
            Threshold(150, 'breast_nodule'),
        ),
    ),
    leave_out={
        'normal/normal (*).png': 'normal breast, no lesion',
        'normal/normal (*)_mask*.png': 'its black mask',
    },
    label='{pathology}',
    classes=('benign', 'malignant'),
    expected=Expected(images=647),
    notes=(
        'Patients are not named (600 women, 780 images). An erratum (Data in Brief 2023, 48:109247) lists '
        'duplicates, some of them in both classes.',
        'Images of normal breasts are not converted: the classes are two. There is no official test part; '
        'classifiers are tested on the validation part.',
    ),
)

if __name__ == '__main__':
    run_description(__file__)
