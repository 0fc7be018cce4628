from ultrasam.cli.convert import run_description
from ultrasam.corpus import Category, DatasetSpec, Download, ImageFiles, Instances, MaskFiles, Threshold

SPEC = DatasetSpec(
    name='Fast-U-Net',
    title='Fast-U-Net fetal dataset: abdominal and head circumference',
    homepage='https://github.com/vahidashkani/Fast-U-Net',
    licence='',
    citation='Ashkani Chenarlogh V. et al., Fast and accurate U-Net model for fetal ultrasound image segmentation, '
    'Ultrasonic Imaging 2022, 44(1)',
    access='open (rar archives in the repository)',
    downloads=(
        Download(
            file='AC_image1.rar',
            urls=('https://raw.githubusercontent.com/vahidashkani/Fast-U-Net/main/Dataset/AC/AC_image1.rar',),
        ),
        Download(
            file='AC_image2.rar',
            urls=('https://raw.githubusercontent.com/vahidashkani/Fast-U-Net/main/Dataset/AC/AC_image2.rar',),
        ),
        Download(
            file='AC_mask.rar',
            urls=('https://raw.githubusercontent.com/vahidashkani/Fast-U-Net/main/Dataset/AC/AC_mask.rar',),
        ),
        Download(
            file='HC_image1.rar',
            urls=('https://raw.githubusercontent.com/vahidashkani/Fast-U-Net/main/Dataset/HC/HC_image1.rar',),
        ),
        Download(
            file='HC_image2.rar',
            urls=('https://raw.githubusercontent.com/vahidashkani/Fast-U-Net/main/Dataset/HC/HC_image2.rar',),
        ),
        Download(
            file='HC_image3.rar',
            urls=('https://raw.githubusercontent.com/vahidashkani/Fast-U-Net/main/Dataset/HC/HC_image3.rar',),
        ),
        Download(
            file='HC_mask.rar',
            urls=('https://raw.githubusercontent.com/vahidashkani/Fast-U-Net/main/Dataset/HC/HC_mask.rar',),
        ),
    ),
    organs=('fetus',),
    application='abdominal and head circumference',
    categories=(Category('AC_HC', 'measurement'),),
    archives=(r'{_plane:AC|HC}_{_kind:image\d*|mask}.rar',),
    # heads are named as in HC18: exam, underscore, repeat and HC; their masks have a suffix more
    frames=ImageFiles(
        r'{plane:AC|HC}_image{_k:\d*}/{_in:(?:.*/)?}{exam:\d+(?=_\d*HC)|[^/]+?}{repeat:(?:_\d*HC)?}.png'
    ),
    annotations=(
        MaskFiles(
            r'{plane:AC|HC}_mask/{_in:(?:.*/)?}{exam:\d+(?=_\d*HC)|[^/]+?}{repeat:(?:_\d*HC)?}'
            r'{_suffix:(?:(?<=HC)_[^/]*)?}.png',
            Threshold(128, 'AC_HC'),
        ),
    ),
    # repeats of a head share an exam; of abdomens nothing is known
    subject='{plane}_{exam}',
    label='{plane}',
    classes=('AC', 'HC'),
    # one circumference an image; the rest of a mask is leftovers
    instances=Instances(largest=True),
    leave_out={
        '{_part:train|val}.txt': 'lists of images for training and validation, whose form is not known',
        'README.md': 'documentation',
        '.git/**': 'history of the repository',
    },
    notes=(
        'The heads appear to be the training images of HC18 (data set HC) again: remove duplicates, by their '
        'pixels, before both are used together.',
        'Abdomen and head share one category; the label of an image tells them apart.',
    ),
)

if __name__ == '__main__':
    run_description(__file__)
