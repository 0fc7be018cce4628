from ultrasam.cli.convert import run_description
from ultrasam.corpus import Category, DatasetSpec, EachValue, LabelVolumes, VolumeFiles

SPEC = DatasetSpec(
    name='EchoCP2',
    title='EchoCP: contrast transthoracic echocardiography for the diagnosis of patent foramen ovale',
    homepage='https://www.kaggle.com/datasets/xiaoweixumedicalai/echocp',
    licence='',
    citation='Wang T. et al., MICCAI 2021, 10.1007/978-3-030-87237-3_12',
    access='login',
    organs=('heart',),
    application='chambers of the heart, for the patent foramen ovale',
    categories=(Category('chamber', 'chamber'),),
    frames=VolumeFiles(r'{patient:\d{3}}_{action:r|v}_image.nii.gz'),
    # chambers that touch stay apart, whichever value means which; a heart has no more of them
    annotations=(LabelVolumes(r'{patient:\d{3}}_{action:r|v}_label.nii.gz', EachValue('chamber', most=8)),),
    # at rest and with the Valsalva manoeuvre
    subject='{patient}',
    empty='skip',
    turn='half',
    leave_out={
        'echoCP_diagnosis_label.xlsx': 'diagnoses',
        r'*.z{_part:\d\d}': 'parts of the archive',
        '*.change2zip': 'parts of the archive',
    },
    notes=(
        'The download is a zip archive in several parts, the last one named EchoCP_dataset.change2zip: rename it to '
        '.zip, join the parts (zip -s 0) and unpack them before the conversion.',
        'Which label value is which chamber is not documented; each value becomes instances of its own, all of the '
        'category chamber.',
        'That half a turn puts the frames upright was not checked against the release.',
    ),
)

if __name__ == '__main__':
    run_description(__file__)
