from ultrasam.cli.convert import run_description
from ultrasam.corpus import Category, DatasetSpec, Rows, TracedRows, VideoFiles

SPEC = DatasetSpec(
    name='echonetpediatric',
    title='EchoNet-Pediatric: apical four-chamber and parasternal short-axis echo videos of children',
    homepage='https://echonet.github.io/pediatric',
    licence='Stanford research use agreement (non-commercial)',
    citation='Reddy C. D. et al., Journal of the American Society of Echocardiography 2023, 36(5)',
    access='registration',
    organs=('heart',),
    application='left ventricle of children, for the ejection fraction',
    categories=(Category('left_ventricle', 'left_ventricle'),),
    frames=VideoFiles(r'{view:A4C|PSAX}/Videos/{patient:[^-/]+}{rest:[^/]*}.avi'),
    annotations=(
        TracedRows(
            'tracings',
            'left_ventricle',
            points=('X', 'Y'),
            first_frame=1,
            untraced=('No Systolic', 'No Diastolic'),
        ),
    ),
    rows=(
        Rows(
            'tracings',
            '{view:A4C|PSAX}/VolumeTracings.csv',
            on={'FileName': '{patient}{rest}.avi', 'view': '{view}'},
        ),
    ),
    # of both views
    subject='{patient}',
    series='{patient}{rest}__{view}',
    leave_out={'{_view:A4C|PSAX}/FileList.csv': 'ejection fraction, sex, age, size and fold of each video'},
    notes=(
        'Frames are taken to be numbered from 1; a tracing of frame 0 is refused, and would mean that they are '
        'numbered from 0.',
        'The first part of a file name is taken to be the patient.',
        'The ten folds of FileList.csv are not used: which of them the authors tested on is not documented.',
        'Only traced frames are converted.',
    ),
)

if __name__ == '__main__':
    run_description(__file__)
