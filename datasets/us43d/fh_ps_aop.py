from ultrasam.cli.convert import run_description
from ultrasam.corpus import Category, DatasetSpec, Download, Expected, LabelVolumes, Values, VolumeFiles

SPEC = DatasetSpec(
    name='FH-PS-AOP',
    title='Pubic symphysis and fetal head segmentation, angle of progression (training set)',
    homepage='https://zenodo.org/records/10829116',
    licence='',
    citation='FH-PS-AOP challenge, MICCAI 2023; Lu et al., JNU-IFM, Data in Brief 2022',
    access='open',
    downloads=(
        Download(
            file='Pubic Symphysis-Fetal Head Segmentation and Angle of Progression.zip',
            urls=(
                'https://zenodo.org/records/7851339/files/Pubic%20Symphysis-Fetal%20Head%20Segmentation%20and%20Angle%20of%20Progression.zip',
            ),
            doi='10.5281/zenodo.7851339',
            sha256='2b14d1c78e11cfb799d74951b0b985b90777c195f7a456ccd00528bf02802e21',
        ),
    ),
    organs=('fetus', 'pelvis'),
    application='angle of progression in labour',
    categories=(Category('pubic_symphysis', 'pubic_symphysis'), Category('fetal_head', 'fetal_head')),
    archives=('FH-PS-AOP.zip', 'Pubic Symphysis-Fetal Head Segmentation and Angle of Progression.zip'),
    # one frame a file, three channels of gray in front
    frames=VolumeFiles('image_mha/{n}.mha', axis=None, channel=0),
    annotations=(LabelVolumes('label_mha/{n}.mha', Values({1: 'pubic_symphysis', 2: 'fetal_head'})),),
    expected=Expected(images=4000),
    notes=(
        'Frames come from videos of the same women, who are not named: parts of a split share women.',
        'Masks are kept as they are, also where they leave the lit sector.',
        'The test sets of the challenge are not public. JNU-IFM and PSFHS probably share images with this set.',
    ),
)

if __name__ == '__main__':
    run_description(__file__)
