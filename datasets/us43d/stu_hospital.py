from ultrasam.cli.convert import run_description
from ultrasam.corpus import Category, DatasetSpec, Download, Expected, ImageFiles, MaskFiles, Threshold

MASK = r'Hospital/mask_{n:\d+}.png'

SPEC = DatasetSpec(
    name='STU-Hospital',
    title='STU-Hospital breast ultrasound test set',
    homepage='https://github.com/xbhlk/STU-Hospital',
    licence='',
    citation='Zhuang et al., PLoS ONE 2019 (RDAU-NET), as it is commonly cited',
    access='open',
    downloads=(
        Download(
            file='STU-Hospital-master.zip',
            urls=('https://codeload.github.com/xbhlk/STU-Hospital/zip/refs/heads/master',),
        ),
    ),
    organs=('breast',),
    application='lesions',
    categories=(Category('breast_nodule', 'nodule'),),
    archives=('STU-Hospital*.zip',),
    frames=ImageFiles(r'Hospital/Test_Image_{n:\d+}.png'),
    annotations=(
        MaskFiles(
            MASK,
            # many masks have specks of value 1, and nearly all soft borders
            Threshold(128, 'breast_nodule', slack=16),
            # images were made 128 x 128 pixels, most masks were not
            fit='nearest',
        ),
    ),
    stray_share=0.05,
    leave_out={'.git/**': 'history of the repository'},
    expected=Expected(images=42, annotations=42),
    # the published corpus keeps pixels of exactly 255 alone
    published={
        'categories': (Category('benign_tumour', 'nodule'),),
        'annotations': (MaskFiles(MASK, Threshold(255, 'benign_tumour', slack=16), fit='nearest'),),
        'stray_share': 1.0,
    },
    notes=(
        'Images were resized to 128 x 128 pixels whatever their shape was.',
        'The published corpus calls the category benign_tumour; the set does not say what the lesions are.',
        'Patients are not named. The authors test on these images and train on others.',
        'Older commits hold images of another data set, which may not be passed on: leave them.',
    ),
)

if __name__ == '__main__':
    run_description(__file__)
