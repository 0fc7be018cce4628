"""Every description converts the raw tree of its release to exactly what was drawn."""

from __future__ import annotations

import hashlib
import importlib
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from pycocotools import mask as coco_mask

from tests.corpus.raw_trees.common import Picture, Tree
from ultrasam.corpus.engine import Options, Report, convert_dataset
from ultrasam.corpus.loading import list_descriptions, load_spec

ROOT = Path(__file__).resolve().parents[2]
DESCRIPTIONS = list_descriptions(ROOT / 'datasets/us43d')
TREES = sorted(path.stem for path in (Path(__file__).parent / 'raw_trees').glob('*.py'))
TREES = [name for name in TREES if name not in ('__init__', 'common')]


def build(name: str, folder: Path) -> Tree:
    module = importlib.import_module(f'tests.corpus.raw_trees.{name}')
    assert module.SHOWS, 'say which published faults the tree would bring to light'
    folder.mkdir()
    tree: Tree = module.build(folder)
    return tree


def convert(name: str, source: Path, out: Path, *, jobs: int = 1) -> Report:
    return convert_dataset(DESCRIPTIONS[name], source, out, Options(jobs=jobs, accept_counts=True))


def digests(folder: Path) -> dict[str, str]:
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob('*'))
        if path.is_file()
    }


def laid_out_otherwise(source: Path, target: Path) -> None:
    """The same files in another place, made in the reverse order."""
    for path in sorted(source.rglob('*'), reverse=True):
        if path.is_file():
            copy = target / path.relative_to(source)
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, copy)


def test_every_description_has_a_tree() -> None:
    assert sorted(DESCRIPTIONS) == TREES
    assert len(TREES) > 40


@pytest.mark.parametrize('name', TREES)
def test_converts_to_what_was_drawn_wherever_it_lies(name: str, tmp_path: Path) -> None:
    tree = build(name, tmp_path / 'raw')
    before = digests(tmp_path / 'raw')
    report = convert(name, tree.source, tmp_path / 'out')
    assert digests(tmp_path / 'raw') == before, 'the source was changed'
    assert [path.name for path in (tmp_path / 'out').iterdir()] == [load_spec(DESCRIPTIONS[name]).name]
    assert dict(report.counts.left_out) == dict(tree.left_out)
    assert report.counts.unused == 0
    check_pictures(name, report.folder, tree.pictures)

    if tree.source.is_dir():
        laid_out_otherwise(tree.source, tmp_path / 'a' / 'deeper' / 'place')
    source = tmp_path / 'a' if tree.source.is_dir() else tree.source
    again = convert(name, source, tmp_path / 'again', jobs=2)
    assert digests(report.folder) == digests(again.folder), 'the place, the order or the processes matter'


def check_pictures(name: str, folder: Path, pictures: tuple[Picture, ...]) -> None:
    """Compare a published data set with what was drawn, pixel by pixel."""
    spec = load_spec(DESCRIPTIONS[name])
    wanted = {(picture.source, picture.frame): picture for picture in pictures}
    assert len(wanted) == len(pictures)
    names: list[str] = []
    for path in sorted((folder / 'annotations').glob('*__coco.json')):
        content = json.loads(path.read_text(encoding='utf-8'))
        assert [category['name'] for category in content['categories']] == [
            c.name for c in spec.categories if not c.optional
        ]
        is_test = path.name.startswith('test.')
        assert [image['id'] for image in content['images']] == list(range(len(content['images'])))
        assert [one['id'] for one in content['annotations']] == list(
            range(1, len(content['annotations']) + 1)
        )
        for image in content['images']:
            picture = wanted.pop((image['source_file'], image.get('frame')))
            assert is_test == (picture.part == 'test') == image['file_name'].startswith('test.')
            check_image(image, folder, picture)
            found = [one for one in content['annotations'] if one['image_id'] == image['id']]
            check_objects(found, {c['id']: c['name'] for c in content['categories']}, picture)
            names.append(image['file_name'])
    assert not wanted, f'not converted: {sorted(map(str, wanted))}'
    assert sorted(names) == sorted(path.name for path in (folder / 'images').iterdir())


def check_image(image: dict, folder: Path, picture: Picture) -> None:
    with Image.open(folder / 'images' / image['file_name']) as opened:
        assert opened.mode == 'RGB'
        pixels = np.asarray(opened)
    assert pixels.shape[:2] == (image['height'], image['width'])
    if picture.pixels is not None:
        drawn = (
            picture.pixels if picture.pixels.ndim == 3 else np.repeat(picture.pixels[..., None], 3, axis=2)
        )
        difference = np.abs(pixels.astype(int) - drawn).max()
        assert difference <= picture.tolerance, f'{picture.source}: pixels differ by {difference}'
    assert image['subject'] == (picture.source if picture.subject is None else picture.subject)
    assert image.get('official_split', '') == picture.part
    assert image.get('label', '') == picture.label


def check_objects(found: list[dict], categories: dict[int, str], picture: Picture) -> None:
    drawn = [(one.category, one.mask) for one in picture.objects]
    masks = [
        (categories[one['category_id']], coco_mask.decode(one['segmentation']).astype(bool)) for one in found
    ]
    assert [category for category, _ in masks] == [category for category, _ in drawn], picture.source
    for one, (_, mask), (_, expected) in zip(found, masks, drawn, strict=True):
        assert np.array_equal(mask, expected), f'{picture.source}: {np.sum(mask != expected)} pixels differ'
        rows, columns = np.nonzero(expected)
        box = [columns.min(), rows.min(), np.ptp(columns) + 1, np.ptp(rows) + 1]
        assert (one['bbox'], one['area']) == (box, expected.sum())
