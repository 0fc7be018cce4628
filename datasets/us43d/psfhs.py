from ultrasam.cli.convert import run_description
from ultrasam.corpus import Category, DatasetSpec, Download, Expected, LabelVolumes, Values, VolumeFiles

SPEC = DatasetSpec(
    name='PSFHS',
    title='PSFHS: intrapartum ultrasound images of pubic symphysis and fetal head',
    homepage='https://zenodo.org/records/10969427',
    licence='CC BY 4.0',
    citation='Chen et al., Scientific Data 2024, 11:436, 10.1038/s41597-024-03266-4',
    access='open',
    downloads=(
        Download(
            file='PSFHS.zip',
            urls=('https://zenodo.org/records/10969427/files/PSFHS.zip',),
            doi='10.5281/zenodo.10969427',
            sha256='3f4a8126c84640e4d1b8a4e296d0dfd599cea6529b64b9ee00e5489bfd17ea95',
        ),
    ),
    organs=('fetus', 'pelvis'),
    application='pubic symphysis and fetal head in labour',
    categories=(Category('pubic_symphysis', 'pubic_symphysis'), Category('fetal_head', 'fetal_head')),
    archives=('PSFHS*.zip',),
    # as FH-PS-AOP: one frame a file, three channels of gray in front
    frames=VolumeFiles('image_mha/{n}.mha', axis=None, channel=0),
    annotations=(LabelVolumes('label_mha/{n}.mha', Values({1: 'pubic_symphysis', 2: 'fetal_head'})),),
    expected=Expected(images=1358),
    notes=(
        'Not in the published corpus. It has the layout and the labels of FH-PS-AOP, with which it probably shares '
        'images: remove near duplicates before both are used together.',
        'Women are not named.',
    ),
)

if __name__ == '__main__':
    run_description(__file__)
