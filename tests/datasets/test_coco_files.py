"""COCO files of others: what is mended and reported, what is refused; and files as they are written."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from tests.corpus.tools.tiny import annotation, coco, image, write_json
from ultrasam.coco.files import publish_coco, read_coco, stream_records
from ultrasam.corpus.errors import EXIT_REFUSED, UnsafeNameError, exit_code_of
from ultrasam.errors import AnnotationError, OutputError


def content() -> dict:
    return coco({'a': [1, 1], 'b': [2]})


def read(tmp_path: Path, value: object):
    write_json(tmp_path / 'x.json', value)
    return read_coco(tmp_path / 'x.json')


def test_good_file_is_read_as_it_is(tmp_path: Path) -> None:
    found = read(tmp_path, content())
    assert (found.images, found.annotations, found.notes) == (
        content()['images'],
        content()['annotations'],
        [],
    )


TEXTS = {
    'cut': ('{"images": [', 'damaged'),
    'empty': ('', 'is empty'),
    'list': ('[]', 'holds a list'),
    'nan': ('{"images": NaN}', 'NaN is no number'),
    'deep': ('[' * 100_000, 'damaged'),
    'endless': ('{"images": [{"depth_mm": 1e999}]}', '1e999 is no number'),
    'endless downwards': ('{"images": [{"depth_mm": -1E+400}]}', 'is no number'),
    'half a character': ('{"info": {"a": "\\ud800"}}', 'half a character'),
    'no sections': ('{}', 'no list of records'),
}


@pytest.mark.parametrize('name', TEXTS)
def test_files_that_are_no_coco(name: str, tmp_path: Path) -> None:
    text, message = TEXTS[name]
    (tmp_path / 'x.json').write_text(text, encoding='utf-8')
    with pytest.raises(AnnotationError, match=rf'x\.json.*{message}'):
        read_coco(tmp_path / 'x.json')


def test_missing_file(tmp_path: Path) -> None:
    with pytest.raises(AnnotationError, match='cannot be read'):
        read_coco(tmp_path / 'x.json')


def test_no_images(tmp_path: Path) -> None:
    write_json(tmp_path / 'x.json', {**content(), 'images': [], 'annotations': []})
    with pytest.raises(AnnotationError, match='no images'):
        read_coco(tmp_path / 'x.json')
    assert read_coco(tmp_path / 'x.json', allow_empty=True).images == []


REFUSED = {
    'image id twice': (lambda c: c['images'].append(image(0, 's', file_name='z.png')), 'share the id 0'),
    'file twice': (lambda c: c['images'].append(image(9, 's', file_name='00000.png')), 'share the file_name'),
    'category twice': (lambda c: c['categories'].append({'id': 1, 'name': 'z'}), 'share the id 1'),
    'category name twice': (
        lambda c: c['categories'].append({'id': 9, 'name': 'kind1'}),
        'share the name',
    ),
    'no name': (lambda c: c['categories'][0].pop('name'), 'no name'),
    'no id': (lambda c: c['images'][0].pop('id'), 'no id'),
    'bool id': (lambda c: c['images'][0].update(id=True), 'no id'),
    'size': (lambda c: c['images'][0].update(height=0), 'height and width'),
    'float size': (lambda c: c['images'][0].update(height=24.0), 'height and width'),
    'orphan': (lambda c: c['annotations'][0].update(image_id=77), 'image_id 77 is not among the images'),
    'category': (lambda c: c['annotations'][0].update(category_id=0), 'category_id 0 is not among'),
    'list id': (lambda c: c['annotations'][0].update(image_id=[1]), 'image_id'),
    'area': (lambda c: c['annotations'][0].update(area='big'), 'area'),
    'no area, pairs': (
        lambda c: c['annotations'][0].update(area=None, segmentation=[[1, 2], [3, 4]]),
        'flat list',
    ),
    'nothing': (
        lambda c: [c['annotations'][0].pop(key) for key in ('area', 'bbox', 'segmentation')],
        'neither bbox nor segmentation',
    ),
    'upwards': (lambda c: c['images'][0].update(file_name='../../etc/passwd'), 'leaves the folder'),
    'absolute': (lambda c: c['images'][0].update(file_name='/etc/passwd'), 'leaves the folder'),
    'drive': (lambda c: c['images'][0].update(file_name='C:\\a.png'), 'backslash or a drive'),
    'nul': (lambda c: c['images'][0].update(file_name='a\0.png'), 'control character'),
    'no file': (lambda c: c['images'][0].pop('file_name'), 'no file_name'),
    'not plain': (lambda c: c['images'][0].update(file_name='./00001.png'), 'not written plainly'),
    'slashes': (lambda c: c['images'][0].update(file_name='a//b.png'), 'not written plainly'),
    'the folder': (lambda c: c['images'][0].update(file_name='.'), 'is no file'),
    'web': (lambda c: c['images'][0].update(file_name='https://example.org/x.png'), 'not written plainly'),
    'negative area': (lambda c: c['annotations'][0].update(area=-1), 'its area -1 is negative'),
    'area beyond': (lambda c: c['annotations'][0].update(area=10**400), 'its area'),
    'box beyond': (lambda c: c['annotations'][0].update(bbox=[10**400, 2, 3, 4]), 'its bbox'),
    'size beyond': (lambda c: c['images'][0].update(height=10**400), 'height and width'),
    'box of three': (lambda c: c['annotations'][0].update(bbox=[1, 2, 3]), 'its bbox'),
    'box of texts': (lambda c: c['annotations'][0].update(bbox=['1', 2, 3, 4]), 'its bbox'),
    'box of truths': (lambda c: c['annotations'][0].update(bbox=[True, 2, 3, 4]), 'its bbox'),
    'record': (lambda c: c['images'].append(3), 'no list of records'),
}


@pytest.mark.parametrize('name', REFUSED)
def test_records_that_contradict(name: str, tmp_path: Path) -> None:
    change, message = REFUSED[name]
    value = content()
    change(value)
    with pytest.raises(AnnotationError, match=message):
        read(tmp_path, value)


HUGE = 1 << 127
MENDED = {
    'annotation 0': (lambda c: c['annotations'][1].update(id=0), '1 were 0'),
    'annotation twice': (lambda c: c['annotations'][1].update(id=1), '1 were not unique'),
    'annotation huge': (lambda c: c['annotations'][1].update(id=HUGE), '1 were beyond 64 bits'),
    'annotation text': (lambda c: c['annotations'][1].update(id='b'), '1 were texts or missing'),
    'annotation missing': (lambda c: c['annotations'][1].pop('id'), '1 were texts or missing'),
}


@pytest.mark.parametrize('name', MENDED)
def test_ids_of_annotations_are_numbered_anew(name: str, tmp_path: Path) -> None:
    change, note = MENDED[name]
    value = content()
    change(value)
    found = read(tmp_path, value)
    assert [one['id'] for one in found.annotations] == [1, 2, 3]
    assert len(found.notes) == 1
    assert note in found.notes[0]


def test_areas_and_boxes_that_are_missing_are_computed(tmp_path: Path) -> None:
    value = content()
    expected = [(float(one['area']), list(map(float, one['bbox']))) for one in value['annotations']]
    del value['annotations'][0]['area'], value['annotations'][1]['bbox']
    value['annotations'][2].update(area=None, bbox=None)
    found = read(tmp_path, value)
    assert [(one['area'], one['bbox']) for one in found.annotations] == expected
    assert 'areas or boxes of 3 annotations computed' in found.notes[0]


def test_ids_as_pandas_writes_them_and_the_mark_of_windows(tmp_path: Path) -> None:
    value = content()
    for section in ('images', 'annotations', 'categories'):
        for one in value[section]:
            one.update({key: float(one[key]) for key in ('id', 'image_id', 'category_id') if key in one})
    (tmp_path / 'x.json').write_text(json.dumps(value), encoding='utf-8-sig')
    found = read_coco(tmp_path / 'x.json')
    assert json.dumps(found.annotations) == json.dumps(content()['annotations'])
    assert (found.images, found.notes) == (content()['images'], [])


@pytest.mark.parametrize('name', ['../x.png', '/x.png', 'C:\\x.png', '\\\\server\\x.png', 'a\0.png', '..'])
def test_names_that_reach_outside_are_refused_as_unsafe(name: str, tmp_path: Path) -> None:
    value = content()
    value['images'][0]['file_name'] = name
    with pytest.raises(UnsafeNameError) as error:
        read(tmp_path, value)
    assert exit_code_of(error.value) == EXIT_REFUSED


def test_numbers_and_letters_that_only_look_odd(tmp_path: Path) -> None:
    value = content()
    value['info'] = {'a': '\U0001f600', 'b': '1e999', 'c': 1e300}
    assert read(tmp_path, value).info == value['info']


@pytest.mark.parametrize('new', [lambda id_: f'img-{id_}', lambda id_: HUGE + id_])
def test_ids_of_images_keep_their_annotations(new, tmp_path: Path) -> None:
    value = content()
    for one in value['images']:
        one['id'] = new(one['id'])
    for one in value['annotations']:
        one['image_id'] = new(one['image_id'])
    found = read(tmp_path, value)
    assert found.images == content()['images']
    assert found.annotations == content()['annotations']
    assert 'ids of images numbered anew' in found.notes[0]


def test_text_ids_of_categories(tmp_path: Path) -> None:
    value = content()
    for one in value['categories']:
        one['id'] = str(one['id'])
    for one in value['annotations']:
        one['category_id'] = str(one['category_id'])
    found = read(tmp_path, value)
    assert (found.categories, found.annotations) == (content()['categories'], content()['annotations'])


def write(target: Path, value: dict, *, overwrite: bool = False) -> None:
    head = {'info': value['info'], 'categories': value['categories']}
    with publish_coco(target, head, overwrite=overwrite) as writer:
        for record, note in zip(value['images'], value['annotations'], strict=True):
            writer.add_annotation(note)
            writer.add_image(record)


def test_stream_is_what_was_written(tmp_path: Path) -> None:
    target = tmp_path / 'out.json'
    write(target, content())
    assert json.loads(target.read_text()) == {
        key: value for key, value in content().items() if key != 'licenses'
    }
    records = list(stream_records(target))
    assert [record for section, record in records if section == 'images'] == content()['images']
    assert [record for section, record in records if section == 'annotations'] == content()['annotations']
    assert [next(iter(record)) for section, record in records if section == 'head'] == ['info', 'categories']


def test_empty_sections(tmp_path: Path) -> None:
    with publish_coco(tmp_path / 'a.json', {'info': {}}, overwrite=False):
        pass
    assert json.loads((tmp_path / 'a.json').read_text()) == {'info': {}, 'images': [], 'annotations': []}
    assert list(stream_records(tmp_path / 'a.json')) == [('head', {'info': {}})]


def test_same_content_may_be_written_again_other_content_may_not(tmp_path: Path) -> None:
    target = tmp_path / 'out.json'
    write(target, content())
    before = target.read_bytes()
    write(target, content())
    other = coco({'a': [1]})
    with pytest.raises(OutputError, match='--overwrite'):
        write(target, other)
    assert target.read_bytes() == before
    assert os.listdir(tmp_path) == ['out.json']
    write(target, other, overwrite=True)
    assert len(json.loads(target.read_text())['images']) == 1


def test_failure_leaves_nothing(tmp_path: Path) -> None:
    with (
        pytest.raises(ValueError, match='JSON compliant'),
        publish_coco(tmp_path / 'a.json', {}, overwrite=False) as w,
    ):
        w.add_image({'id': float('nan')})
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize('keep', [0.3, 0.9, 0.999])
def test_stream_of_a_file_that_is_cut(keep: float, tmp_path: Path) -> None:
    target = tmp_path / 'out.json'
    write(target, content())
    data = target.read_bytes()
    target.write_bytes(data[: int(len(data) * keep) - 3])
    with pytest.raises(AnnotationError, match=r'cut short|damaged'):
        list(stream_records(target))


def test_stream_of_another_form(tmp_path: Path) -> None:
    (tmp_path / 'a.json').write_text(json.dumps({'images': [annotation(1, 0)]}))
    with pytest.raises(AnnotationError, match='no tool of ours'):
        list(stream_records(tmp_path / 'a.json'))
