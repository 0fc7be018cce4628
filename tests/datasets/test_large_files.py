"""Files that are indexed on disk: the samples of ``CocoDataset``, shared, and never those of an older file."""

from __future__ import annotations

import copy
import json
import multiprocessing
import os
import pickle
import tracemalloc
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from mmdet.datasets import CocoDataset
from pycocotools import mask as coco_mask

from ultrasam.coco import index_files, scanning
from ultrasam.coco import records as annotation_files
from ultrasam.coco.index import build_index
from ultrasam.coco.records import HeldContent, open_records
from ultrasam.errors import AnnotationError, ConfigError
from ultrasam.masks import run_lengths
from ultrasam.openmmlab.datasets import UltraSamCocoDataset

CLASSES = ('zyste', 'Knötchen')
LATER_NS = 10_000_000_000


def content_of(seed: int = 0, *, images: int = 9) -> dict[str, Any]:
    """Every kind of segmentation, crowds, boxes outside, names that are not ASCII, annotations in any order."""
    rng = np.random.default_rng(seed)
    records = [
        {
            'id': number * 3 + 1,
            'file_name': f'bild é "{number}".png',
            'height': int(rng.integers(20, 60)),
            'width': int(rng.integers(20, 60)),
            'subject': 'Ωmega',
        }
        for number in range(images)
    ]
    annotations: list[dict[str, Any]] = []
    for _ in range(6 * images):
        image = records[int(rng.integers(images - 1))]
        mask = np.zeros((image['height'], image['width']), np.uint8)
        top, left = int(rng.integers(15)), int(rng.integers(15))
        mask[top : top + int(rng.integers(1, 20)), left : left + int(rng.integers(1, 20))] = 1
        rle = coco_mask.encode(np.asfortranarray(mask))
        masks = (
            {'size': list(mask.shape), 'counts': rle['counts'].decode()},
            {'size': list(mask.shape), 'counts': [mask.size]},
            [[1.5, 2, 9, 4.25, 2, 8]],
            None,
        )
        # boxes and areas are those of the mask, or there is no pixel to contradict them
        kind = int(rng.integers(4))
        is_free = kind in (1, 3)
        own = [1.5, 2, 7.5, 6] if kind == 2 else coco_mask.toBbox(rle).tolist()
        boxes = (own, [-5, 2, 8, 9], [100, 100, 5, 5], [1, 1, 0.5, 3])
        annotations.append(
            {
                'id': len(annotations) + 1,
                'image_id': image['id'],
                'category_id': int(rng.integers(1, 4)),
                'bbox': boxes[int(rng.choice(4, p=(0.4, 0.2, 0.2, 0.2))) * is_free],
                'area': int(mask.sum()) * int(rng.random() < 0.8 or not is_free),
                'iscrowd': int(rng.random() < 0.2),
                'ignore': int(rng.random() < 0.1),
                'segmentation': masks[kind],
            }
        )
    categories = [{'id': number, 'name': name} for number, name in enumerate(('zyste', 'x', 'Knötchen'), 1)]
    return {'info': {'images': []}, 'images': records, 'annotations': annotations, 'categories': categories}


@pytest.fixture(autouse=True)
def user_cache(tmp_path, monkeypatch) -> Path:
    monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path / 'cache'))
    return tmp_path / 'cache'


@pytest.fixture
def path(tmp_path) -> Path:
    target = tmp_path / 'data' / 'truth.json'
    target.parent.mkdir()
    write(target, content_of())
    return target


def write(path: Path, content: dict, *, ascii_only: bool = False) -> None:
    """Write a file that is old enough to be trusted by its time."""
    path.write_text(json.dumps(content, ensure_ascii=ascii_only), encoding='utf-8')
    old = path.stat().st_mtime_ns - LATER_NS
    os.utime(path, ns=(old, old))


def build(path: Path, kind: type = UltraSamCocoDataset, **options: Any) -> Any:
    settings = dict(
        ann_file=str(path),
        data_prefix=dict(img='images'),
        metainfo=dict(classes=CLASSES),
        pipeline=[],
        **(dict(check_images=False, smallest_index=0) if kind is UltraSamCocoDataset else {}),
    )
    return kind(**{**settings, **options})


