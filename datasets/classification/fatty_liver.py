from collections.abc import Iterator
from functools import lru_cache

from ultrasam.cli.convert import run_description
from ultrasam.corpus import (
    ClassificationSpec,
    ClassLists,
    Derived,
    Download,
    Expected,
    Files,
    Item,
    RawFrame,
    Split,
)

# fields of a record by their places: their names are not documented
GROUPS, STACK = ('patient', 'steatosis', 'percent'), 3


@lru_cache(maxsize=1)
def records_of(path, name):
    """Load the records, of a patient each, from the MATLAB file; its items follow each other, so it is kept."""
    import numpy as np
    from scipy.io import loadmat

    from ultrasam.corpus.errors import RawFileError

    try:
        content = loadmat(path)
    except MemoryError:
        raise
    # a damaged file raises errors of many kinds
    except Exception as error:
        raise RawFileError(f'{name}: damaged, or not a MATLAB file of version 5 to 7 ({error})') from error
    records = np.asarray(content.get('data', 0)).reshape(-1)
    names = records.dtype.names or ()
    if len(names) <= STACK:
        raise RawFileError(f'{name}: no records in `data` of at least {STACK + 1} fields (fields: {names})')
    return records


def spans(file) -> list[tuple[int, int]]:
    """Make each record an item of its own."""
    return [(number, number + 1) for number in range(len(records_of(file.path, file.name)))]


def read_record(item: Item) -> Iterator[RawFrame]:
    """Read the frames of a record, and what it says of the patient."""
    import numpy as np

    from ultrasam.corpus.errors import RawFileError
    from ultrasam.corpus.readers.base import as_bytes

    record = records_of(item.frames.path, item.frames.name)[item.span[0]]
    values = [np.asarray(record[place]) for place in range(STACK + 1)]
    groups = {
        name: '' if value.size != 1 else f'{float(value.reshape(-1)[0]):g}'
        for name, value in zip(GROUPS, values, strict=False)
    }
    stack = values[STACK]
    if stack.ndim != 3 or stack.dtype.kind not in 'uif':
        raise RawFileError(f'{item.key}: {stack.shape} of {stack.dtype} where frames (N, H, W) are described')
    for number, frame in enumerate(stack):
        yield RawFrame(as_bytes(np.ascontiguousarray(frame), None, item.key), (), number, groups)


SPEC = ClassificationSpec(
    name='FattyLiver',
    title='Dataset of B-mode fatty liver ultrasound images',
    homepage='https://zenodo.org/records/1009146',
    licence='',
    citation='Byra M. et al., IJCARS 2018, 10.1007/s11548-018-1843-2',
    access='open',
    downloads=(
        Download(file='dataset_liver_bmodes_steatosis_assessment_IJCARS.mat', doi='10.5281/zenodo.1009146'),
    ),
    organs=('liver', 'kidney'),
    application='steatosis of at least 5 % of the liver cells by biopsy',
    frames=Files('dataset_liver_bmodes_steatosis_assessment_IJCARS.mat'),
    read=read_record,
    spans=spans,
    derived=(Derived('pathology', of='{steatosis}', rules={'0': 'Normal', '1': 'NFLD'}),),
    subject='{patient}',
    series='patient_{patient}',
    label='{pathology}',
    classes=('Normal', 'NFLD'),
    lists=(
        ClassLists(
            Split(
                '{patient}',
                test=('3', '5', '12', '27', '31', '33', '34', '41', '44', '46', '47'),
                val=('7', '14', '35', '38', '49'),
            ),
            origin='by patient, as UltraBench 1.0.1 has it',
        ),
    ),
    noted={'steatosis_percent': '{percent}'},
    expected=Expected(images=550, subjects=55),
    notes=(
        'Ten frames a patient, nearly the same: a split by image leaks, and some published accuracies are of that '
        'kind or may be.',
        'Of the 11 patients that test three are normal: one that is wrong moves macro F1 by some ten points. Report '
        'figures over patients, too; always answering NFLD gives a macro F1 of 42.1 %.',
        'NFLD means NAFLD; the name is that of the public benchmark.',
    ),
)

if __name__ == '__main__':
    run_description(__file__)
