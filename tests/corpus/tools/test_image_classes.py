"""Lists for classifiers of small data sets: parts, faults of labels, several classes an image, and their check."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.corpus.tools.tiny import coco, read, write_dataset, write_json
from ultrasam.corpus.manifest import verify_dataset
from ultrasam.corpus.splits import DatasetSplit, SplitOptions, split_corpus
from ultrasam.corpus.verify import verify_corpus
from ultrasam.errors import AnnotationError, OutputError
from ultrasam.hashing import file_sha256

NAMES = ('cyst', 'tumour')
LISTS = ('train.txt', 'val_classification.txt', 'test_classification.txt')
MANY = {f'p{number}': [1] * (1 + number % 3) for number in range(40)}
Label = Callable[[int], object]


def alternate(number: int) -> object:
    return NAMES[number % 2]


def labelled(
    root: Path, label: Label = alternate, *, names: tuple[str, ...] | None = NAMES, name: str = 'D'
) -> Path:
    """A data set of 40 subjects and a test part of two, whose images have labels."""
    content, test = coco(MANY), coco({'t': [1], 'u': [1]}, first_image=900)
    for image in (*content['images'], *test['images']):
        image['label'] = label(image['id'])
    folder = write_dataset(root, name, content, test)
    if names is not None:
        (folder / 'annotations/classes.txt').write_text(''.join(f'{one}\n' for one in names))
    return folder


def split(root: Path, **options) -> DatasetSplit:
    (done,) = split_corpus(root, SplitOptions(**options))[1]
    return done


def lists(folder: Path) -> dict[str, dict[str, str]]:
    """Label of each image in each list that is there."""
    found = {}
    for name in LISTS:
        path = folder / 'annotations' / name
        if path.is_file():
            lines = path.read_text().splitlines()
            assert all(line.startswith('images/') for line in lines)
            found[name] = dict(line.removeprefix('images/').split() for line in lines)
    return found


def part(folder: Path, which: str) -> dict[str, dict]:
    content = read(folder / 'annotations' / f'{which}.{folder.name}__coco.json')
    return {image['file_name']: image for image in content['images']}


def test_lists_are_those_of_the_parts(tmp_path: Path) -> None:
    folder = labelled(tmp_path)
    done = split(tmp_path, train_percent=0.8)
    found = lists(folder)
    for which, name in zip(('train', 'val', 'test'), LISTS, strict=True):
        images = part(folder, which)
        assert list(found[name]) == list(images), 'in the order of the COCO file'
        assert all(NAMES[int(label)] == images[file]['label'] for file, label in found[name].items())
        assert done.classes[which].total() == len(images)
    assert not verify_corpus(tmp_path).faults
    assert verify_corpus(tmp_path).counts['files'] == 4 + 3


def test_same_lists_stay_and_others_need_leave(tmp_path: Path) -> None:
    folder = labelled(tmp_path)
    split(tmp_path)
    before = {path: path.read_bytes() for path in folder.glob('annotations/*')}
    split(tmp_path)
    assert {path: path.read_bytes() for path in folder.glob('annotations/*')} == before
    (folder / 'annotations/train.txt').write_text('mine\n')
    with pytest.raises(OutputError, match=r'train\.txt is of another split, or was changed'):
        split(tmp_path)
    assert (folder / 'annotations/train.txt').read_text() == 'mine\n'
    split(tmp_path, overwrite=True)
    assert {path: path.read_bytes() for path in folder.glob('annotations/*')} == before


@pytest.mark.parametrize('seed', range(6))
def test_a_rare_class_is_in_both_parts(seed: int, tmp_path: Path) -> None:
    labelled(tmp_path, lambda number: NAMES[number in (10, 30)])
    done = split(tmp_path, seed=seed)
    assert done.classes['train']['tumour'] == done.classes['val']['tumour'] == 1
    assert done.one_sided == []


def test_a_class_of_one_subject_is_named(tmp_path: Path) -> None:
    labelled(tmp_path, lambda number: NAMES[number == 10])
    assert split(tmp_path).one_sided == ['tumour']


def test_images_that_are_in_no_part_are_in_no_list(tmp_path: Path) -> None:
    folder = labelled(tmp_path)
    main, test = (f'{which}D__coco.json' for which in ('', 'test.'))
    content = read(folder / 'annotations' / test)
    content['images'][0]['subject'] = 'p5'
    write_json(folder / 'annotations' / test, content)
    write_json(tmp_path / 'excluded_images.json', {'excluded': {'D': {'00000.png': 'a copy'}}})
    done = split(tmp_path, drop_tested=True)
    of_p5 = {i['file_name'] for i in read(folder / 'annotations' / main)['images'] if i['subject'] == 'p5'}
    named = [name for one in lists(folder).values() for name in one]
    assert not {'00000.png', *of_p5} & set(named)
    assert len(named) == done.images.total() == len(part(folder, 'train')) + len(part(folder, 'val')) + 2
    assert not verify_corpus(tmp_path).faults


def test_images_of_unknown_class_are_in_no_list(tmp_path: Path) -> None:
    folder = labelled(tmp_path, lambda number: alternate(number) if number % 5 else None)
    split(tmp_path)
    named = {name for one in lists(folder).values() for name in one}
    assert len(named) == 81 - 17
    assert not any(int(name[:5]) % 5 == 0 for name in named)
    assert not verify_corpus(tmp_path).faults


def test_several_classes_an_image(tmp_path: Path) -> None:
    from mmengine.registry import DefaultScope

    from ultrasam.openmmlab.datasets.class_lists import ClassListDataset

    choices = (['tumour', 'cyst'], ['cyst'], [])
    folder = labelled(tmp_path, lambda number: choices[number % 3])
    done = split(tmp_path)
    found = lists(folder)
    assert {label for one in found.values() for label in one.values()} == {'0,1', '0', '-'}
    assert done.classes['train']['cyst'] > done.classes['train']['tumour'] > 0
    assert not verify_corpus(tmp_path).faults
    with DefaultScope.overwrite_default_scope('mmpretrain'):
        data = ClassListDataset(
            data_root=str(tmp_path), data_prefix='D', ann_file='D/annotations/train.txt',
            metainfo=dict(classes=NAMES), multi_label=True, pipeline=[],
        )  # fmt: skip
    images = part(folder, 'train')
    for index in range(len(data)):
        sample = data.get_data_info(index)
        wanted = images[Path(sample['img_path']).name]['label']
        assert [NAMES[label] for label in sample['gt_label']] == sorted(wanted)


BAD_LABELS: dict[str, tuple[Label, str]] = {
    'two labels': (
        lambda n: ['cyst', 'tumour'] if n == 3 else alternate(n),
        r"D__coco\.json: 1 images .* 00003\.png has 2 labels, \['cyst', 'tumour'\], where others have one",
    ),
    'unknown': (
        lambda n: 'polyp' if n in (3, 4) else alternate(n),
        r"2 images .* 00003\.png is of the class 'polyp', which there is not; .* The classes are cyst, tumour",
    ),
    'in the test part': (
        lambda n: 'x' if n == 901 else alternate(n),
        r'test\.D__coco.* 00901\.png is of the',
    ),
    'number': (lambda n: 1, r'00000\.png is of the class 1'),
    'unknown of several': (lambda n: ['cyst', 'x'], r"00000\.png is of the class 'x'"),
    'nested': (lambda n: [['cyst']], r"00000\.png is of the class \['cyst'\]"),
    'table': (lambda n: {'a': 1}, r"00000\.png is of the class \{'a': 1\}"),
}


@pytest.mark.parametrize('name', BAD_LABELS)
def test_bad_labels_are_named_before_anything_is_written(name: str, tmp_path: Path) -> None:
    label, message = BAD_LABELS[name]
    folder = labelled(tmp_path, label)
    with pytest.raises(AnnotationError, match=message):
        split(tmp_path)
    assert len(list((folder / 'annotations').iterdir())) == 3
    assert verify_corpus(tmp_path).faults == {'labels that are no classes': 1}


@pytest.mark.parametrize(
    ('content', 'message'),
    [
        (b'', 'is empty, or has an empty line'),
        (b'cyst\n\ntumour\n', 'is empty, or has an empty line'),
        (b'cyst\ntumour\ncyst\n', "names 'cyst' twice"),
        (b'\xff\xfe', 'cannot be read'),
    ],
)
def test_bad_names_of_classes(content: bytes, message: str, tmp_path: Path) -> None:
    folder = labelled(tmp_path)
    (folder / 'annotations/classes.txt').write_bytes(content)
    with pytest.raises(AnnotationError, match=f'classes.txt {message}'):
        split(tmp_path)
    assert verify_corpus(tmp_path).faults['labels that are no classes'] == 1


def test_without_names_there_are_no_lists_and_it_is_said(tmp_path: Path) -> None:
    folder = labelled(tmp_path, names=None)
    done = split(tmp_path)
    assert done.no_classes.startswith('no lists of classes: there is no annotations/classes.txt')
    assert (done.classes, lists(folder)) == ({}, {})


def test_lists_of_an_earlier_converter_are_not_replaced(tmp_path: Path) -> None:
    folder = labelled(tmp_path)
    (folder / 'annotations/train.txt').write_text('images/00000.png 0\n')
    write_json(folder / 'manifest.json', {'files': {'annotations/train.txt': 'sha'}})
    done = split(tmp_path, overwrite=True)
    assert 'earlier converter; convert the data set again' in done.no_classes
    assert lists(folder) == {'train.txt': {'00000.png': '0'}}
    assert verify_corpus(tmp_path).faults['lists of classes without labels'] == 1


def test_one_class_only(tmp_path: Path) -> None:
    folder = labelled(tmp_path, lambda number: 'cyst')
    done = split(tmp_path)
    assert done.no_classes == 'no lists of classes: all images to train on are of one, cyst'
    assert lists(folder) == {}
    assert not verify_corpus(tmp_path).faults
    (folder / 'annotations/val_classification.txt').write_text('images/00000.png 0\n')
    with pytest.raises(OutputError, match='--overwrite'):
        split(tmp_path)
    split(tmp_path, overwrite=True)
    assert lists(folder) == {}


def test_same_image_of_two_classes_is_named(tmp_path: Path) -> None:
    folder = labelled(tmp_path)
    digests = {'00003.png': 'same', '00010.png': 'same', '00004.png': 'other', '00900.png': 'other'}
    write_json(folder / 'manifest.json', {'files': {f'images/{k}': sha for k, sha in digests.items()}})
    assert split(tmp_path).two_classes == ['00003.png = 00010.png']


def test_the_manifest_stays_true(tmp_path: Path) -> None:
    folder = labelled(tmp_path)
    files = {
        path.relative_to(folder).as_posix(): file_sha256(path)
        for path in folder.rglob('*.*')
        if path.is_file()
    }
    counts = {'images': {'main': 79, 'test': 2}, 'annotations': {'main': 79, 'test': 2}}
    write_json(folder / 'manifest.json', {'files': files, 'counts': counts})
    verify_dataset(folder)
    split(tmp_path)
    assert len(lists(folder)) == 3
    verify_dataset(folder)


def edit(text: str, to: str, name: str = 'train.txt') -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        path = folder / 'annotations' / name
        lines = path.read_text()
        assert text in lines or not text
        path.write_text(lines.replace(text, to, 1) if text else to)

    return change


def moved(folder: Path) -> None:
    """An image of val in the list of train, too."""
    path = folder / 'annotations/train.txt'
    line = (folder / 'annotations/val_classification.txt').read_text().splitlines()[0]
    path.write_text(f'{path.read_text()}{line}\n')


def first_line(change: Callable[[str], str]) -> Callable[[Path], None]:
    def edit_line(folder: Path) -> None:
        path = folder / 'annotations/train.txt'
        first, _, rest = path.read_text().partition('\n')
        path.write_text(f'{change(first)}\n{rest}')

    return edit_line


FAULTS: dict[str, tuple[Callable[[Path], object], str]] = {
    'image of val': (moved, 'lists of classes with images of another part'),
    'subject of val': (moved, 'subjects in two parts'),
    'foreign image': (first_line(lambda line: 'images/x.png 0'), 'images that are missing'),
    'image of no part': (first_line(lambda line: 'images/x.png 0'), 'lists of classes with images of another part'),
    'unknown class': (first_line(lambda line: line[:-1] + '2'), 'lists of classes with classes that there are not'),
    'endless number': (
        first_line(lambda line: line + '0' * 5000),
        'lists of classes with classes that there are not',
    ),
    'word': (first_line(lambda line: line[:-1] + 'cyst'), 'lists of classes with classes that there are not'),
    'other class': (
        first_line(lambda line: line[:-1] + str(1 - int(line[-1]))),
        'lists of classes with other classes than the COCO files',
    ),
    'no label': (first_line(lambda line: line.split()[0]), 'damaged files'),
    'blank line': (first_line(lambda line: '\n' + line), 'damaged files'),
    'no text': (lambda folder: (folder / 'annotations/train.txt').write_bytes(b'\xff'), 'damaged files'),
    'twice': (first_line(lambda line: f'{line}\n{line}'), 'lists of classes with an image twice'),
    'one less': (first_line(lambda line: line.replace('.png', '.jpg')), 'lists of classes that lack images'),
    'one class': (edit('', 'images/00000.png 0\nimages/00002.png 0\n'), 'lists of one class only'),
    'gone': (lambda folder: (folder / 'annotations' / LISTS[1]).unlink(), 'lists of classes that are missing'),
    'no names': (
        lambda folder: (folder / 'annotations/classes.txt').unlink(),
        'lists of classes without their names',
    ),
    'of another split': (
        lambda folder: (folder / 'annotations/train.D__coco.json').unlink(),
        'lists of classes with images of another part',
    ),
}  # fmt: skip


@pytest.mark.parametrize('name', FAULTS)
def test_planted_fault_is_found(name: str, tmp_path: Path) -> None:
    folder = labelled(tmp_path)
    split(tmp_path)
    plant, kind = FAULTS[name]
    plant(folder)
    report = verify_corpus(tmp_path)
    assert report.faults[kind] >= 1, report.examples