def samples(data: Any) -> list[dict]:
    return [data.get_data_info(number) for number in range(len(data))]


def index_of(path: Path) -> Path:
    return path.with_name(f'.{path.name}.index')


@pytest.fixture
def builds(monkeypatch) -> list[str]:
    """Files that were indexed from their content."""
    seen: list[str] = []
    real = annotation_files.build_index

    def noted(content: Any) -> Any:
        seen.append(content.name)
        return real(content)

    monkeypatch.setattr(annotation_files, 'build_index', noted)
    return seen


@pytest.mark.parametrize(
    'options',
    [
        {},
        dict(test_mode=True),
        dict(filter_cfg=dict(filter_empty_gt=True)),
        dict(filter_cfg=dict(filter_empty_gt=True, min_size=30)),
        dict(indices=3),
        dict(indices=-2),
        dict(indices=[4, 0, -1]),
        dict(return_classes=True),
        dict(data_prefix=dict(img='images', seg='maps')),
        dict(lazy_init=True),
        dict(serialize_data=False),
    ],
    ids=str,
)
@pytest.mark.parametrize('ascii_only', [True, False])
def test_samples_are_those_of_mmdet(path, options, ascii_only):
    write(path, content_of(1), ascii_only=ascii_only)
    ours, theirs = build(path, **options), build(path, CocoDataset, **options)
    assert samples(ours) == samples(theirs)
    assert ours.metainfo['classes'] == theirs.metainfo['classes']
    assert (ours.cat_ids, ours.cat2label) == (theirs.cat_ids, theirs.cat2label)
    assert ours.get_data_info(-1) == theirs.get_data_info(-1)
    assert [ours.get_cat_ids(i) for i in range(len(ours))] == [
        theirs.get_cat_ids(i) for i in range(len(theirs))
    ]
    assert index_of(path).is_file()


def test_annotations_before_images(path):
    content = content_of(2)
    expected = samples(build(path, CocoDataset))
    write(path, dict(reversed(content_of().items())))
    assert samples(build(path)) == expected
    write(path, {'images': [], **{f'{key} ': [] for key in content}, **content_of()})
    assert samples(build(path)) == expected


def test_a_section_that_is_there_twice_is_refused(path):
    text = json.dumps(content_of(3))
    path.write_text(f'{{"images": [{{"id": 7}}], {text[1:]}')
    with pytest.raises(AnnotationError, match="has 'images' twice"):
        build(path)


@pytest.mark.parametrize('chunk', [1, 7, 64, 1000])
def test_records_cut_by_the_end_of_a_chunk(path, monkeypatch, chunk):
    expected = samples(build(path, CocoDataset))
    write(path, content_of())
    monkeypatch.setattr(scanning, '_CHUNK', chunk)
    assert samples(build(path)) == expected


@pytest.mark.parametrize('cut', [1, 100, 2000, -2])
@pytest.mark.parametrize('chunk', [16, 1 << 22])
def test_a_file_that_breaks_off(path, monkeypatch, cut, chunk):
    path.write_bytes(path.read_bytes()[:cut])
    monkeypatch.setattr(scanning, '_CHUNK', chunk)
    with pytest.raises(AnnotationError, match='not valid JSON'):
        build(path)
    assert not index_of(path).exists()


def test_what_follows_the_file(path):
    path.write_bytes(path.read_bytes() + b' }')
    with pytest.raises(AnnotationError, match='Extra data at byte'):
        build(path)


def test_subsets(path):
    data = build(path)
    everything = samples(data)
    subset = data.get_subset([5, 2])
    assert [one['img_id'] for one in samples(subset)] == [everything[5]['img_id'], everything[2]['img_id']]
    assert len(data) == len(everything)
    data.get_subset_(2)
    assert samples(data) == everything[:2]
    with pytest.raises(ConfigError, match='there are 2 samples'):
        data.get_subset([2])


