from ultrasam.cli.convert import run_description
from ultrasam.corpus import Category, DatasetSpec, LabelVolumes, Nonzero, VolumeFiles

# a heart has no more chambers: a mask with more values is not a label map
MOST_VALUES = 8


def each_value(values, groups, name):
    """Make every value but 0 a chamber of its own: which means which is not known, and those that touch stay apart."""
    from collections import Counter

    import numpy as np

    from ultrasam.corpus import Structure
    from ultrasam.corpus.errors import RawFileError
    from ultrasam.corpus.labels import as_gray

    gray = as_gray(values, name)
    found = np.unique(gray[gray != 0])
    if found.size > MOST_VALUES:
        raise RawFileError(f'{name}: {found.size} values where at most {MOST_VALUES} are described')
    return [Structure('chamber', gray == value) for value in found], Counter()


LABELS = r'{patient:\d{3}}_{action:r|v}_label.nii.gz'

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
    annotations=(LabelVolumes(LABELS, each_value),),
    # at rest and with the Valsalva manoeuvre
    subject='{patient}',
    empty='skip',
    turn='half',
    leave_out={
        'echoCP_diagnosis_label.xlsx': 'diagnoses',
        r'*.z{_part:\d\d}': 'parts of the archive',
        '*.change2zip': 'parts of the archive',
    },
    # chambers that touch are one there
    published={'annotations': (LabelVolumes(LABELS, Nonzero('chamber')),)},
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
