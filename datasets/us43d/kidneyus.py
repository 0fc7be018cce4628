from ultrasam.cli.convert import run_description
from ultrasam.corpus import Category, DatasetSpec, ImageFiles, Rows, ViaRegions

SPEC = DatasetSpec(
    name='kidneyUS',
    title='The Open Kidney Ultrasound Data Set',
    homepage='https://github.com/rsingla92/kidneyUS',
    licence='CC BY-NC-SA (non-commercial)',
    citation='Singla R. et al., ASMUS 2023, 10.1007/978-3-031-44521-7_15',
    access='registration (images); the labels are in the repository',
    organs=('kidney',),
    application='native and transplanted kidneys',
    categories=(Category('kidney', 'kidney'),),
    archives=('kidneyUS_images_*.zip',),
    frames=ImageFiles(r'{case:\d+}_IM-{image}.png'),
    # the first of two sonographers, as in the published corpus; the parts inside the capsule are left out
    rows=(Rows('regions', 'reviewed_labels_1.csv', on={'filename': '{case}_IM-{image}.png'}),),
    annotations=(
        ViaRegions(
            'regions',
            attribute='Anatomy',
            names={'Capsule': 'kidney'},
            ignored=('', 'Central Echo Complex', 'Medulla', 'Cortex'),
            merge=True,
        ),
    ),
    # the number in front is a patient, though some have several images
    subject='{case}',
    empty='skip',
    leave_out={
        'labels/images/*.png': 'images of the repository',
        'reviewed_masks_{_reader:[12]}/{_kind:capsule|regions}/*.png': 'the labels as masks',
        'reviewed_labels_2.csv': 'the second sonographer',
        'OpenKidneyUltrasoundDataSet_TransducerInfo.xlsx': 'probes',
        'Datasheet for Data Set.pdf': 'documentation',
    },
    notes=(
        'Some images are the same, pixel by pixel; remove such duplicates before a split.',
        'Releases of the images are called after their day (14 June 2022, 25 June 2025).',
    ),
)

if __name__ == '__main__':
    run_description(__file__)
