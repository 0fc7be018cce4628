from collections.abc import Iterator

from ultrasam.cli.convert import run_description
from ultrasam.corpus import (
    Category,
    DatasetSpec,
    Item,
    LabelVolumes,
    Nonzero,
    RawFrame,
    Structure,
    VolumeFiles,
)

MOST_CHAMBERS = 8


def read_chambers(item: Item) -> Iterator[RawFrame]:
    """Frames with a structure for each label value: chambers that touch stay apart, whichever value means which."""
    import numpy as np

    from ultrasam.corpus.errors import RawFileError
    from ultrasam.corpus.readers.base import as_bytes
    from ultrasam.corpus.readers.volume import read_volume

    label = item.annotations[0][0]
    images, labels = read_volume(item.frames), read_volume(label)
    values = np.unique(labels[labels != 0])
    if images.shape != labels.shape or images.ndim != 3:
        raise RawFileError(f'{label.name}: shape {labels.shape}, its image {images.shape}')
    if len(values) > MOST_CHAMBERS:
        raise RawFileError(
            f'{label.name}: {len(values)} values are more than a heart has chambers; no label map'
        )
    for number, (image, plane) in enumerate(zip(images, labels, strict=True)):
        structures = tuple(Structure('chamber', plane == value) for value in values if (plane == value).any())
        yield RawFrame(as_bytes(image, None, item.frames.name), structures, number)


SPEC = DatasetSpec(
    name='EchoCP2',
    title='EchoCP: contrast transthoracic echocardiography for the diagnosis of patent foramen ovale',
    homepage='https://www.kaggle.com/datasets/xiaoweixumedicalai/echocp',
    licence='',
    citation='Wang T. et al., MICCAI 2021, 10.1007/978-3-030-87237-3_12',
    access='login',
    categories=(Category('chamber', 'chamber'),),
    frames=VolumeFiles(r'{patient:\d{3}}_{action:r|v}_image.nii.gz'),
    annotations=(LabelVolumes(r'{patient:\d{3}}_{action:r|v}_label.nii.gz', Nonzero('chamber')),),
    read=read_chambers,
    # at rest and with the Valsalva manoeuvre
    subject='{patient}',
    empty='skip',
    turn='half',
    leave_out={
        'echoCP_diagnosis_label.xlsx': 'diagnoses',
        r'*.z{_part:\d\d}': 'parts of the archive',
        '*.change2zip': 'parts of the archive',
    },
    notes=(
        'The download is a zip archive in several parts, the last one named EchoCP_dataset.change2zip: rename it to '
        '.zip, join the parts (zip -s 0) and unpack them before the conversion.',
        'Which label value is which chamber is not documented; each value becomes instances of its own, all of the '
        'category chamber.',
        'That half a turn puts the frames upright was not checked against the release.',
    ),
)

if __name__ == '__main__':
    run_description(__file__)
