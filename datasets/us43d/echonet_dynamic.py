from ultrasam.cli.convert import run_description
from ultrasam.corpus import Category, DatasetSpec, Rows, Split, Table, TracedRows, VideoFiles

SPEC = DatasetSpec(
    name='EchoNet-Dynamic',
    title='EchoNet-Dynamic: apical four-chamber echo videos of adults',
    homepage='https://echonet.github.io/dynamic',
    licence='Stanford University Dataset Research Use Agreement (non-commercial, no redistribution)',
    citation='Ouyang D. et al., Nature 2020, 10.1038/s41586-020-2145-8',
    access='registration',
    organs=('heart',),
    application='left ventricle of adults, for the ejection fraction',
    categories=(Category('left_ventricle', 'left_ventricle'),),
    archives=('EchoNet-Dynamic.zip',),
    frames=VideoFiles('Videos/{video}.avi'),
    annotations=(TracedRows('tracings', 'left_ventricle', chords=('X1', 'Y1', 'X2', 'Y2')),),
    tables=(Table('FileList.csv', on={'FileName': '{video}'}, take={'part': 'Split'}),),
    rows=(Rows('tracings', 'VolumeTracings.csv', on={'FileName': '{video}.avi'}),),
    # one video a person
    subject='{video}',
    split=Split('{part}', test=('TEST',), val=('VAL',), train=('TRAIN',)),
    series='{video}',
    # the published corpus pools all parts
    published={'split': None},
    notes=(
        'Only the two traced frames of a video are converted; a few videos have none.',
        'A video that VolumeTracings.csv names may be missing from Videos/; it is not in the result.',
    ),
)

if __name__ == '__main__':
    run_description(__file__)
