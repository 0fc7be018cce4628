"""Group E, COCO files of others: what is wrong in them is refused, mended aloud, or found before anything learns."""

from __future__ import annotations

import contextlib
import functools
import importlib.util
import io
import os
import shutil
import traceback
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.corpus.tools.tiny import coco, image, read, write_dataset, write_json
from tests.faults.conversions import DATA_FAULTS
from tests.faults.harness import Arena, Trial, Verdict, fault, lossy, quiet, survived

TOOLS = Path(__file__).resolve().parents[2] / 'datasets/tools'
NAME = 'A__coco.json'
SUBJECTS = {f'p{number}': [1 + number % 2, 1] for number in range(8)}
Content = dict[str, Any]
Known = dict[str, Any]


@dataclass(frozen=True)
class FileFault:
    """A COCO file with something wrong.

    Args:
        name: what is wrong.
        plant: puts it into the annotation file at a path; its images lie in ``../images``.
        must_be_read: nothing is lost by it, so that a refusal would be a loss; what was mended has to be said.
        on_disk: the records stay as they were, so that the right records prove nothing.
        file: that a report has to name.
        code: with which a tool refuses.
    """

    name: str
    plant: Callable[[Path], object]
    must_be_read: bool = False
    on_disk: bool = False
    file: str = NAME
    code: int = DATA_FAULTS


def records(name: str, change: Callable[[Content], object], **options: Any) -> FileFault:
    """A fault in the records of a file."""

    def plant(path: Path) -> None:
        content = read(path)
        change(content)
        write_json(path, content)

    return FileFault(name, plant, **options)


def image_with(name: str, options: Content | None = None, **fields: Any) -> FileFault:
    """A fault in the first image."""
    return records(name, lambda content: content['images'][0].update(fields), **(options or {}))


def annotation_with(name: str, options: Content | None = None, **fields: Any) -> FileFault:
    """A fault in the first annotation."""
    return records(name, lambda content: content['annotations'][0].update(fields), **(options or {}))


def data_set(root: Path) -> Path:
    """Two data sets, the first with a test part; gives the annotation file to be attacked."""
    write_dataset(root, 'A', coco(SUBJECTS), coco({'t0': [1, 2], 't1': [2]}, first_image=90))
    write_dataset(root, 'B', coco(SUBJECTS))
    return root / 'A/annotations' / NAME


@dataclass(frozen=True)
class Done:
    """A command that has ended: its exit code, None with a traceback, and what it said."""

    code: int | None
    text: str


def command(name: str, *arguments: object) -> Done:
    """Run a tool in this process, which is a fresh one."""
    spec = importlib.util.spec_from_file_location(f'tool_{name}', TOOLS / f'{name}.py')
    if spec is None or spec.loader is None:
        raise RuntimeError(f'no tool {name}')
    module = importlib.util.module_from_spec(spec)
    said = io.StringIO()
    with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
        try:
            spec.loader.exec_module(module)
            code = module.main([str(argument) for argument in arguments])
        except SystemExit as error:
            code = error.code if isinstance(error.code, int) else 1
        except Exception:
            return Done(None, said.getvalue() + traceback.format_exc(limit=-2))
    return Done(code, said.getvalue())


def parts_of(root: Path) -> Known:
    """What the parts of the attacked data set hold, whatever the ids: part, size and objects of each image."""
    found: Known = {}
    for part in ('train', 'val', 'test'):
        path = root / f'A/annotations/{part}.{NAME}'
        if path.is_file():
            found.update({name: (part, *facts) for name, facts in known_of(read(path)).items()})
    return found


def known_of(content: Content) -> Known:
    """Size and objects of each image of a COCO file, whatever the ids."""
    categories = {one['id']: one['name'] for one in content['categories']}
    found: Known = {one['file_name']: ((one['height'], one['width']), []) for one in content['images']}
    names = {one['id']: one['file_name'] for one in content['images']}
    for one in content['annotations']:
        objects = found[names[one['image_id']]][1]
        objects.append(
            (categories[one['category_id']], one.get('bbox'), one.get('area'), one.get('segmentation'))
        )
    return found


