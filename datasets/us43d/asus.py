from collections.abc import Iterator

from ultrasam.cli.convert import run_description
from ultrasam.corpus import Category, DatasetSpec, Download, Files, Item, RawFrame, Values


def read_scan(item: Item) -> Iterator[RawFrame]:
    """Read the gray frames, from 0 to 1, and the labels of a scan."""
    import numpy as np

    from ultrasam.corpus.errors import RawFileError
    from ultrasam.corpus.labels import read_labels
    from ultrasam.corpus.readers.base import as_bytes, check_frames

    stacks = []
    for file in item.files:
        try:
            values = np.load(file.path, mmap_mode='r', allow_pickle=False)
        except (OSError, ValueError, EOFError) as error:
            raise RawFileError(f'{file.name}: damaged, or not an array of numbers ({error})') from error
        values = values[..., 0] if values.ndim == 4 and values.shape[3] == 1 else values
        if values.ndim != 3:
            raise RawFileError(f'{file.name}: shape {values.shape} where (N, H, W) is described')
        stacks.append(values)
    if len(stacks) != 2:
        raise RawFileError(f'{item.key}: {len(stacks) - 1} label files where one is described')
    check_frames(len(stacks[1]), len(stacks[0]), item.files[1].name)
    for number, (image, labels) in enumerate(zip(*stacks, strict=True)):
        name = item.files[1].name
        found, stray = read_labels(Values({1: 'spine'}), labels, {}, name=name, stray_share=0.005)
        gray = as_bytes(np.trunc(image * 255), None, item.frames.name)
        yield RawFrame(gray, tuple(found), number, stray=stray)


SPEC = DatasetSpec(
    name='ASUS',
    title='Automatic spine ultrasound segmentation for scoliosis visualization and measurement',
    homepage='https://onedrive.live.com/?authkey=%21AMIrL6S1cSjlo1I&id=7230D4DEC6058018%2191725&cid=7230D4DEC6058018',
    licence='',
    citation='Ungi T. et al., IEEE TBME 2020, 10.1109/TBME.2020.2980540',
    access='open share link',
    downloads=(
        Download(
            file='ASUS.zip',
            by_hand='Open the share at OneDrive, which the homepage is, and download the folder as a zip archive.',
        ),
    ),
    organs=('spine',),
    application='bone surface of the spine, for scoliosis',
    categories=(Category('spine', 'spine'),),
    archives=('ASUS.tar.gz', 'ASUS.zip', 'DataArrays.zip'),
    # other arrays of a scan, such as its transforms, begin alike
    frames=Files(r'{scan:[^/_]+}_{_kind:(?![^/]*segmentation)[^/]*ultrasound[^/]*}.npy'),
    annotations=(Files(r'{scan:[^/_]+}_{_kind:[^/]*segmentation[^/]*}.npy'),),
    read=read_scan,
    subject='{scan}',
    empty='skip',
    turn='half',
    leave_out={'*_*transform*.npy': 'positions of the probe'},
    notes=(
        'Frames are turned by 180 degrees as in the published corpus; that this puts the probe on top is not '
        'certain.',
        'The paper trains on 8 volunteers and tests on 8 patients; which scan is whose is not known, so there is '
        'no official test part here. Frames of a scan are alike: split by subject.',
    ),
)

if __name__ == '__main__':
    run_description(__file__)
