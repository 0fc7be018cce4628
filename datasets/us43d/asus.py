from ultrasam.cli.convert import run_description
from ultrasam.corpus import ArrayFiles, Category, DatasetSpec, LabelArrays, Values

SPEC = DatasetSpec(
    name='ASUS',
    title='Automatic spine ultrasound segmentation for scoliosis visualization and measurement',
    homepage='https://onedrive.live.com/?authkey=%21AMIrL6S1cSjlo1I&id=7230D4DEC6058018%2191725&cid=7230D4DEC6058018',
    licence='',
    citation='Ungi T. et al., IEEE TBME 2020, 10.1109/TBME.2020.2980540',
    access='open share link',
    organs=('spine',),
    application='bone surface of the spine, for scoliosis',
    categories=(Category('spine', 'spine'),),
    archives=('ASUS.tar.gz', 'DataArrays.zip'),
    # gray from 0 to 1; other arrays of a scan, such as its transforms, begin alike
    frames=ArrayFiles(r'{scan:[^/_]+}_{_kind:(?![^/]*segmentation)[^/]*ultrasound[^/]*}.npy', scale=255),
    annotations=(LabelArrays(r'{scan:[^/_]+}_{_kind:[^/]*segmentation[^/]*}.npy', Values({1: 'spine'})),),
    subject='{scan}',
    empty='skip',
    turn='half',
    leave_out={'*_*transform*.npy': 'positions of the probe'},
    notes=(
        'Frames are turned by 180 degrees as in the published corpus; that this puts the probe on top is not '
        'certain.',
        'The paper trains on 8 volunteers and tests on 8 patients; which scan is whose is not known, so there is '
        'no official test part here. Frames of a scan are alike: split by subject.',
    ),
)

if __name__ == '__main__':
    run_description(__file__)