def trials(arena: Arena, cases: Sequence[FileFault]) -> Iterator[Trial]:
    """A trial for each fault: our chain of tools, or ``pycocotools.COCO``."""
    clean = arena.root / 'raw' / 'clean'
    if not clean.exists():
        data_set(clean)
        if command('build_corpus', clean).code != 0:
            raise RuntimeError('the chain fails on a good corpus')
    for number, case in enumerate(cases):
        path = data_set(arena.work / str(number))
        case.plant(path)
        judge = functools.partial(judge_stock, path, on_disk=case.on_disk)
        if arena.ours:
            judge = functools.partial(judge_tools, case, parts_of(clean), path)
        yield Trial(case.name, judge)


def judge_tools(case: FileFault, clean: Known, path: Path) -> Verdict:
    """Refused by name with nothing written; or mended aloud; or written, and found by ``verify``."""
    root = path.parents[2]
    before = sorted(root.rglob('*.json'))
    done = command('build_corpus', root)
    if done.code is None:
        return lossy(f'a traceback: {done.text}')
    if done.code != 0:
        if case.must_be_read:
            return lossy(f'was refused: {done.text}')
        if done.code != case.code or not is_named(path, done.text):
            return lossy(f'exit {done.code} instead of {case.code}, or no name: {done.text}')
        left = [str(found) for found in sorted(root.rglob('*.json')) if found not in before]
        return quiet(f'refused, and wrote {left}') if left else survived(done.text)
    is_same = parts_of(root) == clean
    if case.must_be_read:
        return (
            survived(done.text) if is_same and 'mended: ' in done.text else quiet(f'not mended: {done.text}')
        )
    if is_same and not case.on_disk:
        return survived('nothing is lost')
    return judge_found(root, case.file)


def judge_found(root: Path, name: str) -> Verdict:
    """``verify`` has to find a fault in a corpus, and to name the file."""
    done = command('verify', root)
    if done.code is None:
        return lossy(f'a traceback: {done.text}')
    if done.code == 0:
        return quiet(f'was taken for good: {done.text}')
    return survived(done.text) if name in done.text else lossy(f'{name} is not named: {done.text}')


def is_named(path: Path, text: str) -> bool:
    """Whether a message names a file, or another of its data set that contradicts it."""
    return str(path) in text or str(path.with_name(f'test.{NAME}')) in text


def judge_stock(path: Path, *, on_disk: bool = False) -> Verdict:
    """What ``pycocotools.COCO`` makes of a file; an error survives, so does the right content."""
    from pycocotools.coco import COCO

    clean = data_set(path.parents[2].with_name('clean'))
    try:
        found = COCO(str(path))
        for one in found.loadAnns(found.getAnnIds()):
            found.annToMask(one)
    except Exception as error:
        return survived(f'{type(error).__name__}: {error}')
    tables = {'categories': found.cats, 'images': found.imgs, 'annotations': found.anns}
    try:
        is_same = known_of({key: list(table.values()) for key, table in tables.items()}) == known_of(
            read(clean)
        )
    except (KeyError, TypeError):
        is_same = False
    return survived() if is_same and not on_disk else quiet('was taken for good')


def same_id(content: Content, section: str) -> None:
    content[section][1]['id'] = content[section][0]['id']


HUGE = 1 << 127
DOUBLES = [
    records('image ids', lambda c: same_id(c, 'images')),
    records('image ids of other kinds', lambda c: c['images'][1].update(id=True)),
    records('category ids', lambda c: same_id(c, 'categories')),
    records('category names', lambda c: c['categories'][1].update(name=c['categories'][0]['name'])),
    records('file names', lambda c: c['images'][1].update(file_name=c['images'][0]['file_name'])),
    records('file names, spelled otherwise', lambda c: c['images'][1].update(file_name='./00000.png')),
    records('file names with two slashes', lambda c: c['images'][1].update(file_name='.//00000.png')),
    records('an image twice', lambda c: c['images'].append(dict(c['images'][0]))),
]


