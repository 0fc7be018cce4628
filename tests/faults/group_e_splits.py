"""Group E, parts that must have nothing in common: subjects, images and files of an older split; and links."""

from __future__ import annotations

import functools
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

from tests.corpus.tools.tiny import read, write_json
from tests.faults.conversions import DATA_FAULTS, REFUSED
from tests.faults.group_e import NAME, command, data_set, judge_stock
from tests.faults.harness import Arena, Trial, Verdict, fault, lossy, quiet, survived
from ultrasam.hashing import file_sha256

Plant = Callable[[Path], object]


def _images(root: Path, part: str) -> list[str]:
    """Names of the images of a part."""
    return [one['file_name'] for one in read(root / f'A/annotations/{part}.{NAME}')['images']]


def _share_subject(one: str, other: str) -> Plant:
    def plant(root: Path) -> None:
        subject = read(root / f'A/annotations/{one}.{NAME}')['images'][0]['subject']
        for path in (root / f'A/annotations/{other}.{NAME}', root / f'A/annotations/{other}.agnostic.{NAME}'):
            content = read(path)
            content['images'][0]['subject'] = subject
            write_json(path, content)

    return plant


def _share_image(one: str, other: str, *, noted: bool) -> Plant:
    """The same bytes under two names; ``noted``: their digests are in a manifest, and no file is read for them."""

    def plant(root: Path) -> None:
        images = root / 'A/images'
        shutil.copyfile(images / _images(root, one)[0], images / _images(root, other)[0])
        if noted:
            files = {f'images/{path.name}': file_sha256(path) for path in sorted(images.iterdir())}
            write_json(root / 'A/manifest.json', {'files': files})

    return plant


def _share_with_other_set(root: Path) -> None:
    name = read(root / 'B/annotations/train.B__coco.json')['images'][0]['file_name']
    shutil.copyfile(root / 'A/images' / _images(root, 'test')[0], root / 'B/images' / name)


def _move_image(root: Path) -> None:
    """One image record, with its objects, in train and in val."""
    train, val = (root / f'A/annotations/{part}.{NAME}' for part in ('train', 'val'))
    content, other = read(train), read(val)
    image = {**other['images'][0], 'id': 999}
    content['images'].append(image)
    write_json(train, content)


def _old_merged_file(root: Path) -> None:
    for tool in (
        ['split_coco', root, '--seed', '7'],
        *(['create_agnostic_coco', root, '--mode', m] for m in ('train', 'val')),
    ):
        if command(*tool, '--overwrite').code != 0:
            raise RuntimeError(f'{tool} failed')


def _merged_with_less(root: Path) -> None:
    kept = root.with_name('kept')
    (root / 'B').rename(kept)
    for part in ('train', 'val', 'test'):
        out = root / f'{part}.agnostic.noSmall.coco.json'
        if command('merge_agnostic_coco', root, out, '--mode', part, '--overwrite').code != 0:
            raise RuntimeError('the merge failed')
    kept.rename(root / 'B')


LEAKS: dict[str, Plant] = {
    'subject in train and val': _share_subject('val', 'train'),
    'subject in test and train': _share_subject('test', 'train'),
    'subject in test and val': _share_subject('test', 'val'),
    'image in train and val': _share_image('train', 'val', noted=False),
    'image in train and test': _share_image('train', 'test', noted=False),
    'image in val and test, by manifest': _share_image('val', 'test', noted=True),
    'image in train and test, by manifest': _share_image('train', 'test', noted=True),
    'image of test in train of another set': _share_with_other_set,
    'record in train and val': _move_image,
    'merged files of the split before': _old_merged_file,
    'merged files without a data set': _merged_with_less,
}


@fault('E8.leaks', 'parts that share subjects or images', stock_losses=1)
def leaks(arena: Arena) -> Iterator[Trial]:
    for number, (name, plant) in enumerate(LEAKS.items()):
        root = data_set(arena.work / str(number)).parents[2]
        if command('build_corpus', root, '--train_percent', '0.6').code != 0:
            raise RuntimeError('the chain fails on a good corpus')
        plant(root)
        yield Trial(name, functools.partial(_judge_leak if arena.ours else _judge_stock_leak, root))


def _judge_leak(root: Path) -> Verdict:
    done = command('verify', root)
    if done.code is None:
        return lossy(f'a traceback: {done.text}')
    if done.code == 0:
        return quiet(f'was taken for good: {done.text}')
    kinds = ('in two parts', 'of another part', 'not merged')
    return survived(done.text) if any(kind in done.text for kind in kinds) else lossy(done.text)


