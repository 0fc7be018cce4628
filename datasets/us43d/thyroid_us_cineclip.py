from dataclasses import replace

from ultrasam.cli.convert import run_description
from ultrasam.corpus import Category, DatasetSpec, Hdf5Frames, Hdf5Masks, Instances, Item, Nonzero, RawFrame


def name_clip(frame: RawFrame, item: Item) -> RawFrame:
    """The clip without the underscore that the file puts behind it."""
    return replace(frame, groups={'clip': frame.groups['clip'].rstrip('_')})


SPEC = DatasetSpec(
    name='thyroidultrasoundcineclip',
    title='Thyroid ultrasound cine-clip',
    homepage='https://stanfordaimi.azurewebsites.net/datasets/a72f2b02-7b53-4c5d-963c-d7253220bfd5',
    licence='Stanford AIMI research use agreement (non-commercial)',
    citation='Yamashita R. et al., Stanford AIMI, 10.71718/7m5n-rh16',
    access='registration',
    # the masks outline the nodule; the name is that of the published corpus
    categories=(Category('thyroid', 'thyroid'),),
    organs=('thyroid',),
    application='nodules',
    frames=Hdf5Frames('dataset.hdf5', 'image', groups={'clip': 'annot_id'}),
    annotations=(Hdf5Masks('mask', Nonzero('thyroid')),),
    subject='{clip}',
    adjust=name_clip,
    instances=Instances(fill_holes=True),
    leave_out={'metadata.csv': 'age, sex, findings'},
    notes=('Frames of a clip are alike: split by subject.',),
)

if __name__ == '__main__':
    run_description(__file__)
