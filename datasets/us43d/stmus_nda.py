from ultrasam.cli.convert import run_description
from ultrasam.corpus import Category, DatasetSpec, Download, ImageFiles, Instances, MaskFiles, Nonzero

# a name starts with a number or with letters and a number; both are kept together
NAME = r'{first:[^/\d]*\d+|[^/\d]+}{rest:[^/]*}.png'

SPEC = DatasetSpec(
    name='STMUS_NDA',
    title='Transverse musculoskeletal ultrasound for neuromuscular disease assessment',
    homepage='https://data.mendeley.com/datasets/3jykz7wz8d/1',
    licence='CC BY 4.0',
    citation='Marzola F. et al., Computers in Biology and Medicine 2021, 135:104623',
    access='open',
    downloads=(
        Download(
            file='DATASET_10.1016j.compbiomed.2021.104623.zip',
            urls=(
                'https://data.mendeley.com/public-files/datasets/3jykz7wz8d/files/b1601a22-98a5-41ce-9fbb-54dd21834b55/file_downloaded',
            ),
            doi='10.17632/3jykz7wz8d.1',
            sha256='81dbec46e9f3035831f97aa828735cd6ba04171a72902a9416e7847e75148a11',
        ),
    ),
    organs=('muscle',),
    application='muscle cross-sections, for neuromuscular disease',
    categories=(Category('transverse_musculoskeletal', 'transverse_musculoskeletal'),),
    archives=(
        '3jykz7wz8d-1.zip',
        '*musculoskeletal*.zip',
        'DATASET_10.1016j.compbiomed.2021.104623.zip',
    ),
    # names may repeat in another folder
    frames=ImageFiles('{muscle:BB|GM|TA}/{condition:Healthy|Pathological}/Images/' + NAME),
    annotations=(
        MaskFiles(
            '{muscle:BB|GM|TA}/{condition:Healthy|Pathological}/Masks/' + NAME,
            Nonzero('transverse_musculoskeletal'),
        ),
    ),
    subject='{first}',
    empty='skip',
    # an image shows one muscle: what lies beside it is a slip of the annotation
    instances=Instances(fill_holes=True, largest=True),
    leave_out={
        'Segmentation_models/**': 'resized copies of the images, models and code of the authors',
        '*.m': 'code of the authors',
        'readme.txt': 'documentation',
    },
    published={'instances': Instances()},
    notes=(
        'How file names tell the patient is not documented (3,917 images of 1,283). A subject is what comes up to the '
        'first number of a name, whichever the muscle: look at the names before you rely on it.',
        'The parts that the authors used are resized copies whose relation to the files here is not documented; '
        'they are not used.',
    ),
)

if __name__ == '__main__':
    run_description(__file__)
