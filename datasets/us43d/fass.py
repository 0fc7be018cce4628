from collections.abc import Iterator

from ultrasam.cli.convert import run_description
from ultrasam.corpus import (
    Category,
    DatasetSpec,
    Download,
    Expected,
    Files,
    ImageFiles,
    Item,
    RawFrame,
    Values,
)

STRUCTURES = ('artery', 'liver', 'stomach', 'vein')


def read_structures(item: Item) -> Iterator[RawFrame]:
    """One mask a structure, from the pickled dict beside the image; nothing in it is run."""
    import numpy as np

    from ultrasam.corpus.errors import RawFileError
    from ultrasam.corpus.labels import read_labels
    from ultrasam.corpus.readers.image import read_image
    from ultrasam.corpus.readers.pickled import read_object_array

    file = item.annotations[0][0]
    content = read_object_array(file)
    masks = content.get('structures') if isinstance(content, dict) else None
    if not isinstance(masks, dict) or not set(masks) <= set(STRUCTURES):
        raise RawFileError(f'{file.name}: no dict of masks of {STRUCTURES}. Is this the release described?')
    structures = []
    for name in sorted(masks):
        values = np.asarray(masks[name])
        if values.size == 0:
            continue
        if values.ndim != 2 or values.dtype.kind not in 'biuf':
            raise RawFileError(f'{file.name}: {name} of shape {values.shape} where one mask is described')
        found, _ = read_labels(Values({1: name}), values, {}, name=file.name, stray_share=0)
        structures += found
    yield RawFrame(read_image(item.frames), tuple(structures))


SPEC = DatasetSpec(
    name='FASS',
    title='Fetal Abdominal Structures Segmentation Dataset Using Ultrasonic Images',
    homepage='https://data.mendeley.com/datasets/4gcpm9dsc3/1',
    licence='',
    citation='Da Correggio et al., Mendeley Data v1, 2023, 10.17632/4gcpm9dsc3.1',
    access='open',
    downloads=(
        Download(
            file='Fetal Abdominal Structures Segmentation Dataset Using Ultrasonic Images.zip',
            urls=(
                'https://data.mendeley.com/public-files/datasets/4gcpm9dsc3/files/89e74076-ff57-4e81-9634-4fc29c6128ff/file_downloaded',
            ),
            doi='10.17632/4gcpm9dsc3.1',
            sha256='bde4ab58689bdbc59fa8c0222d41a9fbe1edf16dab40ac95346b6c2f2a7d22ee',
        ),
    ),
    organs=('fetus',),
    application='structures of the fetal abdomen',
    categories=tuple(Category(name, name) for name in STRUCTURES),
    archives=('FASS.zip', 'Fetal Abdominal Structures Segmentation Dataset Using Ultrasonic Images*.zip'),
    frames=ImageFiles('IMAGES/{patient:[^/_]+}_{image}.png'),
    annotations=(Files('ARRAY_FORMAT/{patient:[^/_]+}_{image}.npy'),),
    read=read_structures,
    subject='{patient}',
    expected=Expected(images=1588),
    notes=('Structures of an image may overlap.',),
)

if __name__ == '__main__':
    run_description(__file__)