@fault('E1.double', 'ids, names and file names that are there twice', stock_losses=0.6)
def double(arena: Arena) -> Iterator[Trial]:
    again = records('annotation ids', lambda c: same_id(c, 'annotations'), must_be_read=True)
    yield from trials(arena, [*DOUBLES, again])


def _swap_names(content: Content) -> None:
    one, other = content['categories']
    one['name'], other['name'] = other['name'], one['name']


def _renumber(content: Content, new: dict[int, int]) -> None:
    for one in content['categories']:
        one['id'] = new[one['id']]
    for one in content['annotations']:
        one['category_id'] = new[one['category_id']]


CATEGORIES = [
    annotation_with('unknown id', category_id=7),
    annotation_with('id 0 of nothing', category_id=0),
    annotation_with('no id', category_id=None),
    annotation_with('list as id', category_id=[1]),
    annotation_with('id as text', category_id='1'),
    records('nameless', lambda c: c['categories'][0].pop('name')),
    records('no categories', lambda c: c.update(categories=[])),
    records('categories as table', lambda c: c.update(categories={'1': 'kind1'})),
]


@fault('E2.categories', 'categories that are not those of the data set', stock_losses=0.5)
def categories(arena: Arena) -> Iterator[Trial]:
    others = [
        records('renamed', lambda c: c['categories'][0].update(name='other')),
        records('names exchanged', _swap_names),
        records('from 0 on, unlike in test', lambda c: _renumber(c, {1: 0, 2: 1})),
        records('gaps, unlike in test', lambda c: _renumber(c, {1: 5, 2: 90})),
        records('one more', lambda c: c['categories'].append({'id': 9, 'name': 'more'})),
        records('in another order', lambda c: c['categories'].reverse()),
    ]
    yield from trials(arena, [*CATEGORIES, *others])


def _drop_image_file(path: Path) -> None:
    (path.parents[1] / 'images/00003.png').unlink()


def _add_image_file(path: Path) -> None:
    shutil.copyfile(path.parents[1] / 'images/00003.png', path.parents[1] / 'images/more.png')


def _cut_image_file(path: Path) -> None:
    target = path.parents[1] / 'images/00003.png'
    target.write_bytes(target.read_bytes()[:20])


def _pipe_for_image(path: Path) -> None:
    target = path.parents[1] / 'images/00003.png'
    target.unlink()
    os.mkfifo(target)


ORPHANS = [
    annotation_with('of no image', image_id=777),
    annotation_with('image as list', image_id=[0]),
    records('no image_id', lambda c: c['annotations'][0].pop('image_id')),
    records('an image removed', lambda c: c['images'].pop(0)),
    records('a record that is none', lambda c: c['images'].append(3)),
]
MISSING = FileFault('image missing', _drop_image_file, on_disk=True)


@fault('E3.orphans', 'annotations without image, images that are missing or too many', stock_losses=0.4)
def orphans(arena: Arena) -> Iterator[Trial]:
    listed = records('image listed that never was', lambda c: c['images'].append(image(555, 'p0')))
    files = [
        MISSING,
        FileFault('image of no annotation file', _add_image_file, on_disk=True, file='A/images/more.png'),
        FileFault('image cut', _cut_image_file, on_disk=True, file='A/images/00003.png'),
        FileFault('image a pipe', _pipe_for_image, on_disk=True, file='A/images/00003.png'),
    ]
    yield from trials(arena, [*ORPHANS, listed, *files])


