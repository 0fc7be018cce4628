from ultrasam.cli.convert import run_description
from ultrasam.corpus import Category, DatasetSpec, Expected, ImageFiles, MaskFiles, Threshold

SPEC = DatasetSpec(
    name='BUS',
    title='Breast ultrasound dataset B (UDIAT)',
    homepage='http://www2.docm.mmu.ac.uk/STAFF/M.Yap/dataset.php',
    licence='signed release agreement (research)',
    citation='Yap M. H. et al., IEEE JBHI 2018, 10.1109/JBHI.2017.2731873',
    access='request (agreement)',
    organs=('breast',),
    application='lesions, benign or malignant',
    categories=(Category('breast_nodule', 'nodule'),),
    archives=('BUS.zip', 'Dataset_B*.zip', 'DatasetB*.zip'),
    # below Dataset_B in the release, below BUS in the published corpus
    frames=ImageFiles(r'original/{n:\d+}.png'),
    annotations=(MaskFiles(r'GT/{n:\d+}.png', Threshold(150, 'breast_nodule')),),
    # some masks have soft borders
    stray_share=0.02,
    leave_out={'DatasetB.xlsx': 'diagnoses'},
    expected=Expected(images=163),
    notes=(
        'There is no table of patients; each image is said to be of another woman.',
        'Benign or malignant is in the spreadsheet alone, which is not used; lists count 110 and 53, or 109 and 54.',
    ),
)

if __name__ == '__main__':
    run_description(__file__)