def test_second_start_finds_the_index(path, builds):
    first = build(path)
    second = build(path)
    assert builds == [str(path)]
    assert samples(second) == samples(first)
    assert isinstance(second._records.index.annotation_spans.base.base, np.ndarray)


def test_small_files_get_no_index(path, builds):
    build(path, smallest_index=1 << 20)
    build(path, smallest_index=1 << 20)
    assert len(builds) == 2
    assert [one.name for one in path.parent.iterdir()] == [path.name]


class TestStale:
    def test_another_content(self, path, builds):
        build(path)
        write(path, content_of(5))
        assert samples(build(path)) == samples(build(path, CocoDataset))
        assert len(builds) == 2

    def test_another_content_of_the_same_size_and_time(self, path, builds):
        build(path)
        status = path.stat()
        text = path.read_text(encoding='utf-8')
        path.write_text(text.replace('bild é \\"0', 'bild é \\"9'), encoding='utf-8')
        os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
        assert path.stat().st_size == status.st_size
        assert '"9' in build(path).get_data_info(0)['img_path']
        assert len(builds) == 2

    def test_a_copy_needs_no_new_index(self, path, builds):
        build(path)
        before = index_of(path).read_bytes()
        os.utime(path)
        build(path)
        assert len(builds) == 1
        assert index_of(path).read_bytes() != before

    def test_a_file_that_was_just_written_is_looked_into(self, path, monkeypatch):
        looked: list[Any] = []
        real = index_files.file_sha256
        monkeypatch.setattr(index_files, 'file_sha256', lambda one: looked.append(one) or real(one))
        os.utime(path)
        build(path)
        build(path)
        assert looked == [path]
        old = path.stat().st_mtime_ns - LATER_NS
        os.utime(path, ns=(old, old))
        build(path)
        build(path)
        assert len(looked) == 2


@pytest.mark.parametrize('damage', ['cut', 'flipped', 'other version', 'header', 'empty'])
def test_damaged_index_is_made_again(path, builds, damage):
    expected = samples(build(path))
    data = bytearray(index_of(path).read_bytes())
    if damage == 'flipped':
        data[-100] ^= 1
    index_of(path).write_bytes(
        {
            'cut': data[:-64],
            'flipped': data,
            'other version': data.replace(b'index 4', b'index 0', 1),
            'header': data.replace(b'"arrays"', b'"worrys"', 1),
            'empty': b'',
        }[damage]
    )
    assert samples(build(path)) == expected
    assert len(builds) == 2
    build(path)
    assert len(builds) == 2


@pytest.mark.skipif(os.geteuid() == 0, reason='permissions do not hold for root')
def test_folder_without_permission(path, builds, user_cache):
    path.parent.chmod(0o555)
    try:
        build(path)
        build(path)
    finally:
        path.parent.chmod(0o755)
    assert len(builds) == 1
    assert any((user_cache / 'ultrasam').iterdir())


def refused(places: list[Path]) -> Any:
    """A publisher that cannot write to some folders."""
    real = index_files.publish_file

    def publish(target: Path, **options: Any) -> Any:
        if target.parent in places:
            raise index_files.OutputError(f'{target}: cannot be written')
        return real(target, **options)

    return publish


def test_folder_that_cannot_be_written(path, builds, user_cache, monkeypatch):
    lines: list[str] = []
    monkeypatch.setattr(index_files._LOG, 'warning', lambda text, *values: lines.append(text % values))
    monkeypatch.setattr(index_files, 'publish_file', refused([path.parent]))
    assert samples(build(path)) == samples(build(path))
    assert len(builds) == 1
    assert 'index kept at' in lines[0]
    monkeypatch.setattr(index_files, 'publish_file', refused([path.parent, user_cache / 'ultrasam']))
    write(path, content_of(5))
    data = build(path)
    assert 'in memory only' in lines[1]
    assert samples(pickle.loads(pickle.dumps(data))) == samples(data) == samples(build(path))


def test_copies_map_the_index_again(path, builds):
    data = build(path)
    text = pickle.dumps(data)
    assert b'annotation_spans' not in text
    assert samples(pickle.loads(text)) == samples(copy.deepcopy(data)) == samples(data)
    assert len(builds) == 1


