from ultrasam.cli.convert import run_description
from ultrasam.corpus import (
    Category,
    DatasetSpec,
    Download,
    Expected,
    Instances,
    LabelVolumes,
    Nonzero,
    Split,
    VolumeFiles,
)

CHANNELS = 6

SPEC = DatasetSpec(
    name='regPro',
    title='mu-RegPro: MR to ultrasound registration for prostate challenge',
    homepage='https://muregpro.github.io/data.html',
    licence='CC BY-NC-SA 4.0 (research only)',
    citation='Hamid S. et al., European Urology 2019; data 10.5281/zenodo.7870104',
    access='open',
    downloads=(Download(file='*.zip', doi='10.5281/zenodo.8004388'),),
    # the gland and landmarks, which differ from patient to patient
    categories=(Category('unknow1', 'unknow1'),),
    organs=('prostate',),
    application='prostate and landmarks, for registration with MR',
    archives=('regPro.zip', '{_part:train|val}.zip', '*.zip'),
    # sagittal: x is the last axis of (z, y, x)
    frames=VolumeFiles(r'{part:train|val}/us_images/{case:case\d+}.nii.gz', axis=2),
    # one binary volume a structure; they overlap
    annotations=tuple(
        LabelVolumes(r'{part:train|val}/us_labels/{case:case\d+}.nii.gz', Nonzero('unknow1'), channel=channel)
        for channel in range(CHANNELS)
    ),
    # some landmarks are of a few pixels
    instances=Instances(min_area=1),
    subject='{case}',
    split=Split('{part}', val=('val',), train=('train',)),
    empty='skip',
    turn='half',
    leave_out={'{_part:train|val}/mr_{_kind:images|labels}/*.nii.gz': 'magnetic resonance'},
    expected=Expected(subjects=73),
    notes=(
        'The category keeps the name of the published corpus. It marks the gland and up to five landmarks a patient, '
        'some of a few pixels; the first channel is commonly said to be the gland.',
        'The 35 test cases of the challenge are not public.',
        'A slice is only 118 x 88 pixels.',
    ),
)

if __name__ == '__main__':
    run_description(__file__)
