from ultrasam.cli.convert import run_description
from ultrasam.corpus import (
    Category,
    DatasetSpec,
    Download,
    Expected,
    LabelVolumes,
    Split,
    Table,
    Values,
    VolumeFiles,
)

SPEC = DatasetSpec(
    name='CAMUS',
    title='CAMUS: Cardiac Acquisitions for Multi-structure Ultrasound Segmentation',
    homepage='https://humanheart-project.creatis.insa-lyon.fr/database/',
    licence='CC BY-NC-SA 4.0',
    citation='Leclerc S. et al., IEEE TMI 2019, 10.1109/TMI.2019.2900516',
    access='open',
    downloads=(
        Download(
            file='CAMUS_public.zip',
            urls=(
                'https://humanheart-project.creatis.insa-lyon.fr/database/api/v1/collection/6373703d73e9f0047faa1bc8/download',
            ),
        ),
    ),
    organs=('heart',),
    application='left ventricle and atrium, for the ejection fraction',
    categories=(
        Category('endocardium', 'endocardium'),
        Category('epicardium', 'epicardium'),
        Category('atrium_wall', 'atrium_wall'),
    ),
    archives=('CAMUS_public.zip',),
    frames=VolumeFiles(r'patient{patient:\d{4}}/patient{patient:\d{4}}_{view:[24]CH}_half_sequence.nii.gz'),
    annotations=(
        LabelVolumes(
            r'patient{patient:\d{4}}/patient{patient:\d{4}}_{view:[24]CH}_half_sequence_gt.nii.gz',
            Values({1: 'endocardium', 2: 'epicardium', 3: 'atrium_wall'}),
        ),
    ),
    tables=(
        Table(
            'database_split/subgroup_{part:training|validation|testing}.txt',
            on={'patient': 'patient{patient}'},
            take={'part': 'part'},
            form='list',
            columns=('patient',),
            delimiter=None,
        ),
    ),
    translate={'view': {'2CH': 'CH2', '4CH': 'CH4'}},
    subject='patient{patient}',
    split=Split('{part}', test=('testing',), val=('validation',), train=('training',)),
    series='{patient}__{view}',
    clip='sector',
    leave_out={
        r'patient*_{_v:[24]CH}_{_phase:ED|ES}.nii.gz': 'frames of the sequences, stored again',
        r'patient*_{_v:[24]CH}_{_phase:ED|ES}_gt.nii.gz': 'frames of the sequences, stored again',
        'Info_*.cfg': 'acquisition data',
    },
    expected=Expected(subjects=500),
    # the published corpus pools all parts
    published={'split': None, 'clip': 'black'},
    notes=(
        'The categories epicardium and atrium_wall mark the myocardium and the cavity of the left atrium; their '
        'names are kept because configs use them.',
    ),
)

if __name__ == '__main__':
    run_description(__file__)