@pytest.mark.parametrize('smallest_index', [0, 1 << 20])
def test_a_file_that_changes_in_use_is_refused(path, smallest_index):
    data = build(path, smallest_index=smallest_index)
    text = pickle.dumps(data)
    expected = samples(data)
    other = path.with_name('other.json')
    write(other, content_of(5))
    os.replace(other, path)
    assert samples(data) == expected
    with pytest.raises(AnnotationError, match='changed while it was in use'):
        pickle.loads(text)
    data = build(path, smallest_index=smallest_index)
    path.write_bytes(path.read_bytes()[:-500])
    with pytest.raises(AnnotationError, match='changed while it was in use'):
        data.get_data_info(0)


def test_content_in_memory(path):
    records = open_records(HeldContent(path.read_bytes(), 'remote'))
    copied = pickle.loads(pickle.dumps(records))
    expected = json.loads(path.read_text(encoding='utf-8'))['images']
    assert [copied.image(number) for number in range(len(copied))] == expected


def test_remote_file(path, monkeypatch):
    expected = samples(build(path))
    monkeypatch.setattr('ultrasam.openmmlab.datasets.coco.get', lambda name, backend_args: path.read_bytes())
    assert samples(build('s3://bucket/truth.json', backend_args=dict(backend='petrel'))) == expected


def _sent(data: Any, queue: Any) -> None:
    queue.put(samples(data))


@pytest.mark.slow
@pytest.mark.parametrize('method', ['fork', 'spawn'])
def test_other_processes_read_the_same(path, method):
    data = build(path)
    context = multiprocessing.get_context(method)
    queue = context.Queue()
    processes = [context.Process(target=_sent, args=(data, queue)) for _ in range(2)]
    for process in processes:
        process.start()
    # each imports the libraries, which takes minutes on a machine that is busy
    found = [queue.get(timeout=900) for _ in processes]
    for process in processes:
        process.join()
    assert found == [samples(data)] * 2


def test_two_that_index_at_once(path, monkeypatch):
    """The second writes while the first is at it: either result is whole."""
    real = annotation_files.keep_index
    inner: list[list[dict]] = []

    def slow(*args: Any) -> Any:
        if not inner:
            inner.append([])
            inner[0] = samples(build(path))
        return real(*args)

    monkeypatch.setattr(annotation_files, 'keep_index', slow)
    assert samples(build(path)) == inner[0]
    assert sorted(one.name for one in path.parent.iterdir()) == sorted([path.name, index_of(path).name])


def test_images_are_looked_for_in_their_folders(path, tmp_path):
    names = [image['file_name'] for image in content_of()['images']]
    folder = tmp_path / 'images'
    folder.mkdir()
    for image in content_of()['images']:
        cv2.imwrite(str(folder / image['file_name']), np.zeros((image['height'], image['width']), np.uint8))
    options = dict(data_prefix=dict(img=str(folder)), check_images=True)
    assert len(build(path, **options)) == len(names)
    (folder / names[3]).unlink()
    (folder / names[3]).mkdir()
    with pytest.raises(AnnotationError, match='1 of 9 images are not in'):
        build(path, **options)


def test_proposals_are_refused(path):
    with pytest.raises(ConfigError, match='proposal_file'):
        build(path, proposal_file='proposals.pkl')


def test_memory_does_not_grow_with_the_annotations(monkeypatch):
    """What a pass over a file keeps of an annotation is a few bytes."""
    monkeypatch.setattr(scanning, '_CHUNK', 1 << 14)
    # run lengths that are measured together
    monkeypatch.setattr(run_lengths, '_BATCH', 1 << 10)
    content = content_of(images=3)
    one = next(a for a in content['annotations'] if isinstance(a['segmentation'], dict))
    peaks = []
    for count in (500, 2500):
        many = [dict(one, id=number, note='x' * 2000) for number in range(count)]
        content_in = HeldContent(json.dumps({**content, 'annotations': many}).encode(), 'file')
        tracemalloc.start()
        build_index(content_in)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    # the file grew by more than 4,000,000 bytes
    assert peaks[1] - peaks[0] < 400_000
