"""Planted copies are found across data sets, subjects and parts; other speckle is none; a new split leaves them out."""

from __future__ import annotations

import csv
import importlib
import json
import os
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from unittest import mock

import cv2
import numpy as np
import pytest

from tests.corpus.tools.tiny import write_json
from ultrasam.corpus.build import build_corpus
from ultrasam.corpus.errors import DataFaultsError, EnvironmentFault, Fault, UnsafeNameError
from ultrasam.corpus.near_duplicates import hashes as hashing
from ultrasam.corpus.near_duplicates.candidates import find_candidates
from ultrasam.corpus.near_duplicates.confirmation import LEAST_AGREEMENT, Comparison, agreement
from ultrasam.corpus.near_duplicates.exclusion import EXCLUDED, choose_excluded, read_excluded, write_excluded
from ultrasam.corpus.near_duplicates.hashes import HASH_BYTES, hash_image
from ultrasam.corpus.near_duplicates.search import NearDuplicateReport, find_near_duplicates
from ultrasam.corpus.near_duplicates.views import CROPS, content_of
from ultrasam.corpus.verify import verify_corpus
from ultrasam.errors import AnnotationError, ConfigError, InputError, OutputError
from ultrasam.simulation import SimulationSettings, simulate_frame, simulator

pytest.importorskip('imagehash')
Pictures = dict[tuple[str, str, str], np.ndarray]
"""Images by part ('' if not split), subject and file name."""
SETTINGS = SimulationSettings(size=192, overlays=False)


def frame(seed: int) -> np.ndarray:
    return simulate_frame(seed, settings=SETTINGS).image


def same_scene(seed: int, turn: int) -> np.ndarray:
    """The scene and the machine follow from the seed, speckle and noise from the turn too."""
    form_image = simulator.form_image
    with mock.patch.object(
        simulator, 'form_image', lambda _, *scene: form_image(np.random.default_rng([seed, turn]), *scene)
    ):
        return frame(seed)


