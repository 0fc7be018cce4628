from dataclasses import replace

from ultrasam.cli.convert import run_description
from ultrasam.corpus import (
    Category,
    DatasetSpec,
    Download,
    Expected,
    ImageFiles,
    Item,
    MaskFiles,
    RawFrame,
    Split,
    Table,
    Threshold,
)


def group_by_size(frame: RawFrame, item: Item) -> RawFrame:
    """Note the size of an image, which all frames of a video share."""
    height, width = frame.image.shape[:2]
    return replace(frame, groups={**frame.groups, 'size': f'{width}x{height}'})


SPEC = DatasetSpec(
    name='TG3K',
    title='TG3K: thyroid gland regions in frames of 16 ultrasound videos',
    homepage='https://github.com/openmedlab/Awesome-Medical-Dataset/blob/main/resources/TG3K.md',
    licence='',
    citation='Gong H. et al., Computers in Biology and Medicine 2023, 155:106389; Gong H. et al., ISBI 2021',
    access='open (within the TN3K archive)',
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
    application='thyroid gland',
    categories=(Category('thyroid_gland', 'gland'),),
    archives=('TN3K.zip',),
    frames=ImageFiles(r'tg3k/thyroid-image/{n:\d+}.jpg'),
    annotations=(MaskFiles(r'tg3k/thyroid-mask/{n:\d+}.jpg', Threshold(150, 'thyroid_gland', slack=16)),),
    # borders blurred by JPEG weigh more in small images
    stray_share=0.02,
    # places in the sorted list of files, which are the numbers in their names as long as none is missing
    tables=(Table('tg3k/tg3k-trainval.json', on={'value': '{n:d}'}, take={'part': 'list'}, form='index'),),
    split=Split('{part}', val=('val',), train=('train',)),
    adjust=group_by_size,
    subject='{size}',
    leave_out={
        'tn3k/{_kind:(?:[a-z]+-(?:image|mask)/)?}*.{_suffix:jpg|json|csv}': 'another data set of the archive',
        'DDTI dataset/**': 'another data set of the archive',
    },
    expected=Expected(images=3585),
    notes=(
        'The gland, not nodules. Frames of a video are near duplicates, and names do not tell the video: images '
        'of one size are one subject here, which never parts a video but may join several.',
        'The official validation part may hold frames of videos of the training part.',
    ),
)

if __name__ == '__main__':
    run_description(__file__)
