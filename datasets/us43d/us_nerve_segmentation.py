from ultrasam.cli.convert import run_description
from ultrasam.corpus import Category, DatasetSpec, Expected, ImageFiles, MaskFiles, Threshold

SPEC = DatasetSpec(
    name='ultrasound-nerve-segmentation',
    title='Ultrasound nerve segmentation (2016 competition)',
    homepage='https://www.kaggle.com/c/ultrasound-nerve-segmentation/data',
    licence='rules of the competition (must not be passed on)',
    citation='Montoya A. et al., Ultrasound Nerve Segmentation, Kaggle 2016',
    access='registration',
    organs=('nerve',),
    application='brachial plexus',
    categories=(Category('cervical_nerves', 'cervical_nerves'),),
    archives=('ultrasound-nerve-segmentation.zip', 'train.zip', 'test.zip'),
    frames=ImageFiles(r'train/{subject:\d+}_{frame:\d+}.tif'),
    annotations=(MaskFiles(r'train/{subject:\d+}_{frame:\d+}_mask.tif', Threshold(150, 'cervical_nerves')),),
    subject='{subject}',
    series='{subject}',
    leave_out={
        'test/*.tif': 'test images, whose masks are not public',
        'train_masks.csv': 'the same masks as run lengths',
        'sample_submission.csv': 'form of a submission',
    },
    expected=Expected(images=5635),
    notes=(
        'Some 60 % of the masks are empty, and many images without a nerve are nearly the same as one of that '
        'subject with a nerve: leave such images out before training where this matters.',
        'Numbers of frames are shuffled: they do not follow time.',
    ),
)

if __name__ == '__main__':
    run_description(__file__)
