"""Path patterns and templates."""

from __future__ import annotations

import pytest

from ultrasam.corpus.patterns import PathPattern, fill, natural_key
from ultrasam.corpus.spec import Split
from ultrasam.errors import ConfigError


def test_matches_from_the_end_at_a_folder_border() -> None:
    pattern = PathPattern('{label:benign|malignant}/{label} ({n}).png')
    assert pattern.match('x/y/benign/benign (12).png') == (
        'benign/benign (12).png',
        {'label': 'benign', 'n': '12'},
    )
    assert pattern.match('xbenign/benign (12).png') is None
    assert pattern.match('benign/malignant (12).png') is None
    assert pattern.match('benign/benign (12).png.bak') is None


def test_a_group_takes_no_folder_and_a_name_with_underscore_is_free() -> None:
    assert PathPattern('images/{n}.png').match('images/a/b.png') is None
    found = PathPattern('{n}.{_suffix:png|PNG}').match('images/7.PNG')
    assert found == ('7.PNG', {'n': '7'})


def test_braces_in_expressions_and_wildcards() -> None:
    found = PathPattern(r'**/p{n:\d{4}}_*.png').match('a/b/p0012_x(1).png')
    assert found is not None
    assert found[1] == {'n': '0012'}


def test_optional_group_is_empty() -> None:
    found = PathPattern(r'{n:\d+}{k:(?:_\d)?}.png').match('12.png')
    assert found is not None
    assert found[1] == {'n': '12', 'k': ''}


@pytest.mark.parametrize('text', ['{n', '{1a}.png', '{n:(}.png'])
def test_bad_pattern(text: str) -> None:
    with pytest.raises(ConfigError):
        PathPattern(text)


def test_fill() -> None:
    assert fill('case_{n:d}/{n}', {'n': '007'}) == 'case_7/007'
    with pytest.raises(ConfigError, match=r"no group 'm' \(known: n\)"):
        fill('{m}', {'n': '1'})


def test_natural_order_is_total() -> None:
    names = ['a10', 'a2', 'a02', 'b', 'A1']
    assert sorted(names, key=natural_key) == ['A1', 'a02', 'a2', 'a10', 'b']


def test_split() -> None:
    split = Split('{fold}|{valid}', test=('1|*',), val=('*|1',), train=('*|0',))
    assert split.part_of({'fold': '1', 'valid': '1'}) == 'test'
    assert split.part_of({'fold': '2', 'valid': '1'}) == 'val'
    assert split.part_of({'fold': '2', 'valid': '0'}) == 'train'
    with pytest.raises(ConfigError, match='no part'):
        split.part_of({'fold': '2', 'valid': ''})
