from ultrasam.cli.convert import run_description
from ultrasam.corpus import Category, DatasetSpec, Download, LabelVolumes, Values, VolumeFiles

LABELS = r'ground_truth_data/US_thyroid_label/{volunteer:\d{3}}_{scan}.nii'

SPEC = DatasetSpec(
    name='segthy-dataset',
    title='SegThy: thyroid and neck segmentation in tracked freehand ultrasound',
    homepage='https://www.cs.cit.tum.de/camp/publications/segthy-dataset/',
    licence='CC BY 4.0 (as a re-host states)',
    citation='Kroenke M. et al., PLoS ONE 2022, 17:e0268550',
    access='open',
    downloads=(
        Download(
            file='US_data.zip',
            urls=('https://www.campar.in.tum.de/public_datasets/2022_plosone_eilers/US_data.zip',),
            sha256='52c59ef4db08adfa0e6ea562c7fe747c612f2064e01f907a78b170b02fb459bb',
        ),
    ),
    organs=('thyroid', 'vessel'),
    application='thyroid and vessels of the neck',
    categories=(Category('thyroid', 'thyroid'), Category('carotid', 'vessel'), Category('jugular', 'vessel')),
    archives=('US_data.zip',),
    frames=VolumeFiles(r'ground_truth_data/US/{volunteer:\d{3}}_{scan}_US.nii'),
    # one value for the vessel of each side of the body
    annotations=(
        LabelVolumes(
            LABELS,
            Values({1: 'thyroid', 2: 'carotid', 4: 'carotid', 3: 'jugular', 5: 'jugular'}),
        ),
    ),
    # several physicians, repeats and both lobes of a volunteer
    subject='{volunteer}',
    empty='skip',
    turn='half',
    leave_out={r'US_volunteer_dataset/{_other:(?!ground_truth_data/).+}.nii': 'volumes without labels'},
    # labels 4 and 5 are lost in the published corpus
    published={
        'annotations': (
            LabelVolumes(LABELS, Values({1: 'thyroid', 2: 'carotid', 3: 'jugular'}, background=(0, 4, 5))),
        )
    },
    notes=(
        'The source is the archive, or a folder that holds ground_truth_data.',
        'Labels lie in a folder named after the thyroid, but are used elsewhere for the vessels, too: which side '
        'values 2 to 5 mean, and whether every volume has all of them, is not certain.',
        'Intensities are taken to be 0 to 255; a volume beyond is refused.',
        'That half a turn puts the slices upright was not checked against the release.',
    ),
)

if __name__ == '__main__':
    run_description(__file__)
