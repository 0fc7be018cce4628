from ultrasam.cli.convert import run_description
from ultrasam.corpus import Category, DatasetSpec, Download, Expected, ImageFiles, MaskFiles, Threshold

TUMOUR, OTHER = r'case{case:\d+}_tumor{k:[^/]*}.png', r'case{case:\d+}_other{k:[^/]*}.png'

SPEC = DatasetSpec(
    # the name of the archive, which the published corpus uses
    name='BrEaST-Lesions_USG-images_and_masks-Dec-15-2023',
    title='BrEaST: a curated benchmark dataset for ultrasound based breast lesion analysis',
    homepage='https://www.cancerimagingarchive.net/collection/breast-lesions-usg/',
    licence='CC BY 4.0',
    citation='Pawlowska A. et al., Scientific Data 2024, 10.1038/s41597-024-02984-z; data 10.7937/9WKK-Q141',
    access='open',
    downloads=(
        Download(
            file='BrEaST-Lesions_USG-images_and_masks-Dec-15-2023.zip',
            urls=(
                'https://www.cancerimagingarchive.net/wp-content/uploads/BrEaST-Lesions_USG-images_and_masks-Dec-15-2023.zip',
            ),
            sha256='c32e49cdfa54042e065582d0cb35978b5fc5e5b5e461b33bf773fb50cfdad355',
        ),
    ),
    organs=('breast',),
    application='lesions, with BI-RADS',
    categories=(Category('breast_nodule', 'nodule'), Category('other_lesion', 'nodule')),
    archives=('BrEaST-Lesions_USG-images_and_masks*.zip',),
    frames=ImageFiles(r'case{case:\d+}.png'),
    annotations=(
        MaskFiles(TUMOUR, Threshold(128, 'breast_nodule'), absent='empty'),
        MaskFiles(OTHER, Threshold(128, 'other_lesion'), absent='empty'),
    ),
    # borders are smoothed
    stray_share=0.02,
    subject='case{case}',
    # normal cases have no mask; what they are is told by the spreadsheet alone
    empty='skip',
    leave_out={'*.xlsx': 'clinical data'},
    expected=Expected(images=252, subjects=252),
    # every gray is of the lesion there, and what else is marked is called a cyst
    published={
        'categories': (Category('breast_nodule', 'nodule'), Category('cyst', 'nodule')),
        'annotations': (
            MaskFiles(TUMOUR, Threshold(1, 'breast_nodule'), absent='empty'),
            MaskFiles(OTHER, Threshold(1, 'cyst'), absent='empty'),
        ),
    },
    notes=(
        'The published corpus calls the second category cyst; the paper describes it as other abnormal areas.',
        'Borders of masks are smoothed: half of their gray belongs to the lesion, not all of it.',
        'A normal case and one whose mask was lost look the same; the number of images tells.',
        'Benign or malignant is in a spreadsheet beside the images, which is not used.',
    ),
)

if __name__ == '__main__':
    run_description(__file__)