VALUES = [
    annotation_with('box negative', bbox=[-4.0, -4.0, -9.0, -9.0]),
    annotation_with('box outside', bbox=[500.0, 500.0, 9.0, 9.0]),
    annotation_with('box of another place', bbox=[20.0, 2.0, 9.0, 9.0]),
    annotation_with('box of corners', bbox=[3.0, 2.0, 12.0, 11.0]),
    annotation_with('box of three', bbox=[3.0, 2.0, 9.0]),
    annotation_with('box of texts', bbox=['3', '2', '9', '9']),
    annotation_with('box of a truth', bbox=[3.0, 2.0, True, 9.0]),
    annotation_with('area not a number', area=float('nan')),
    annotation_with('area without end', area=float('inf')),
    annotation_with('area negative', area=-81),
    annotation_with('area as text', area='81'),
    annotation_with('area beyond all numbers', area=10**400),
    annotation_with('box beyond all numbers', bbox=[10**400, 2, 9, 9]),
    image_with('height beyond all numbers', height=10**400),
    image_with('height 0', height=0),
    image_with('height as text', height='24'),
    image_with('height with a fraction', height=24.5),
    image_with('sizes exchanged', height=32, width=24),
    image_with('image id as list', id=[0]),
    image_with('image id missing', id=None),
]
AREAS = [annotation_with('area of another mask', area=40), annotation_with('area 0', area=0)]


def _as_polygon(**fields: Any) -> Callable[[Content], None]:
    polygon = [3, 2, 12, 2, 12, 11, 3, 11]
    return lambda c: c['annotations'][0].update({'segmentation': [polygon], **fields})


def _as_runs(**fields: Any) -> Callable[[Content], None]:
    runs = [74, *[9, 15] * 8, 9]
    counts = [*runs, 24 * 32 - sum(runs)]
    return lambda c: c['annotations'][0].update(
        {'segmentation': {'size': [24, 32], 'counts': counts}, **fields}
    )


@fault('E5.values', 'boxes, areas and sizes that are not those of mask and image', stock_losses=0.8)
def values(arena: Arena) -> Iterator[Trial]:
    others = [
        records('area of another polygon', _as_polygon(area=500)),
        records('box of another polygon', _as_polygon(bbox=[9.0, 9.0, 9.0, 9.0])),
        records('area of other runs', _as_runs(area=500)),
        records('box of other runs', _as_runs(bbox=[9.0, 9.0, 9.0, 9.0])),
    ]
    yield from trials(arena, [*VALUES, *AREAS, *others])


def _every(section: str, reference: str, new: Callable[[int], Any]) -> Callable[[Content], None]:
    def change(content: Content) -> None:
        for one in content[section]:
            one['id'] = new(one['id'])
        for one in content['annotations'] if reference else ():
            one[reference] = new(one[reference])

    return change


IDS = {
    'images of 128 bits': _every('images', 'image_id', lambda id_: HUGE + id_),
    'images as texts': _every('images', 'image_id', lambda id_: f'img-{id_}'),
    'images as texts of numbers': _every('images', 'image_id', str),
    'images below 0': _every('images', 'image_id', lambda id_: -1 - id_),
    'categories of 128 bits': _every('categories', 'category_id', lambda id_: HUGE + id_),
    'annotations of 128 bits': _every('annotations', '', lambda id_: HUGE + id_),
    'annotations as texts': _every('annotations', '', lambda id_: f'a{id_}'),
    'annotations from 0 on': _every('annotations', '', lambda id_: id_ - 1),
    'annotations without': _every('annotations', '', lambda id_: None),
}


@fault('E5.ids', 'ids of 128 bits, as texts, 0 or missing: read, numbered anew, and said', stock_losses=0.05)
def odd_ids(arena: Arena) -> Iterator[Trial]:
    both = {'categories of 128 bits'}
    cases = [records(name, change, must_be_read=name not in both) for name, change in IDS.items()]
    yield from trials(arena, cases)
