from ultrasam.cli.convert import run_description
from ultrasam.corpus import Category, DatasetSpec, Download, MaskFiles, Threshold, VideoFiles

SPEC = DatasetSpec(
    name='brachial_plexus',
    title='Brachial plexus in neck ultrasound videos of three machines',
    homepage='https://github.com/Regional-US/brachial_plexus',
    licence='data use agreement of the repository (non-commercial)',
    citation='Tyagi A. et al., Automated Real Time Delineation of Supraclavicular Brachial Plexus in Neck '
    'Ultrasonography Videos, arXiv:2308.03717',
    access='open (git clone)',
    downloads=(
        Download(
            file='brachial_plexus-ac4bf778db01cc81338773485e59a8ac254f665c.zip',
            urls=(
                'https://codeload.github.com/Regional-US/brachial_plexus/zip/ac4bf778db01cc81338773485e59a8ac254f665c',
            ),
            size=652244758,
            sha256='093cab36f70e0ee9be0942c0b8d0b3558ff688852a8cb1f88159f429ea6feea6',
        ),
    ),
    organs=('nerve',),
    application='nerves and block needles, for regional anaesthesia',
    categories=(Category('nerve_plexus', 'nerve'), Category('needle', 'needle')),
    archives=('brachial_plexus*.zip',),
    frames=VideoFiles('{machine:Butterfly|Sonosite|eSaote}/videos/{video}.mp4'),
    # masks are JPEG; their numbers, with gaps in those of needles, are those of the frames from 0 on
    annotations=(
        MaskFiles(
            r'{machine:Butterfly|Sonosite|eSaote}/ac_masks/{video}/{video}_{frame:\d+}.jpg',
            Threshold(100, 'nerve_plexus', slack=16),
            absent='skip',
            frame='frame',
        ),
        MaskFiles(
            r'{machine:Butterfly|Sonosite|eSaote}/needle/needle_masks/{video}/{video}_{frame:\d+}.jpg',
            Threshold(100, 'needle', slack=16),
            absent='empty',
            frame='frame',
        ),
    ),
    # one video a person
    subject='{video}',
    # ragged edges, as JPEG leaves them
    stray_share=0.02,
    leave_out={
        'P_021_09_masks/*.jpg': 'masks outside the folders of masks, whose video is not known',
        'bb_annotations/**': 'boxes, the coarse form of the masks',
        'needle/needle_coordinates/**': 'ends of needles',
        'README.md': 'documentation',
        '.git/**': 'history of the repository',
    },
    notes=(
        'Frames without any mask are left out; a video without nerve masks is left out and counted.',
        'Needle masks are taken to count frames from 0, as nerve masks do, though theirs begin with 1.',
        'Few frames with a needle have a needle mask, so a needle without one is no error.',
        'About 41,000 frames of 227 videos are nearly alike: take some of them, and split by subject.',
    ),
)

if __name__ == '__main__':
    run_description(__file__)
