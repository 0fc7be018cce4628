"""The choice of validation units: balance, categories, independence of order."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from ultrasam.corpus.partition import Unit, choose_validation, rank_of


def unit(subject: str, images: int, categories: tuple[int, ...] = (1,), dataset: str = 'D') -> Unit:
    return Unit(
        rank_of(0, dataset, subject),
        Counter({dataset: images}),
        {(dataset, category) for category in categories},
    )


def chosen_images(units: list[Unit], chosen: list[bool], dataset: str = 'D') -> int:
    return sum(one.images[dataset] for one, is_val in zip(units, chosen, strict=True) if is_val)


@pytest.mark.parametrize('most', [1, 4, 30])
def test_share_of_images(most: int) -> None:
    rng = np.random.default_rng(most)
    units = [unit(f's{number}', int(rng.integers(1, most + 1))) for number in range(2000)]
    total = sum(one.images['D'] for one in units)
    assert abs(chosen_images(units, choose_validation(units, 0.05)) / total - 0.05) < 0.001


def test_any_order_gives_the_same() -> None:
    rng = np.random.default_rng(5)
    units = [
        unit(f's{number}', int(rng.integers(1, 10)), (int(rng.integers(1, 6)),)) for number in range(300)
    ]
    wanted = {one.rank for one, is_val in zip(units, choose_validation(units, 0.1), strict=True) if is_val}
    for _ in range(3):
        units = [units[place] for place in rng.permutation(len(units))]
        chosen = choose_validation(units, 0.1)
        assert {one.rank for one, is_val in zip(units, chosen, strict=True) if is_val} == wanted


def test_rare_categories_are_on_both_sides() -> None:
    units = [unit(f's{number}', 3) for number in range(400)]
    units += [unit(f'r{number}', 3, (1, 2)) for number in range(2)] + [unit('only', 3, (3,))]
    chosen = choose_validation(units, 0.05)
    val = set().union(*(one.categories for one, is_val in zip(units, chosen, strict=True) if is_val))
    train = set().union(*(one.categories for one, is_val in zip(units, chosen, strict=True) if not is_val))
    assert val == {('D', 1), ('D', 2)}
    assert train == {('D', 1), ('D', 2), ('D', 3)}


def test_two_subjects_are_one_each_and_one_trains() -> None:
    assert sorted(choose_validation([unit('a', 10), unit('b', 90)], 0.05)) == [False, True]
    assert choose_validation([unit('a', 10), unit('b', 90)], 0.05)[0], 'the smaller one validates'
    assert choose_validation([unit('a', 10)], 0.5) == [False]
    assert choose_validation([], 0.5) == []


def test_other_data_sets_do_not_matter() -> None:
    units = [unit(f's{number}', 1) for number in range(100)]
    alone = choose_validation(units, 0.1)
    others = [unit(f's{number}', 2, dataset='E') for number in range(50)]
    assert choose_validation([*others, *units], 0.1)[50:] == alone


def test_fixed_units_stay() -> None:
    units = [unit(f's{number}', 1) for number in range(20)]
    for number, one in enumerate(units):
        one.fixed = 'val' if number < 7 else 'train'
    assert choose_validation(units, 0.05) == [True] * 7 + [False] * 13


def test_seed_gives_another_order() -> None:
    assert rank_of(0, 'D', 's') != rank_of(1, 'D', 's')
    # the rank of a subject must never change: splits that were published depend on it
    assert rank_of(0, 'D', 's') == '35d452ca6d6d049ec4c265e0a390c5dfa7dcb56457d8c231f0a87878d958eb28'
