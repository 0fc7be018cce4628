from ultrasam.cli.convert import run_description
from ultrasam.corpus import (
    Category,
    DatasetSpec,
    Download,
    Expected,
    ImageFiles,
    MaskFiles,
    Threshold,
    Values,
)

MASK = r'{_folder:105 US Masks|Masks}/{n:\d+} G man.png'

SPEC = DatasetSpec(
    name='105US',
    title='100 2D US images and tumor segmentation masks (105 images of liver metastases)',
    homepage='https://www.researchgate.net/publication/329586355_100_2D_US_Images_and_Tumor_Segmentation_Masks',
    licence='',
    citation='Hann A. et al., Scientific Reports 2017, 7:12779, arXiv 1710.02984',
    access='open (the site may ask for a login)',
    downloads=(
        Download(
            file='105US.zip',
            by_hand='Download it from the page of the publication at ResearchGate, which may ask for a login.',
        ),
    ),
    organs=('liver',),
    application='metastases in the liver',
    categories=(Category('tumor', 'tumor'),),
    archives=('*.zip',),
    # some copies call the folders Images and Masks
    frames=ImageFiles(r'{_folder:105 US Images|Images}/{n:\d+}.png'),
    # the published corpus keeps pixels of exactly 255 alone; soft borders belong half to the structure
    annotations=(MaskFiles(MASK, Threshold(128, 'tumor')),),
    empty='skip',
    expected=Expected(images=105),
    published={'annotations': (MaskFiles(MASK, Values({255: 'tumor'})),), 'stray_share': 1.0},
    notes=(
        'The tumours are metastases in the liver, though some lists call the set breast. The title of the record '
        'says 100 images, the paper 105; that the record holds the images of this paper is inferred.',
        'Names of folders and masks come from the script of a third party. A mask may have another size than its '
        'image; such a pair is refused, not resized.',
        'Patients are not named, and several images may show one; every image is a subject of its own here.',
    ),
)

if __name__ == '__main__':
    run_description(__file__)
