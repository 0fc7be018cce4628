"""Each fault that is planted in a corpus is found, named and counted; a good one passes."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from pycocotools import mask as coco_mask

from tests.corpus.tools.tiny import HW, coco, read, square, write_dataset, write_json
from ultrasam.corpus.agnostic import write_agnostic
from ultrasam.corpus.build import build_corpus
from ultrasam.corpus.splits import SplitOptions, split_corpus
from ultrasam.corpus.verify import verify_corpus
from ultrasam.errors import InputError
from ultrasam.hashing import file_sha256

SOME = {f'p{number}': [1 + number % 2] for number in range(20)}
TRAIN = 'A/annotations/train.A__coco.json'
MERGED = 'train.agnostic.noSmall.coco.json'


def build(root: Path) -> Path:
    write_dataset(root, 'B', coco(SOME), coco({'t': [1, 2]}, first_image=90))
    write_dataset(root, 'A', coco(SOME))
    build_corpus(root)
    return root


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return build(tmp_path / 'data')


def edit(path: Path, change: Callable[[dict], Any]) -> None:
    """Change a file, in the form in which it was written."""
    content = read(path)
    change(content)
    if path.parent.name == 'annotations':
        write_json(path, content)
        return
    from ultrasam.coco.files import publish_coco

    head = {key: value for key, value in content.items() if key not in ('images', 'annotations')}
    with publish_coco(path, head, overwrite=True) as writer:
        for record in content['images']:
            writer.add_image(record)
        for record in content['annotations']:
            writer.add_annotation(record)


@pytest.mark.parametrize('pixels', [False, True])
def test_a_good_corpus_passes(pixels: bool, root: Path) -> None:
    report = verify_corpus(root, pixels=pixels)
    assert not report.faults, report.examples
    assert report.counts['files'] == 2 * 5 + 2 + 3
    assert report.counts['masks'] == report.counts['images'] == 2 * 60 + 2 * 2 + 42
    assert report.notes == []


def annotation_of(change: Callable[[dict], Any]) -> Callable[[Path], None]:
    return lambda root: edit(root / TRAIN, lambda content: change(content['annotations'][0]))


def image_of(change: Callable[[dict], Any]) -> Callable[[Path], None]:
    return lambda root: edit(root / TRAIN, lambda content: change(content['images'][0]))


def merged_with(change: Callable[[dict], Any]) -> Callable[[Path], None]:
    return lambda root: edit(root / MERGED, change)


def counts(text: str) -> Callable[[dict], Any]:
    return lambda one: one['segmentation'].update(counts=text)


def other_picture(root: Path) -> None:
    Image.fromarray(np.zeros((5, 6), np.uint8)).save(root / 'A/images/00003.png')


def half_a_picture(root: Path) -> None:
    path = root / 'A/images/00003.png'
    path.write_bytes(path.read_bytes()[:20])


def outward_link(root: Path) -> None:
    (root / 'A/images/00003.png').unlink()
    (root.parent / 'secret.png').write_bytes(b'')
    os.symlink(root.parent / 'secret.png', root / 'A/images/00003.png')


def leaking_subject(root: Path) -> None:
    val = read(root / 'A/annotations/val.A__coco.json')['images'][0]['subject']
    edit(root / TRAIN, lambda content: content['images'][0].update(subject=val))


def leaking_image(root: Path) -> None:
    train = read(root / TRAIN)['images'][0]['file_name']
    test = root / 'B/images/00090.png'
    test.write_bytes((root / 'A/images' / train).read_bytes())


def pipe(root: Path) -> None:
    (root / 'A/images/00003.png').unlink()
    os.mkfifo(root / 'A/images/00003.png')


def other_split(root: Path) -> None:
    """Split anew, with views, and leave the merged files as they were."""
    split_corpus(root, SplitOptions(seed=5, overwrite=True))
    for part in ('train', 'val'):
        write_agnostic(root, part, overwrite=True)


# the square of tests/corpus/tools/tiny.py in other words
POLYGON = {'segmentation': [[3, 2, 12, 2, 12, 11, 3, 11]]}
RUNS = {'segmentation': {'size': list(HW), 'counts': [74, *[9, 15] * 8, 9, 24 * 32 - 74 - 24 * 8 - 9]}}


FAULTS: dict[str, tuple[Callable[[Path], Any], str]] = {
    'missing image': (lambda root: (root / 'A/images/00003.png').unlink(), 'images that are missing'),
    'other size': (other_picture, 'images of another size'),
    'half a header': (half_a_picture, 'images that cannot be read'),
    'link': (outward_link, 'links that leave their data set'),
    'linked folder': (
        lambda root: os.symlink(root / 'B/images', root / 'A/images/more'),
        'links that leave their data set',
    ),
    'cut file': (lambda root: (root / TRAIN).write_text('{"images": ['), 'damaged files'),
    'duplicate image id': (
        lambda root: edit(root / TRAIN, lambda c: c['images'][1].update(id=c['images'][0]['id'])),
        'damaged files',
    ),
    'name outside': (
        image_of(lambda one: one.update(file_name='../B/images/00000.png')),
        'names that leave the root',
    ),
    'pipe': (pipe, 'images that cannot be read'),
    'more images': (
        lambda root: (root / 'A/images/more.png').write_bytes((root / 'A/images/00003.png').read_bytes()),
        'images in no annotation file',
    ),
    'duplicate annotation id': (
        lambda root: edit(root / TRAIN, lambda c: c['annotations'][1].update(id=c['annotations'][0]['id'])),
        'records that other readers refuse',
    ),
    'huge id': (annotation_of(lambda one: one.update(id=1 << 127)), 'records that other readers refuse'),
    'cut counts': (
        annotation_of(lambda one: counts(one['segmentation']['counts'][:-2])(one)),
        'masks whose run lengths do not fill their image',
    ),
    'foreign letters': (annotation_of(counts('~~~~')), 'masks whose run lengths do not fill their image'),
    'no text': (annotation_of(counts('')), 'masks whose run lengths do not fill their image'),
    'counts of nothing': (annotation_of(counts(None)), 'masks that are no run lengths'),  # type: ignore[arg-type]
    'absurd size': (
        annotation_of(lambda one: one['segmentation'].update(size=[10**6, 10**6])),
        'masks of another size than their image',
    ),
    'turned size': (
        annotation_of(lambda one: one['segmentation'].update(size=list(HW[::-1]))),
        'masks of another size than their image',
    ),
    'empty mask': (
        annotation_of(lambda one: one.update(square(0), area=0)),
        'masks without a pixel',
    ),
    'no mask': (annotation_of(lambda one: one.pop('segmentation')), 'annotations without a mask'),
    'area': (annotation_of(lambda one: one.update(area=80)), 'areas that are not those of the mask'),
    'box': (annotation_of(lambda one: one['bbox'].reverse()), 'boxes that are not those of the mask'),
    'no box': (annotation_of(lambda one: one.pop('bbox')), 'records that other readers refuse'),
    'no area': (annotation_of(lambda one: one.pop('area')), 'records that other readers refuse'),
    'pairs': (
        annotation_of(lambda one: one.update(segmentation=[[0, 0], [5, 5], [0, 5]])),
        'polygons that are not flat lists of coordinates',
    ),
    'polygon outside': (
        annotation_of(lambda one: one.update(segmentation=[[0, 0, 5, 5, 900, 5]])),
        'masks that leave their image',
    ),
    'area of another polygon': (
        annotation_of(lambda one: one.update(POLYGON, area=300)),
        'areas that are not those of the mask',
    ),
    'box of another polygon': (
        annotation_of(lambda one: one.update(POLYGON, bbox=[9, 9, 9, 9])),
        'boxes that are not those of the mask',
    ),
    'area of other runs': (
        annotation_of(lambda one: one.update(RUNS, area=300)),
        'areas that are not those of the mask',
    ),
    'box of other runs': (
        annotation_of(lambda one: one.update(RUNS, bbox=[9, 9, 9, 9])),
        'boxes that are not those of the mask',
    ),
    'polygon of two points': (
        annotation_of(lambda one: one.update(segmentation=[[0, 0, 5, 5]])),
        'polygons of fewer than three points',
    ),
    'endless polygon': (
        annotation_of(lambda one: one.update(segmentation=[[0, 0, 5, 5, '9', 5]])),
        'polygons with coordinates that are no pixels',
    ),
    'polygon beyond all numbers': (
        annotation_of(lambda one: one.update(segmentation=[[0, 0, 5, 5, 10**400, 5]])),
        'polygons with coordinates that are no pixels',
    ),
    'categories': (
        lambda root: edit(root / TRAIN, lambda c: c['categories'][0].update(name='other')),
        'categories that differ',
    ),
    'stale view': (
        lambda root: edit(root / TRAIN, lambda c: c['annotations'].pop()),
        'views of other files',
    ),
    'foreign image': (
        lambda root: edit(root / 'A/annotations/A__coco.json', lambda c: _drop_image(c, 'train', root)),
        'images of no data set',
    ),
    'subject': (leaking_subject, 'subjects in two parts'),
    'image': (leaking_image, 'images in two parts'),
    'merged: image id': (merged_with(lambda c: c['images'][1].update(id=0)), 'ids that are not unique'),
    'merged: id': (merged_with(lambda c: c['annotations'][3].update(id=1)), 'ids that are not unique'),
    'merged: huge id': (
        merged_with(lambda c: c['annotations'][3].update(id='7')),
        'ids that are not unique',
    ),
    'merged: outside': (
        merged_with(lambda c: c['images'][0].update(file_name='../x.png')),
        'names that leave the root',
    ),
    'merged: nowhere': (
        merged_with(lambda c: c['images'][0].update(file_name='C/images/x.png')),
        'images of no data set',
    ),
    'merged: size': (merged_with(lambda c: c['images'][0].update(width=33)), 'images of another size'),
    'merged: text size': (merged_with(lambda c: c['images'][0].update(width='x')), 'images of another size'),
    'merged: orphan': (
        merged_with(lambda c: c['annotations'][0].update(image_id=-1)),
        'annotations of nothing',
    ),
    'merged: counts': (
        merged_with(lambda c: counts('oooo0')(c['annotations'][0])),
        'masks whose run lengths do not fill their image',
    ),
    'merged: another part': (other_split, 'images of another part'),
    'merged: less': (
        merged_with(lambda c: (c['images'].pop(), c['annotations'].pop())),
        'images of a part that are not merged',
    ),
    'merged: cut': (
        lambda root: (root / MERGED).write_bytes((root / MERGED).read_bytes()[:-40]),
        'damaged files',
    ),
}


def _drop_image(content: dict, part: str, root: Path) -> None:
    name = read(root / f'A/annotations/{part}.A__coco.json')['images'][0]['file_name']
    (gone,) = [image for image in content['images'] if image['file_name'] == name]
    content['images'].remove(gone)
    content['annotations'] = [one for one in content['annotations'] if one['image_id'] != gone['id']]


@pytest.mark.parametrize('name', FAULTS)
def test_planted_fault_is_found(name: str, root: Path) -> None:
    plant, kind = FAULTS[name]
    plant(root)
    report = verify_corpus(root)
    assert report.faults[kind] >= 1, report.examples
    assert len(report.examples[kind]) == min(report.faults[kind], 5)


def test_pixels_are_read_only_when_asked(root: Path) -> None:
    folder = root / 'A/images'
    files = {f'images/{path.name}': file_sha256(path) for path in folder.iterdir()}
    write_json(root / 'A/manifest.json', {'files': files})
    path = folder / '00003.png'
    data = bytearray(path.read_bytes())
    data[-30] ^= 1
    path.write_bytes(data)
    assert not verify_corpus(root).faults
    assert verify_corpus(root, pixels=True).faults == {'images that cannot be read': 1}
    path.write_bytes((folder / '00004.png').read_bytes())
    assert verify_corpus(root, pixels=True).faults['images that are not those of the manifest'] == 1


@pytest.mark.parametrize('mask', [POLYGON, RUNS])
def test_masks_in_other_words_pass(mask: dict, tmp_path: Path) -> None:
    value = coco({'a': [1, 1]})
    value['annotations'][0].update(mask)
    write_dataset(tmp_path, 'A', value)
    assert not verify_corpus(tmp_path).faults


def test_polygons_of_many_shapes_pass(tmp_path: Path) -> None:
    """Areas and boxes as pycocotools draws them, and as coordinates give them."""
    rng = np.random.default_rng(0)
    value = coco({'a': [1] * 40})
    for number, one in enumerate(value['annotations']):
        polygons = [
            np.stack([x + r * np.cos(t), y + r * np.sin(t)], 1)
            .clip(0, [HW[1], HW[0]])
            .round(1)
            .ravel()
            .tolist()
            for x, y, r in rng.uniform([3, 3, 2], [29, 21, 11], (1 + number % 3, 3))
            for t in [np.sort(rng.uniform(0, 2 * np.pi, rng.integers(5, 20)))]
        ]
        rle = coco_mask.merge(coco_mask.frPyObjects(polygons, *HW))
        one['segmentation'] = polygons
        one['area'], one['bbox'] = int(coco_mask.area(rle)), coco_mask.toBbox(rle).tolist()
        if number % 2:
            x, y = np.concatenate(polygons)[::2], np.concatenate(polygons)[1::2]
            one['bbox'] = [x.min(), y.min(), float(np.ptp(x)), float(np.ptp(y))]
            one['area'] = sum(shoelace(polygon) for polygon in polygons)
    write_dataset(tmp_path, 'A', value)
    assert not verify_corpus(tmp_path).faults


def shoelace(polygon: list[float]) -> float:
    x, y = np.array(polygon[::2]), np.array(polygon[1::2])
    return float(abs((x * np.roll(y, 1) - y * np.roll(x, 1)).sum()) / 2)


@pytest.mark.parametrize(
    'content', [b'[' * 100_000, b'{"files": {"images/0.png": 5}}', b'[]', b'{"files": 1}']
)
def test_damaged_manifest_is_a_fault(content: bytes, root: Path) -> None:
    (root / 'A/manifest.json').write_bytes(content)
    assert verify_corpus(root).faults['damaged files'] == 1


def test_one_data_set_of_a_merged_file_is_gone(root: Path) -> None:
    (root / 'B').rename(root.parent / 'B')
    assert verify_corpus(root).faults['images of no data set'] > 0


def test_files_without_an_organ_lack_data_sets_by_right(tmp_path: Path) -> None:
    write_dataset(tmp_path, 'BUSBRA', coco(SOME))
    write_dataset(tmp_path, 'TN3K', coco(SOME))
    build_corpus(tmp_path)
    assert (tmp_path / 'train.noStructure.BUSBRA.json').is_file()
    assert not verify_corpus(tmp_path).faults


def test_before_a_split(tmp_path: Path) -> None:
    write_dataset(tmp_path, 'A', coco(SOME))
    report = verify_corpus(tmp_path)
    assert (report.faults.total(), report.counts['masks']) == (0, 20)
    assert verify_corpus(tmp_path / 'A').counts['masks'] == 20
    with pytest.raises(InputError):
        verify_corpus(tmp_path / 'none')


def test_run_lengths_that_are_not_compressed(tmp_path: Path) -> None:
    value = coco({'a': [1, 1]})
    pixels = HW[0] * HW[1]
    for one, runs in zip(value['annotations'], ([pixels - 9, 9], [pixels, 9]), strict=True):
        one['segmentation']['counts'] = runs
        one['area'], one['bbox'] = 9, [HW[1] - 1, HW[0] - 9, 1, 9]
    write_dataset(tmp_path, 'A', value)
    assert verify_corpus(tmp_path).faults == {'masks whose run lengths do not fill their image': 1}
