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
    name='TN3K',
    title='TN3K: thyroid nodule region segmentation dataset',
    homepage='https://github.com/openmedlab/Awesome-Medical-Dataset/blob/main/resources/TN3K.md',
    licence='',
    citation='Gong H. et al., ISBI 2021, 257-261; Gong H. et al., Computers in Biology and Medicine 2023, '
    '155:106389',
    access='open',
    downloads=(
        Download(
            file='TN3K.zip',
            urls=(
                'https://drive.usercontent.google.com/download?id=1reHyY5eTZ5uePXMVMzFOq5j3eFOSp50F&export=download&confirm=t',
            ),
            sha256='0ba1770076dab01b1f8fd661a227d80982168bc433de61c80fd266427b20cf60',
        ),
    ),
    organs=('thyroid',),
    application='nodules',
    public_test=True,
    categories=(Category('thyroid_nodule', 'nodule'),),
    archives=('TN3K.zip',),
    # numbers restart in the test part
    frames=ImageFiles(r'tn3k/{part:trainval|test}-image/{n:\d+}.jpg'),
    annotations=(
        MaskFiles(r'tn3k/{part:trainval|test}-mask/{n:\d+}.jpg', Threshold(150, 'thyroid_nodule', slack=16)),
    ),
    # places in the sorted list of the training part, whose names are its numbers without a gap
    tables=(
        Table(
            'tn3k/tn3k-trainval-fold0.json',
            on={'value': '{n:d}'},
            take={'fold': 'list'},
            form='index',
        ),
    ),
    # the lists do not mean test images, some of which have the same numbers
    split=Split('{part}|{fold}', test=('test|*',), val=('trainval|val',), train=('trainval|train',)),
    leave_out={
        'tn3k/tn3k-trainval.json': 'lists that are not used',
        'tn3k/tn3k-trainval-fold{_k:[1-4]}.json': 'folds that are not used',
        'tn3k/label4{_part:trainval|test}.csv': 'classes of images',
        'tg3k/{_kind:(?:thyroid-(?:image|mask)/)?}*.{_suffix:jpg|json}': 'another data set of the archive',
        'DDTI dataset/**': 'another data set of the archive',
    },
    expected=Expected(images=3493, test_images=614),
    # the published corpus pools all parts
    published={'split': None, 'expected': Expected(images=3493)},
    notes=(
        'The published corpus mixes the official test images into training; here they are a file of their own.',
        'The validation part is the first of five folds.',
        'Images are of 2,421 patients, who are not named.',
        'Benign (0) or malignant (1) is in the two tables of classes, which are not used.',
    ),
)

if __name__ == '__main__':
    run_description(__file__)
