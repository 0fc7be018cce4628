"""Files that cannot be used: nothing is published, unless the user says to go on without them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tests.corpus.raw_trees.common import save
from tests.corpus.test_faults import DESCRIPTION, make_source
from ultrasam.cli.convert import run_all
from ultrasam.corpus.engine import Options, convert_dataset
from ultrasam.corpus.errors import DataFaultsError
from ultrasam.corpus.manifest import verify_dataset
from ultrasam.errors import ConfigError


def stray_mask(source: Path) -> None:
    save(source / 'masks' / '99.png', np.zeros((64, 80), bool))


def image_without_mask(source: Path) -> None:
    (source / 'masks' / '3.png').unlink()


def damaged_image(source: Path) -> None:
    (source / 'images' / '3.png').write_bytes(b'half')


def mask_of_another_size(source: Path) -> None:
    save(source / 'masks' / '3.png', np.ones((6, 8), bool))


def image_twice(source: Path) -> None:
    save(source / 'again' / 'images' / '3.png', np.zeros((64, 80), np.uint8))


def mask_twice(source: Path) -> None:
    save(source / 'again' / 'masks' / '3.png', np.ones((64, 80), bool))


BAD: dict[str, tuple[Callable[[Path], None], int]] = {
    'masks/99.png': (stray_mask, 8),
    'images/3.png: no annotation': (image_without_mask, 7),
    'images/3.png: ': (damaged_image, 7),
    'masks/3.png: 6 x 8': (mask_of_another_size, 7),
    'there twice in the source, the other time as images/3.png': (image_twice, 8),
    'masks/3.png: there twice': (mask_twice, 8),
}


@pytest.mark.parametrize('named', BAD)
def test_unusable_files_are_named_counted_and_left_out_when_asked(named: str, tmp_path: Path) -> None:
    spoil, images = BAD[named]
    description = tmp_path / 'tiny.py'
    description.write_text(DESCRIPTION.replace('Expected()', 'Expected(images=8)'))
    source = make_source(tmp_path / 'raw')
    spoil(source)
    with pytest.raises(DataFaultsError, match='--skip-unusable'):
        convert_dataset(description, source, tmp_path / 'out')
    assert not (tmp_path / 'out/TINY').exists()
    report = convert_dataset(description, source, tmp_path / 'out', Options(skip_unusable=True))
    assert (report.counts.unusable, report.counts.images.total()) == (1, images)
    assert (
        sum(text.startswith('left out, cannot be used: ') and named in text for text in report.warnings) == 1
    )
    manifest = verify_dataset(tmp_path / 'out/TINY')
    assert len(manifest['unusable']) == manifest['counts']['unusable'] == 1
    content = json.loads((tmp_path / 'out/TINY/annotations/TINY__coco.json').read_text())
    assert len(content['annotations']) == images, 'a mask that is there twice counts once'


def test_nothing_usable_is_still_refused(tmp_path: Path) -> None:
    description = tmp_path / 'tiny.py'
    description.write_text(DESCRIPTION)
    source = make_source(tmp_path / 'raw')
    for path in (source / 'images').iterdir():
        path.write_bytes(b'')
    with pytest.raises(DataFaultsError, match='8 files could not be converted'):
        convert_dataset(description, source, tmp_path / 'out', Options(skip_unusable=True))


def test_files_that_are_named_are_left_out(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / 'descriptions'
    folder.mkdir()
    (folder / 'tiny.py').write_text(DESCRIPTION)
    source = make_source(tmp_path / 'raw')
    stray_mask(source)
    arguments = ['tiny', str(source), str(tmp_path / 'out')]
    assert run_all(folder, [*arguments, '--leave-out', 'masks/99.png']) == 0
    output = capsys.readouterr().out
    assert 'TINY: 8 images' in output and 'left out: named by --leave-out: 1' in output
    for name in ('asks/99.png', 'masks/100.png'):
        with pytest.raises(ConfigError, match='no file of the source is called so'):
            convert_dataset(folder / 'tiny.py', source, tmp_path / 'other', Options(leave_out=(name,)))