def encode(picture: np.ndarray, quality: int = 50) -> np.ndarray:
    code = cv2.imencode('.jpg', picture, [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
    return cv2.imdecode(code, cv2.IMREAD_UNCHANGED)


def crop(picture: np.ndarray) -> np.ndarray:
    height, width = picture.shape
    return picture[round(height * 0.04) : round(height * 0.99), round(width * 0.02) : round(width * 0.97)]


def save(path: Path, picture: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(cv2.imencode(path.suffix, picture)[1].tobytes())


def plant(root: Path, name: str, pictures: Pictures) -> None:
    """Write a data set: the main file has what is not test."""
    folder = root / name
    parts: dict[str, list[dict]] = {'': []}
    for number, ((part, subject, file_name), picture) in enumerate(pictures.items()):
        save(folder / 'images' / file_name, picture)
        record = {
            'id': number,
            'file_name': file_name,
            'subject': subject,
            'height': picture.shape[0],
            'width': picture.shape[1],
        }
        parts.setdefault(part, []).append(record)
        if part in ('train', 'val'):
            parts[''].append(record)
    for part, images in parts.items():
        content = {'images': images, 'annotations': [], 'categories': [{'id': 1, 'name': 'cyst'}]}
        words = [part] if part else []
        write_json(folder / 'annotations' / '.'.join([*words, f'{name}__coco.json']), content)


def names(report: NearDuplicateReport) -> list[tuple[str, str]]:
    return [(pair.first.name, pair.second.name) for pair in report.pairs]


FRAMES = {seed: frame(seed) for seed in range(6)}
COPIES: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    'same': lambda one: one,
    'encoded': encode,
    'small': lambda one: cv2.resize(one, None, fx=0.6, fy=0.6, interpolation=cv2.INTER_AREA),
    'large': lambda one: cv2.resize(one, None, fx=1.5, fy=1.5),
    'cropped': crop,
    'brighter': lambda one: np.clip(one * 1.3 + 10.0, 0, 255).astype(np.uint8),
    'colour': lambda one: np.repeat(one[..., None], 3, axis=2),
    'mirrored': lambda one: one[:, ::-1],
    'bordered': lambda one: np.pad(one, ((30, 0), (5, 60))),
}


@pytest.fixture(scope='module')
def leaking(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Data set A trains on six frames; every kind of copy of one of them is in the test part of B."""
    root = tmp_path_factory.mktemp('leaking')
    plant(root, 'A', {('train', f'a{seed}', f'{seed}.png'): one for seed, one in FRAMES.items()})
    copies: Pictures = {('test', 'b', f'{kind}.png'): change(FRAMES[0]) for kind, change in COPIES.items()}
    others: Pictures = {('train', f'b{seed}', f'{seed}.png'): frame(seed) for seed in (20, 21, 22)}
    plant(root, 'B', copies | others)
    return root


def test_the_closest_copies_in_another_part_are_found(leaking: Path) -> None:
    report = find_near_duplicates(leaking)
    found = {second for first, second in names(report) if first == 'A/images/0.png'}
    assert found == {f'B/images/{kind}.png' for kind in COPIES}
    assert all(pair.is_leak and pair.kind == 'two data sets' for pair in report.pairs)
    assert [pair.second.file_name for pair in report.pairs if pair.mirrored] == ['mirrored.png']
    assert len(report.pairs) == len(COPIES), 'nothing else is alike'
    assert report.images == len(FRAMES) + len(COPIES) + 3


@pytest.mark.parametrize('kind', COPIES)
def test_copies_of_each_kind_agree_and_other_frames_do_not(kind: str, leaking: Path) -> None:
    copy = leaking / f'B/images/{kind}.png'
    mirrored = len(CROPS) - 1
    crops = (0, mirrored if kind == 'mirrored' else 0)
    assert agreement(Comparison(leaking / 'A/images/0.png', copy, crops)) >= LEAST_AGREEMENT
    assert agreement(Comparison(leaking / 'A/images/1.png', copy, crops)) < 0.5


def test_the_same_scene_with_other_speckle_is_no_copy(tmp_path: Path) -> None:
    """Hashes propose such frames; the speckle tells."""
    pictures: Pictures = {
        ('train' if turn else 'test', f'p{seed} {turn}', f'{seed}_{turn}.png'): same_scene(seed, turn)
        for seed in range(8)
        for turn in range(2)
    }
    plant(tmp_path, 'A', pictures)
    report = find_near_duplicates(tmp_path)
    assert report.proposed > 0
    assert names(report) == []


def test_frames_of_one_subject_in_one_part_are_counted_not_listed(tmp_path: Path) -> None:
    pictures: Pictures = {
        ('train', 'film', f'{number}.png'): encode(FRAMES[0], 90 - number) for number in range(4)
    }
    pictures |= {('train', 'alone', 'alone.png'): FRAMES[1]}
    plant(tmp_path, 'A', pictures)
    report = find_near_duplicates(tmp_path)
    assert report.alike_in_group == 4
    assert names(report) == []


def test_one_subject_in_two_parts_is_a_leak_that_verify_finds_too(tmp_path: Path) -> None:
    plant(
        tmp_path,
        'A',
        {('train', 'p', '0.png'): FRAMES[0], ('val', 'p', '1.png'): encode(FRAMES[0])},
    )
    (pair,) = find_near_duplicates(tmp_path).pairs
    assert (pair.is_leak, pair.kind) == (True, 'one subject')
    assert verify_corpus(tmp_path).faults['subjects in two parts'] == 1


def test_two_subjects_of_one_part_are_no_leak(tmp_path: Path) -> None:
    plant(
        tmp_path,
        'A',
        {('train', 'p', '0.png'): FRAMES[0], ('train', 'q', '1.png'): encode(FRAMES[0])},
    )
    (pair,) = find_near_duplicates(tmp_path).pairs
    assert (pair.is_leak, pair.kind) == (False, 'two subjects')


def test_a_data_set_that_is_not_split_is_compared(tmp_path: Path) -> None:
    plant(tmp_path, 'A', {('', 'p', '0.png'): FRAMES[0], ('test', 'q', '1.png'): crop(FRAMES[0])})
    (pair,) = find_near_duplicates(tmp_path).pairs
    assert {pair.first.part, pair.second.part} == {'unsplit', 'test'}
    assert not pair.is_leak


def test_releases_that_are_one_share_their_subjects(tmp_path: Path) -> None:
    for name in ('MUP', 'MicroSeg'):
        plant(tmp_path, name, {('train', 'p1', f'{name}.png'): encode(FRAMES[2])})
    report = find_near_duplicates(tmp_path)
    assert (names(report), report.alike_in_group) == ([], 2)


def test_blank_images_are_named_not_compared(tmp_path: Path) -> None:
    blank = np.zeros((80, 90), np.uint8)
    plant(tmp_path, 'A', {('train', 'p', '0.png'): blank, ('test', 'q', '1.png'): blank + np.uint8(200)})
    report = find_near_duplicates(tmp_path)
    assert names(report) == []
    assert [picture.file_name for picture in report.blank] == ['0.png', '1.png']


def test_several_processes_find_the_same(leaking: Path, tmp_path: Path) -> None:
    alone = find_near_duplicates(leaking, cache=tmp_path / 'one')
    assert find_near_duplicates(leaking, jobs=2, cache=tmp_path / 'two').pairs == alone.pairs


def test_a_second_run_reads_only_what_changed(
    leaking: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = find_near_duplicates(leaking, cache=tmp_path)
    read: list[Path] = []

    def counting(path: Path) -> object:
        read.append(path)
        return hash_image(path)

    monkeypatch.setattr(hashing, 'hash_image', counting)
    second = find_near_duplicates(leaking, cache=tmp_path)
    assert (read, second.cached, second.pairs) == ([], first.images, first.pairs)
    changed = leaking / 'A/images/3.png'
    os.utime(changed, (1, 1))
    assert find_near_duplicates(leaking, cache=tmp_path).cached == first.images - 1
    assert read == [changed]


@pytest.mark.parametrize('content', [b'', b'PK\x03\x04 cut', b'\x93NUMPY'])
def test_a_damaged_cache_is_made_again(content: bytes, leaking: Path, tmp_path: Path) -> None:
    first = find_near_duplicates(leaking, cache=tmp_path)
    (tmp_path / 'A.npz').write_bytes(content)
    second = find_near_duplicates(leaking, cache=tmp_path)
    assert second.pairs == first.pairs
    assert second.cached == first.images - len(FRAMES)


def test_work_that_was_stopped_is_kept(leaking: Path, tmp_path: Path) -> None:
    def stop(items: Iterable, title: str) -> Iterable:
        for number, item in enumerate(items):
            if number == 4:
                raise KeyboardInterrupt
            yield item

    with pytest.raises(KeyboardInterrupt):
        find_near_duplicates(leaking, cache=tmp_path, track=stop)
    assert find_near_duplicates(leaking, cache=tmp_path).cached == 4


def test_images_that_cannot_be_read_are_named_all(tmp_path: Path) -> None:
    plant(tmp_path, 'A', {('train', f'p{seed}', f'{seed}.png'): one for seed, one in FRAMES.items()})
    for name in ('1.png', '4.png'):
        path = tmp_path / 'A/images' / name
        path.write_bytes(path.read_bytes()[:30])
    (tmp_path / 'A/images/5.png').write_bytes(b'')
    with pytest.raises(DataFaultsError, match='3 files could not be converted') as caught:
        find_near_duplicates(tmp_path)
    assert all(name in str(caught.value) for name in ('1.png', '4.png', '5.png'))
    (tmp_path / 'A/images/1.png').unlink()
    with pytest.raises(DataFaultsError, match=r'1\.png: cannot be read'):
        find_near_duplicates(tmp_path)


def test_a_link_out_of_the_data_set_is_refused(tmp_path: Path) -> None:
    root = tmp_path / 'data'
    plant(root, 'A', {('train', 'p', '0.png'): FRAMES[0]})
    (root / 'A/images/0.png').rename(tmp_path / 'secret.png')
    (root / 'A/images/0.png').symlink_to(tmp_path / 'secret.png')
    with pytest.raises(UnsafeNameError, match='leaves its data set'):
        find_near_duplicates(root)


def test_wrong_use_is_refused(leaking: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigError, match='jobs=0'):
        find_near_duplicates(leaking, jobs=0)
    with pytest.raises(InputError, match='no such folder'):
        find_near_duplicates(tmp_path / 'nowhere')
    hashing._library.cache_clear()
    monkeypatch.setitem(sys.modules, 'imagehash', None)
    with pytest.raises(EnvironmentFault, match=r'pip install "ultrasam\[corpus\]"'):
        find_near_duplicates(leaking, cache=tmp_path)
    hashing._library.cache_clear()


def test_the_border_is_taken_off_and_lettering_does_not_hold_it() -> None:
    picture = np.pad(FRAMES[0], ((60, 0), (0, 40)))
    cv2.putText(picture, 'MI 0.9', (5, 20), cv2.FONT_HERSHEY_PLAIN, 0.5, 255)
    np.testing.assert_array_equal(content_of(picture), content_of(FRAMES[0]))


def test_hashes_are_of_imagehash(tmp_path: Path) -> None:
    save(tmp_path / 'one.png', FRAMES[0])
    values = hash_image(tmp_path / 'one.png')
    assert isinstance(values, np.ndarray)
    assert (values.shape, values.dtype) == ((len(CROPS), HASH_BYTES), np.uint8)
    assert 0.4 < np.unpackbits(values).mean() < 0.6
    assert isinstance(hash_image(tmp_path / 'none.png'), Fault)


def flipped(values: np.ndarray, bits: int, rng: np.random.Generator) -> np.ndarray:
    """Copies of hashes with some bits changed, the same in all crops."""
    changed = np.unpackbits(values, axis=2)
    for one in changed:
        one[:, rng.permutation(changed.shape[2])[:bits]] ^= 1
    return np.packbits(changed, axis=2)


def test_close_hashes_are_proposed_and_others_are_not() -> None:
    rng = np.random.default_rng(0)
    values = rng.integers(0, 256, (3000, len(CROPS), HASH_BYTES), np.uint8)
    values[1500:1600] = flipped(values[:100], 20, rng)
    found = find_candidates(values, np.arange(3000))
    pairs = {tuple(pair) for pair in found.pairs.tolist()}
    assert pairs == {(number, 1500 + number) for number in range(100)}
    assert set(found.bits.tolist()) == {20}
    np.testing.assert_array_equal(found.crops[:, 0], found.crops[:, 1])


def test_a_copy_among_the_frames_of_long_films_is_proposed() -> None:
    """Two films of 400 frames that are all alike, and one frame of the first once more."""
    rng = np.random.default_rng(1)
    films = np.repeat(rng.integers(0, 256, (2, len(CROPS), HASH_BYTES), np.uint8), 400, axis=0)
    values = flipped(films, 8, rng)
    values = np.concatenate([values, flipped(values[200:201], 8, rng)])
    groups = np.r_[np.repeat([0, 1], 400), 2]
    found = find_candidates(values, groups)
    assert [200, 800] in found.pairs.tolist()
    assert len(found.pairs) > 350, 'each frame of the film has the copy as its closest'
    assert found.pairs[0].tolist() == [200, 800]
    assert found.pairs[:, 0].max() < 400
    assert found.alike_in_group == 800


def test_an_image_with_many_alike_is_compared_with_the_closest_and_this_is_said() -> None:
    rng = np.random.default_rng(2)
    one = rng.integers(0, 256, (1, len(CROPS), HASH_BYTES), np.uint8)
    values = flipped(np.repeat(one, 40, axis=0), 6, rng)
    found = find_candidates(values, np.arange(40))
    assert len(found.pairs) < 40 * 39 // 2
    assert np.bincount(found.pairs.ravel(), minlength=40).min() >= 15
    assert found.not_followed > 0


@pytest.mark.parametrize('number', [0, 1])
def test_too_few_images_have_no_pairs(number: int) -> None:
    found = find_candidates(np.ones((number, len(CROPS), HASH_BYTES), np.uint8), np.zeros(number, np.int64))
    assert found.pairs.shape == found.crops.shape == (0, 2)


def test_what_is_tested_stays_and_training_gives_way(leaking: Path) -> None:
    leaks = find_near_duplicates(leaking).leaks
    chosen = choose_excluded(leaks)
    assert {dataset: list(images) for dataset, images in chosen.items()} == {'A': ['0.png']}
    assert chosen['A']['0.png'].startswith('train, like B/images/')


def test_the_list_grows_and_never_shrinks(leaking: Path, tmp_path: Path) -> None:
    write_json(tmp_path / EXCLUDED, {'excluded': {'A': {'9.png': 'by hand'}, 'Z': {'1.png': 'by hand'}}})
    leaks = find_near_duplicates(leaking).leaks
    path, added = write_excluded(tmp_path, leaks)
    assert added == 1
    listed = read_excluded(tmp_path)
    assert list(listed['A']) == ['0.png', '9.png']
    assert listed['Z'] == {'1.png': 'by hand'}
    before = path.read_bytes()
    assert write_excluded(tmp_path, leaks) == (path, 0)
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    'content', ['', '{"excluded": [1]}', '{}', '{"excluded": {"A": 3}}', '[]', '\x00', '[' * 9999]
)
def test_a_damaged_list_is_refused_and_stays(content: str, tmp_path: Path) -> None:
    path = tmp_path / EXCLUDED
    path.write_text(content)
    with pytest.raises(AnnotationError, match='is damaged'):
        write_excluded(tmp_path, [])
    assert path.read_text() == content


def test_excluded_images_are_in_no_part_of_the_next_split(tmp_path: Path) -> None:
    """The whole way: build, search, list, build again, search again."""
    plant(tmp_path, 'A', {('', f'a{seed}', f'{seed}.png'): one for seed, one in FRAMES.items()})
    plant(
        tmp_path,
        'B',
        {
            ('', 'b1', '1.png'): frame(20),
            ('', 'b2', '2.png'): frame(21),
            ('test', 't', 't.png'): crop(FRAMES[0]),
        },
    )
    build_corpus(tmp_path)
    assert not verify_corpus(tmp_path).faults['images in two parts'], 'no bytes are the same'
    report = find_near_duplicates(tmp_path)
    assert [pair.second.name for pair in report.leaks] == ['B/images/t.png']
    write_excluded(tmp_path, report.leaks)
    from ultrasam.corpus.splits import SplitOptions

    built = build_corpus(tmp_path, SplitOptions(overwrite=True))
    assert built.splits[0].excluded == 1
    again = find_near_duplicates(tmp_path)
    assert (again.pairs, again.images) == ([], report.images - 1)
    assert (tmp_path / 'A/images/0.png').is_file()
    kept = json.loads((tmp_path / 'A/annotations/A__coco.json').read_text())
    assert len(kept['images']) == len(FRAMES)


def command() -> Callable[[list[str]], int]:
    path = Path(__file__).parents[3] / 'datasets/tools/near_duplicates.py'
    spec = importlib.util.spec_from_file_location('near_duplicates_command', path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.main


def test_the_command_reports_and_lists(leaking: Path, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    out = tmp_path / 'report'
    arguments = [str(leaking), '--out', str(out), '--cache', str(tmp_path / 'cache')]
    assert command()([*arguments, '--drop-from-train']) == 3
    shown = capsys.readouterr().out
    assert f'{len(COPIES)} leaks' in shown
    assert list(read_excluded(leaking)['A']) == ['0.png']
    with (out / 'near_duplicates.csv').open(newline='') as file:
        rows = list(csv.DictReader(file))
    assert [row['leak'] for row in rows] == ['yes'] * len(COPIES)
    assert {row['part_a'] for row in rows} | {row['part_b'] for row in rows} == {'train', 'test'}
    assert 'A train' in (out / 'README.md').read_text()
    pages = sorted(out.glob('pairs_*.jpg'))
    assert len(pages) == -(-len(COPIES) // 18)
    assert cv2.imread(str(pages[0])).shape[1] == 3 * 480
    assert command()(arguments) == 5, 'a report that is there stays'
    assert command()([*arguments, '--overwrite']) == 3
    (leaking / EXCLUDED).unlink()


def test_the_command_ends_well_where_nothing_is_found(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    plant(tmp_path, 'A', {('train', 'p', '0.png'): FRAMES[0], ('test', 'q', '1.png'): FRAMES[1]})
    assert command()([str(tmp_path)]) == 0
    assert '0 leaks' in capsys.readouterr().out
    assert (tmp_path / 'near_duplicates/README.md').is_file()


def test_a_folder_with_something_else_is_never_replaced(leaking: Path, tmp_path: Path) -> None:
    (tmp_path / 'thesis.txt').write_text('mine')
    assert command()([str(leaking), '--out', str(tmp_path), '--overwrite']) == 5
    assert (tmp_path / 'thesis.txt').read_text() == 'mine'


def test_names_are_shown_as_text(tmp_path: Path) -> None:
    from ultrasam.corpus.near_duplicates.pages import write_pages

    plant(
        tmp_path / 'data',
        'A<b>|',
        {('train', '<script>', '0.png'): FRAMES[0], ('test', 'q', '1.png'): FRAMES[0]},
    )
    target = write_pages(tmp_path / 'out', find_near_duplicates(tmp_path / 'data'))
    assert r'A\<b\>\|' in (target / 'README.md').read_text()
    with pytest.raises(OutputError, match='exists already'):
        write_pages(target, find_near_duplicates(tmp_path / 'data'))
