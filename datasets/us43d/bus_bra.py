from ultrasam.cli.convert import run_description
from ultrasam.corpus import (
    Category,
    DatasetSpec,
    Download,
    Expected,
    ImageFiles,
    MaskFiles,
    Split,
    Table,
    Threshold,
)

SPEC = DatasetSpec(
    name='BUSBRA',
    title='BUS-BRA: a breast ultrasound dataset for assessing computer-aided diagnosis systems',
    homepage='https://zenodo.org/records/8231412',
    licence='permission notice beside the files (LICENSE.txt): free to use and pass on, the paper must be cited',
    citation='Gomez-Flores W. et al., Medical Physics 2024, 51(4):3110-3123, 10.1002/mp.16812',
    access='open',
    downloads=(
        Download(
            file='BUSBRA.zip',
            urls=('https://zenodo.org/records/8231412/files/BUSBRA.zip',),
            doi='10.5281/zenodo.8231412',
            size=133917740,
            sha256='ba3e6ed19cc37c682d8d39e25435bbf8a555a12cb7e641b5f2117685c95580ff',
        ),
    ),
    organs=('breast',),
    application='lesions, benign or malignant, with BI-RADS',
    public_test=True,
    held_out=True,
    categories=(Category('breast_nodule_benign', 'nodule'), Category('breast_nodule_malignant', 'nodule')),
    archives=('BUSBRA.zip',),
    frames=ImageFiles('Images/bus_{id}.png'),
    annotations=(MaskFiles('Masks/mask_{id}.png', Threshold(255, 'breast_nodule_{pathology}')),),
    tables=(
        Table('bus_data.csv', on={'ID': 'bus_{id}'}, take={'case': 'Case', 'pathology': 'Pathology'}),
        Table('5-fold-cv.csv', on={'ID': 'bus_{id}'}, take={'fold': 'kFold', 'valid': 'valid_1'}),
    ),
    subject='{case}',
    # the published test part is fold 1; valid_1 is empty there and marks the validation part of the others
    split=Split(
        '{fold}|{valid}', test=('1|*',), val=('[2-5]|1', '[2-5]|1.0'), train=('[2-5]|0', '[2-5]|0.0')
    ),
    label='breast_nodule_{pathology}',
    classes=('breast_nodule_benign', 'breast_nodule_malignant'),
    leave_out={'10-fold-cv.csv': 'folds that are not used', 'LICENSE.txt': 'permission notice'},
    expected=Expected(images=1875, test_images=376, subjects=1064),
)

if __name__ == '__main__':
    run_description(__file__)
