from ultrasam.cli.convert import run_description
from ultrasam.corpus import Category, DatasetSpec, Download, LabelVolumes, Table, Values, VolumeFiles

SPEC = DatasetSpec(
    name='ACOUSLIC',
    title='ACOUSLIC-AI training set: fetal abdomen in blind sweeps',
    homepage='https://zenodo.org/records/12697994',
    licence='CC BY-NC-SA',
    citation='ACOUSLIC-AI challenge, Medical Image Analysis 2025, 10.1016/j.media.2025.103640',
    access='open',
    downloads=(Download(file='acouslic-ai-train-set.zip', doi='10.5281/zenodo.12697994'),),
    organs=('fetus',),
    application='abdominal circumference from blind sweeps',
    categories=(Category('abdomen', 'abdomen'),),
    archives=('acouslic-ai-train-set.zip',),
    frames=VolumeFiles('stacked_fetal_ultrasound/{uuid}.mha'),
    # 1: optimal plane, 2: suboptimal plane of the same structure
    annotations=(LabelVolumes('stacked_fetal_abdomen/{uuid}.mha', Values({1: 'abdomen', 2: 'abdomen'})),),
    tables=(
        Table(
            'fetal_abdominal_circumferences_per_sweep.csv',
            on={'uuid': '{uuid}'},
            take={'subject': 'subject_id'},
        ),
    ),
    subject='{subject}',
    empty='skip',
    notes=('Validation and test cases of the challenge are not public.',),
)

if __name__ == '__main__':
    run_description(__file__)
