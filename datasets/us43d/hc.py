from ultrasam.cli.convert import run_description
from ultrasam.corpus import Category, DatasetSpec, Download, Expected, ImageFiles, MaskFiles, Outline, Table

SPEC = DatasetSpec(
    name='HC',
    title='HC18: automated measurement of fetal head circumference',
    homepage='https://hc18.grand-challenge.org/',
    licence='CC BY 4.0',
    citation='van den Heuvel T. L. A. et al., PLoS ONE 2018, 13(8):e0200412',
    access='open',
    downloads=(
        Download(
            file='training_set.zip',
            urls=('https://zenodo.org/records/1327317/files/training_set.zip',),
            doi='10.5281/zenodo.1327317',
            sha256='fd20d7909df892cfbdc0850de18072dbdad4dc3bc0a57202d4cc818d4715de36',
            md5='00eb8198b9a505b2b3a6dfc740382497',
        ),
        Download(
            file='test_set.zip',
            urls=('https://zenodo.org/records/1327317/files/test_set.zip',),
            doi='10.5281/zenodo.1327317',
            md5='8402af5d137ef40a2888c1011ef3fe7e',
        ),
        Download(file='training_set_pixel_size_and_HC.csv', doi='10.5281/zenodo.1327317'),
        Download(file='test_set_pixel_size.csv', doi='10.5281/zenodo.1327317'),
    ),
    organs=('fetus',),
    application='head circumference',
    categories=(Category('fetal_head', 'fetal_head'),),
    archives=('HC.zip', 'training_set.zip', 'test_set.zip'),
    frames=ImageFiles(r'training_set/{exam:\d+}_{repeat:\d*}HC.png'),
    # only the outline of the head is drawn; where it leaves the image, the border closes it
    annotations=(MaskFiles(r'training_set/{exam:\d+}_{repeat:\d*}HC_Annotation.png', Outline('fetal_head')),),
    # not in every copy
    tables=(
        Table(
            'training_set_pixel_size_and_HC.csv',
            on={'filename': '{exam}_{repeat}HC.png'},
            take={'pixel_mm': 'pixel size(mm)', 'circumference_mm': 'head circumference (mm)'},
            absent='empty',
            missing='empty',
        ),
    ),
    subject='{exam}',
    spacing_mm='{pixel_mm}',
    # as the sonographer measured it
    noted={'head_circumference_mm': '{circumference_mm}'},
    leave_out={
        'test_set/*.png': 'test images, whose masks are not public',
        'test_set_pixel_size.csv': 'pixel sizes of test images',
    },
    expected=Expected(images=999),
    notes=(
        'Images of an exam share their first number; a woman may still have two exams.',
        'Each image states its millimetres a pixel and the circumference that was measured, from the table.',
        'Copies whose heads are filled already are taken as they are.',
    ),
)

if __name__ == '__main__':
    run_description(__file__)
