"""Parts that are drawn: the public rule, ours by patient, and what is said of subjects on both sides."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace
from typing import Any

import pytest

from tests.classification_sets.test_sweep import spec_of
from ultrasam.corpus import Derived, DrawnParts
from ultrasam.corpus.classification.parts import choose_parts, shuffled_units
from ultrasam.corpus.classification.spec import ClassificationSpec
from ultrasam.corpus.errors import DataFaultsError
from ultrasam.corpus.patterns import fill
from ultrasam.errors import ConfigError, InputError

POCUS = spec_of('pocus')


def numbers(found: set[str]) -> list[int]:
    return sorted(map(int, found))


def records_of(rows: list[tuple[str, str, str, str]]) -> list[dict[str, Any]]:
    """Records of images by their source file, patient, class and content."""
    return [
        {
            'file_name': f'POCUS__{number:05d}.png',
            'label': label,
            'subject': patient,
            'sha256': content or f'digest of {number}',
            'places': {'': source, '_by_patient': patient},
        }
        for number, (source, patient, label, content) in enumerate(rows)
    ]


def many(count: int = 60) -> list[dict[str, Any]]:
    rows = []
    for number in range(count):
        label = POCUS.classes[number % 3]
        # every patient has two files, of one frame or several
        rows += [(f'{number:03d}.mp4', f'patient {number // 2}', label, '')] * (1 + number % 4)
    return records_of(rows)


def test_shuffled_is_the_public_rule() -> None:
    """The published test and validation patients, which the same rule gave."""
    patients = [f'{number:02d}' for number in range(1, 56)]
    test = shuffled_units(patients, 0.2, 0)
    assert numbers(test) == [3, 5, 12, 27, 31, 33, 34, 41, 44, 46, 47]
    val = shuffled_units([name for name in patients if name not in test], 0.1, 0)
    assert numbers(val) == [7, 14, 35, 38, 49]
    assert numbers(shuffled_units([f'{n:02d}' for n in range(1, 26)], 0.2, 42)) == [1, 9, 12, 17, 24]
    sources = [str(number) for number in range(188)]
    test = shuffled_units(sources, 0.2, 42)
    assert len(test) == 38
    assert len(shuffled_units([name for name in sources if name not in test], 0.1, 42)) == 15


def test_parts_of_fatty_liver_and_butterfly_are_those_of_the_rule() -> None:
    for name, by, seed, units, group in (
        ('fatty_liver', '{patient}', 0, range(1, 56), 'test'),
        ('butterfly', '{part}/{patient}', 42, range(1, 26), 'val'),
    ):
        (lists,) = spec_of(name).lists
        assert lists.parts.by == by
        found = {
            str(number)
            for number in units
            if lists.parts.part_of({'patient': str(number), 'part': 'training'}) == group
        }
        assert found == {str(int(n)) for n in shuffled_units([f'{n:02d}' for n in units], 0.2, seed)}


def test_shuffled_does_not_depend_on_the_order_of_the_files() -> None:
    units = [f'file {number}' for number in range(30)]
    assert shuffled_units(units, 0.2, 42) == shuffled_units([*reversed(units), 'file 3'], 0.2, 42)
    assert shuffled_units(units, 0.2, 42) != shuffled_units(units, 0.2, 43)


def test_public_split_divides_no_file_and_ours_no_patient() -> None:
    records = many()
    public, ours = choose_parts(POCUS, records)
    for report, key in ((public, ''), (ours, '_by_patient')):
        parts = defaultdict(set)
        for record in records:
            parts[record['places'][key]].add(report.part_of[record['file_name']])
        assert {len(found) for found in parts.values()} == {1}
        assert set().union(*parts.values()) == {'train', 'val', 'test'}
    assert ours.shared.total() == 0
    assert public.shared['test'] > 0
    share = ours.images['test'] / len(records)
    assert 0.15 < share < 0.25
    for part in ('train', 'val', 'test'):
        assert set(ours.labels[part]) == set(POCUS.classes)


def test_leak_is_that_of_a_plain_count() -> None:
    records = many()
    public = choose_parts(POCUS, records)[0]
    part_of = public.part_of
    others = {r['subject'] for r in records if part_of[r['file_name']] != 'test'}
    leaked = sum(part_of[r['file_name']] == 'test' and r['subject'] in others for r in records)
    assert public.shared['test'] == leaked
    assert f'{leaked} of {public.images["test"]} images are of subjects that other parts have' in str(
        public.warnings
    )


def test_patients_that_share_an_image_are_not_parted() -> None:
    rows = [(f'{n}.png', f'patient {n}', POCUS.classes[n % 3], '') for n in range(30)]
    for first in range(0, 28, 2):
        # a chain through all: 0-1, 2-3, ... and so on, each pair with one picture in common
        rows += [
            (f'{n}b.png', f'patient {n}', POCUS.classes[n % 3], f'same {first}') for n in (first, first + 1)
        ]
    records = records_of(rows)
    public, ours = choose_parts(POCUS, records)
    part_of = {record['subject']: ours.part_of[record['file_name']] for record in records}
    for first in range(0, 28, 2):
        assert part_of[f'patient {first}'] == part_of[f'patient {first + 1}']
    assert len(set(part_of.values())) == 3
    assert ours.repeated.total() == 0
    assert public.repeated.total() > 0, 'the public rule would have parted none of them'
    assert any('byte by byte' in text for text in public.warnings)


def test_images_that_come_back_very_often_still_join() -> None:
    rows = [(f'{n}.png', f'p{n}', POCUS.classes[n % 3], '') for n in range(9)]
    rows += [('a.gif', who, 'covid', 'still picture') for who in ('first', 'second') for _ in range(256)]
    records = records_of(rows)
    ours = choose_parts(POCUS, records)[1]
    assert len({ours.part_of[r['file_name']] for r in records if r['subject'] in ('first', 'second')}) == 1
    assert ours.repeated.total() == 0


def test_subject_in_two_parts_is_a_fault_unless_it_is_described() -> None:
    described, ours = POCUS.lists
    strict = replace(POCUS, lists=(replace(described, leak=''), ours))
    with pytest.raises(DataFaultsError, match=r'subject patient \d+: in .* and .* of train.txt'):
        choose_parts(strict, many())
    choose_parts(POCUS, many())


def test_class_that_a_part_lacks_is_said() -> None:
    rows = [(f'{n}.png', f'p{n}', 'covid' if n < 29 else 'regular', '') for n in range(30)]
    warnings = choose_parts(POCUS, records_of(rows))[1].warnings
    assert any(text.startswith('test_classification_by_patient.txt: no image of') for text in warnings)


def test_patients_are_parsed_from_names() -> None:
    patient = next(one for one in POCUS.derived if one.group == 'patient')
    for stem, wanted in {
        'Reg_pat1Image_01': 'Reg_pat1',
        'Reg_pat12Image 4': 'Reg_pat12',
        'reg_pat1Image_7': 'Reg_pat1',
        'Reg_northumbria_2210_set2_vid3': 'northumbria_2210',
        'Pneu_northumbria_2210_set1_vid1': 'northumbria_2210',
        'Cov-Atlas-Day+12': 'Cov-Atlas-Day',
        'Cov-Atlas+(44)': 'Cov-Atlas+(44)',
        'Cov_denault_vid14': 'Cov_denault',
        'Cov_convex_volpecelli_v3': 'Cov_convex_volpecelli',
        'Pneu_Avi_Video-1': 'Pneu_Avi',
        'Reg_Avi_Image-4': 'Reg_Avi',
        'Pneu-grep-7543': 'Pneu-grep-7543',
    }.items():
        assert patient.value_of({'stem': stem}) == wanted
        assert POCUS.completed({'stem': stem})['pathology'] in POCUS.classes


def test_derived_takes_the_first_rule_and_refuses_what_fits_none() -> None:
    rule = Derived('kind', of='{a}-{b}', rules={r'x-(?P<n>\d+)': 'x{n:d}', r'.*-7': 'seven'})
    assert rule.value_of({'a': 'x', 'b': '007'}) == 'x7'
    assert rule.value_of({'a': 'y', 'b': '7'}) == 'seven'
    with pytest.raises(InputError, match="kind: 'y-8' fits none of"):
        rule.value_of({'a': 'y', 'b': '8'})


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        ({'lists': ()}, 'must be some'),
        ({'lists': (POCUS.lists[0], POCUS.lists[0])}, 'each only once'),
        ({'classes': ('regular', 'regular')}, 'not different'),
        ({'derived': (Derived('a', of='{stem}', rules={'(': 'x'}),)}, 'no expression'),
    ],
)
def test_description_that_cannot_work_is_refused(change: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        replace(POCUS, **change)


def test_list_files_are_those_that_the_configs_name() -> None:
    names = [one.file_name(part) for one in POCUS.lists for part in ('train', 'val', 'test')]
    assert names == [
        'train.txt',
        'val_classification.txt',
        'test_classification.txt',
        'train_by_patient.txt',
        'val_classification_by_patient.txt',
        'test_classification_by_patient.txt',
    ]
    assert isinstance(POCUS, ClassificationSpec) and fill('{a}', {'a': 'b'}) == 'b'
    assert isinstance(POCUS.lists[0].parts, DrawnParts) and POCUS.lists[0].parts.units == 188
