"""``--published``: what it changes, and that it changes nothing else."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pytest

from tests.corpus.test_sweep import DESCRIPTIONS, ROOT, build
from ultrasam.corpus.engine import Options, convert_dataset
from ultrasam.corpus.loading import load_spec

POOLED = ('echonet_dynamic', 'luss_phantom', 'microseg', 'mmotu_3d', 'mup', 's1', 'tn3k')
WITH_CHOICES = sorted(name for name, path in DESCRIPTIONS.items() if load_spec(path).published)


def objects_of(folder: Path) -> tuple[Counter[tuple[str, ...]], set[str]]:
    """Objects by source file, frame, category and mask; and the names of the COCO files."""
    found: Counter[tuple[str, ...]] = Counter()
    files = sorted((folder / 'annotations').glob('*__coco.json'))
    for path in files:
        content = json.loads(path.read_text())
        images = {one['id']: (one['source_file'], str(one.get('frame'))) for one in content['images']}
        names = {one['id']: one['name'] for one in content['categories']}
        found.update((source, frame) for source, frame in images.values())
        for one in content['annotations']:
            mask = one['segmentation']['counts']
            found[(*images[one['image_id']], names[one['category_id']], mask)] += 1
    return found, {path.name.removesuffix(f'{folder.name}__coco.json') for path in files}


def both(name: str, tmp_path: Path) -> tuple[Counter[tuple[str, ...]], Counter[tuple[str, ...]], set[str]]:
    source = build(name, tmp_path / 'raw').source
    found = []
    for published in (False, True):
        options = Options(accept_counts=True, published=published, keep_crumbs=True)
        report = convert_dataset(DESCRIPTIONS[name], source, tmp_path / str(published), options)
        found.append(objects_of(report.folder))
    return found[0][0], found[1][0], found[1][1]


@pytest.mark.parametrize('name', POOLED)
def test_official_tests_are_pooled_and_nothing_else_changes(name: str, tmp_path: Path) -> None:
    ours, theirs, files = both(name, tmp_path)
    assert files == {''}
    assert ours == theirs


def test_outlines_of_aul(tmp_path: Path) -> None:
    ours, theirs, _ = both('aul', tmp_path)
    more = theirs - ours
    assert not ours - theirs
    assert more and {key[2] for key in more} == {'outline'}


@pytest.mark.parametrize(
    ('name', 'here', 'there'),
    [('breast', 'other_lesion', 'cyst'), ('stu_hospital', 'breast_nodule', 'benign_tumour')],
)
def test_names_of_categories(name: str, here: str, there: str, tmp_path: Path) -> None:
    ours, theirs, _ = both(name, tmp_path)
    assert here in {key[2] for key in ours if len(key) > 2}
    names = {key[2] for key in theirs if len(key) > 2}
    assert there in names and here not in names


@pytest.mark.parametrize('name', ['105us', 'ccaui', 'echocp', 'segthy', 'stmus_nda'])
def test_masks_are_those_of_the_published_rule(name: str, tmp_path: Path) -> None:
    ours, theirs, _ = both(name, tmp_path)
    assert ours != theirs, 'the raw tree does not show the difference'
    assert {key for key in ours if len(key) == 2} >= {key for key in theirs if len(key) == 2}


def test_the_page_names_every_choice() -> None:
    page = (ROOT / 'docs/as_published.md').read_text(encoding='utf-8')
    for name in WITH_CHOICES:
        assert name in page, name
