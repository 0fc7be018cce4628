from ultrasam.cli.convert import run_description
from ultrasam.corpus import (
    Category,
    DatasetSpec,
    Download,
    Expected,
    LabelVolumes,
    Nonzero,
    Split,
    VolumeFiles,
)

SPEC = DatasetSpec(
    name='MicroSeg',
    title='MicroSegNet: micro-ultrasound prostate segmentation',
    homepage='https://zenodo.org/records/10475293',
    licence='',
    citation='Jiang H. et al., Computerized Medical Imaging and Graphics 2024, 10.1016/j.compmedimag.2024.102326',
    access='open',
    downloads=(
        Download(
            file='Micro_Ultrasound_Prostate_Segmentation_Dataset.zip',
            urls=(
                'https://zenodo.org/records/10475293/files/Micro_Ultrasound_Prostate_Segmentation_Dataset.zip',
            ),
            doi='10.5281/zenodo.10475293',
            sha256='031645dc30948314e379d0a0a7d54bad1cd4e1f3f918b77455d69810aa05dce3',
        ),
    ),
    organs=('prostate',),
    application='prostate in micro-ultrasound',
    categories=(Category('prostate', 'prostate'),),
    archives=('MicroSeg.zip', 'Micro_Ultrasound_Prostate_Segmentation_Dataset.zip'),
    # numbers restart in test/
    frames=VolumeFiles(r'{part:train|test}/micro_ultrasound_scans/microUS_{part}_{n:\d+}.nii.gz'),
    annotations=(
        LabelVolumes(
            r'{part:train|test}/expert_annotations/expert_annotation_{part}_{n:\d+}.nii.gz',
            Nonzero('prostate'),
        ),
    ),
    subject='{part}_{n}',
    split=Split('{part}', test=('test',), train=('train',)),
    empty='skip',
    turn='half',
    # labels reach beyond the sector
    clip='sector',
    leave_out={
        'train/non_expert_annotations/*.nii.gz': 'annotations of a non-expert',
        'test/{_reader:medical_student|master_student|clinician}_annotations/*.nii.gz': 'annotations of others',
    },
    expected=Expected(subjects=75),
    # the published corpus pools all parts
    published={'split': None},
    notes=(
        'MUP is the same release with another turn and with empty slices; both give a patient the same subject. '
        'Train on one of them, and keep the test part of each out of the training part of the other.',
        'That half a turn puts the slices upright was not checked against the release.',
    ),
)

if __name__ == '__main__':
    run_description(__file__)
