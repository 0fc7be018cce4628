from ultrasam.cli.convert import run_description
from ultrasam.corpus import Category, Colours, DatasetSpec, ImageFiles, Instances, MaskFiles, Split

ORGANS = ('liver', 'kidney', 'pancreas', 'vessels', 'adrenals', 'gallbladder', 'bones', 'spleen')

SPEC = DatasetSpec(
    name='AbdomenUS',
    title='US simulation & segmentation (ussimandsegm): abdominal organs in real scans',
    homepage='https://www.kaggle.com/datasets/ignaciorlando/ussimandsegm',
    licence='',
    citation='Vitale S. et al., IJCARS 2020, 10.1007/s11548-019-02046-5',
    access='Kaggle login',
    organs=('liver', 'kidney', 'pancreas', 'vessel', 'adrenal', 'gallbladder', 'bone', 'spleen'),
    application='organs of the abdomen',
    categories=tuple(Category(name, name) for name in ORGANS),
    archives=('ussimandsegm.zip', 'archive.zip'),
    frames=ImageFiles('RUS/images/{part:train|test}/{stem}.{_suffix:png|jpg}'),
    annotations=(
        MaskFiles(
            'RUS/annotations/{part:train|test}/{stem}.{_suffix:png|jpg}',
            # red, green, blue; some masks have a constant alpha channel or one channel
            Colours(
                {
                    (100, 0, 100): 'liver',
                    (255, 255, 0): 'kidney',
                    (0, 0, 255): 'pancreas',
                    (255, 0, 0): 'vessels',
                    (0, 255, 255): 'adrenals',
                    (0, 255, 0): 'gallbladder',
                    (255, 255, 255): 'bones',
                    (255, 0, 255): 'spleen',
                },
                background=((0, 0, 0), (10, 10, 10)),
                tolerance=40,
            ),
            # most real scans are not annotated
            absent='skip',
        ),
    ),
    split=Split('{part}', test=('test',), train=('train',)),
    # colours that were rounded at borders leave specks, and pixels between two colours
    instances=Instances(min_area=20),
    stray_share=0.02,
    leave_out={'AUS/**': 'simulated from CT, not ultrasound'},
    # the annotated real scans, all of the official test part, are in the published training data
    published={'split': None, 'instances': Instances()},
    notes=(
        'Only real scans (RUS) are converted. All that are annotated are of the official test part, so the main '
        'file has no images; --published puts them there.',
        'The volunteers (11) are not named: images of one cannot be told apart from those of another.',
    ),
)

if __name__ == '__main__':
    run_description(__file__)
