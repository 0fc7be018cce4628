from collections.abc import Iterator

from ultrasam.cli.convert import run_description
from ultrasam.corpus import Category, DatasetSpec, Files, Instances, Item, Nonzero, RawFrame

# frames an item: enough to be worth a process, few enough that little is lost by a kill
FRAMES_AN_ITEM = 256


def opened(file):
    """Open the HDF5 file, which has 36 GB, and find its columns; links to other files are not followed."""
    import h5py

    from ultrasam.corpus.errors import RawFileError

    try:
        hdf5 = h5py.File(file.path, 'r')
    except OSError as error:
        raise RawFileError(f'{file.name}: damaged, cut short, or not an HDF5 file ({error})') from error
    columns = []
    for key in ('image', 'mask', 'annot_id'):
        if not isinstance(hdf5.get(key, getlink=True), h5py.HardLink) or not hasattr(hdf5[key], 'shape'):
            raise RawFileError(f'{file.name}: no column {key!r} (there are: {", ".join(sorted(hdf5))})')
        columns.append(hdf5[key])
    lengths = [len(column) for column in columns]
    if len(set(lengths)) > 1:
        raise RawFileError(f'{file.name}: {lengths} images, masks and names of clips, which are not as many')
    return hdf5, columns


def spans(file) -> list[tuple[int, int]]:
    """Share the frames out to items."""
    hdf5, (images, *_) = opened(file)
    with hdf5:
        starts = range(0, len(images), FRAMES_AN_ITEM)
        return [(start, min(start + FRAMES_AN_ITEM, len(images))) for start in starts]


def read_frames(item: Item) -> Iterator[RawFrame]:
    """Read the frames of a span; the file puts an underscore behind the name of each clip."""
    import numpy as np

    from ultrasam.corpus.errors import RawFileError
    from ultrasam.corpus.labels import read_labels
    from ultrasam.corpus.readers.base import as_bytes

    name = item.frames.name
    hdf5, (images, masks, clips) = opened(item.frames)
    with hdf5:
        for number in range(*(item.span or (0, len(images)))):
            try:
                image, mask, clip = np.asarray(images[number]), np.asarray(masks[number]), clips[number]
            except (OSError, ValueError) as error:
                raise RawFileError(f'{name}: frame {number} cannot be read ({error})') from error
            found, stray = read_labels(Nonzero('thyroid'), mask, {}, name=name, stray_share=0)
            text = clip.decode('utf-8', 'replace') if isinstance(clip, bytes) else str(clip)
            yield RawFrame(
                as_bytes(image, None, name), tuple(found), number, {'clip': text.rstrip('_')}, stray
            )


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
    frames=Files('dataset.hdf5'),
    read=read_frames,
    spans=spans,
    subject='{clip}',
    instances=Instances(fill_holes=True),
    leave_out={'metadata.csv': 'age, sex, findings'},
    notes=('Frames of a clip are alike: split by subject.',),
)

if __name__ == '__main__':
    run_description(__file__)