def _judge_stock_leak(root: Path) -> Verdict:
    """What ``pycocotools.COCO`` makes of the parts, each for itself."""
    from pycocotools.coco import COCO

    try:
        for path in sorted((root / 'A/annotations').glob(f'*.{NAME}')):
            COCO(str(path))
    except Exception as error:
        return survived(f'{type(error).__name__}: {error}')
    return quiet('was taken for good')


@fault(
    'E8.tested', 'subjects and images of the official test part in the rest, before the split', stock_losses=0
)
def tested(arena: Arena) -> Iterator[Trial]:
    def subject(path: Path) -> None:
        content = read(path)
        content['images'][0]['subject'] = 't0'
        write_json(path, content)

    def picture(path: Path) -> None:
        images = path.parents[1] / 'images'
        shutil.copyfile(images / '00090.png', images / '00000.png')
        files = {f'images/{one.name}': file_sha256(one) for one in sorted(images.iterdir())}
        write_json(path.parents[1] / 'manifest.json', {'files': files})

    for name, plant in {'subject': subject, 'image': picture}.items():
        path = data_set(arena.work / name)
        plant(path)
        run = _judge_tested if arena.ours else judge_stock
        yield Trial(name, functools.partial(run, path))


def _judge_tested(path: Path) -> Verdict:
    """A build says so and ``verify`` refuses it; with ``--drop-tested`` all is well."""
    root = path.parents[2]
    done = command('build_corpus', root)
    if done.code != 0 or 'look at: ' not in done.text:
        return quiet(f'nothing was said: {done.text}')
    if command('verify', root).code != DATA_FAULTS:
        return quiet('verify takes it for good')
    done = command('build_corpus', root, '--drop-tested', '--overwrite')
    if done.code != 0 or 'dropped' not in done.text:
        return lossy(f'cannot be dropped: {done.text}')
    done = command('verify', root)
    return survived() if done.code == 0 else quiet(f'was not dropped: {done.text}')


def _link(path: Path, target: Path | str) -> None:
    path.unlink(missing_ok=True)
    path.symlink_to(target)


@fault('E6.links', 'images and results that are links to something outside', stock_losses=0, budget_s=20)
def links(arena: Arena) -> Iterator[Trial]:
    outside = arena.root / 'outside'
    pipe = outside / 'pipe'
    if not pipe.exists():
        os.mkfifo(pipe)
    plants: dict[str, Plant] = {
        'image to a pipe': lambda root: _link(root / 'A/images/00003.png', pipe),
        'image to a file': lambda root: _link(root / 'A/images/00003.png', outside / 'outside_0.bin'),
        'image upwards': lambda root: _link(root / 'A/images/00003.png', '../../../../outside/outside_0.bin'),
        'image to itself': lambda root: _link(root / 'A/images/00003.png', '00003.png'),
        'image to nothing': lambda root: _link(root / 'A/images/00003.png', 'nothing.png'),
        'image of another set': lambda root: _link(root / 'A/images/00003.png', root / 'B/images/00003.png'),
        'folder in the images': lambda root: _link(root / 'A/images/more', outside),
    }
    for number, (name, plant) in enumerate(plants.items()):
        path = data_set(arena.work / str(number))
        plant(path.parents[2])
        run = functools.partial(_judge_link, path) if arena.ours else functools.partial(judge_stock, path)
        yield Trial(name, run)
    for number, part in enumerate(('train', 'val')):
        path = data_set(arena.work / f'out{number}')
        _link(path.with_name(f'{part}.{NAME}'), outside / 'outside_0.bin')
        run = functools.partial(_judge_target, path) if arena.ours else functools.partial(judge_stock, path)
        yield Trial(f'{part} file to a file', run)


def _judge_link(path: Path) -> Verdict:
    """Refused by ``verify``; the chain reads no image, and may go on."""
    root = path.parents[2]
    built = command('build_corpus', root)
    done = command('verify', root)
    if built.code is None or done.code is None:
        return lossy(f'a traceback: {built.text} {done.text}')
    if done.code not in (DATA_FAULTS, REFUSED):
        return quiet(f'was taken for good: {done.text}')
    return survived(done.text) if '00003.png' in done.text or 'more' in done.text else lossy(done.text)


def _judge_target(path: Path) -> Verdict:
    """What a link leads to stays as it is, with ``--overwrite`` as well: the harness looks."""
    root = path.parents[2]
    for options in ((), ('--overwrite',)):
        done = command('build_corpus', root, *options)
        if done.code is None:
            return lossy(f'a traceback: {done.text}')
    return survived(done.text)
