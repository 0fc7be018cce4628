from collections import Counter
from collections.abc import Iterator

from ultrasam.cli.convert import run_description
from ultrasam.corpus import Category, DatasetSpec, Download, ImageFiles, Item, MaskFiles, RawFrame, Threshold

# many masks are JPEG, and fascicles are mostly edge
STRAY_SHARE = 0.05
APONEUROSIS = MaskFiles(
    '{lab:NeilCronin|RyanCunningham}/aponeurosis_masks/{stem}.{_suffix:tif|jpg}',
    Threshold(100, 'aponeurosis', slack=16),
    absent='skip',
)
FASCICLE = MaskFiles(
    '{lab:NeilCronin|RyanCunningham}/fascicle_masks/{stem}.{_suffix:tif|jpg}',
    Threshold(100, 'fascicle', slack=16),
    absent='skip',
)


def read_with_turned_masks(item: Item) -> Iterator[RawFrame]:
    """Turn aponeuroses of one laboratory clockwise by 90 degrees, as far as they do not fit already."""
    import numpy as np

    from ultrasam.corpus.labels import read_labels
    from ultrasam.corpus.readers.image import read_image, read_mask

    image = read_image(item.frames)
    structures, stray = [], Counter()
    for word, files in zip((APONEUROSIS, FASCICLE), item.annotations, strict=False):
        for file in files:
            values = read_mask(file)
            may_be_turned = word is APONEUROSIS and item.groups['lab'] == 'RyanCunningham'
            if may_be_turned and values.shape[:2] == image.shape[1::-1]:
                values = np.rot90(values, -1)
            found, unknown = read_labels(word.rule, values, {}, name=file.name, stray_share=STRAY_SHARE)
            structures += found
            stray += unknown
    yield RawFrame(image, tuple(structures), stray=stray)


SPEC = DatasetSpec(
    name='FALLMUD',
    title='FALLMUD: Fascicle Lower Leg Muscle Ultrasound Dataset',
    homepage='https://kalisteo.cea.fr/index.php/fallmud/#',
    licence='',
    citation='FALLMUD, CEA List; images by R. Cunningham and N. Cronin',
    access='not stated',
    downloads=(Download(file='FALLMUD.zip', by_hand='Look for the download on its homepage.'),),
    organs=('muscle',),
    application='fascicles and aponeuroses of the lower leg',
    categories=(Category('aponeurosis', 'muscle'), Category('fascicle', 'muscle')),
    archives=('FALLMUD.zip',),
    frames=ImageFiles('{lab:NeilCronin|RyanCunningham}/images/{stem}.{_suffix:tif|jpg}'),
    annotations=(APONEUROSIS, FASCICLE),
    read=read_with_turned_masks,
    # the laboratory is all that is known of who was scanned
    subject='{lab}',
    stray_share=STRAY_SHARE,
    # without fascicles
    published={'annotations': (APONEUROSIS,)},
    notes=(
        'Aponeuroses of RyanCunningham are turned by 90 degrees where they do not fit otherwise; for a square '
        'image, where this cannot be seen, they are turned.',
        'People are not named; a split by subject is one by laboratory.',
    ),
)

if __name__ == '__main__':
    run_description(__file__)
