from ultrasam.cli.convert import run_description
from ultrasam.corpus import Category, DatasetSpec, Download, ImageFiles, MaskFiles, Threshold, Values

MASK = r'Expert mask images/{scan}_slice_{n:\d+}.png'

SPEC = DatasetSpec(
    name='Common Carotid Artery Ultrasound Images',
    title='Common Carotid Artery Ultrasound Images (CCAUI)',
    homepage='https://data.mendeley.com/datasets/d4xt63mgjm/1',
    licence='CC BY 4.0',
    citation='Momot A., Common Carotid Artery Ultrasound Images, Mendeley Data v1, 10.17632/d4xt63mgjm.1',
    access='open',
    downloads=(Download(file='d4xt63mgjm-1.zip', doi='10.17632/d4xt63mgjm.1'),),
    organs=('vessel',),
    application='carotid artery',
    categories=(Category('carotid_artery', 'vessel'),),
    archives=('Common Carotid Artery Ultrasound Images*.zip', 'd4xt63mgjm-1.zip'),
    frames=ImageFiles(r'US images/{scan}_slice_{n:\d+}.png'),
    annotations=(MaskFiles(MASK, Threshold(128, 'carotid_artery')),),
    # 11 people were scanned on both sides: a person has several scans, and which ones is not known
    subject='{scan}',
    empty='skip',
    # the published corpus keeps pixels of exactly 255 alone
    published={'annotations': (MaskFiles(MASK, Values({255: 'carotid_artery'})),), 'stray_share': 1.0},
    notes=(
        'Slices of a scan are alike, and a person has several scans, which the files do not tell: even a split by '
        'subject can put one person into both parts.',
        'Only the artery is labelled; veins in the images are not.',
    ),
)

if __name__ == '__main__':
    run_description(__file__)
