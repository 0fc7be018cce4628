"""What the writer refuses, and what is on disk afterwards."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ultrasam.errors import ConfigError, OutputError
from ultrasam.io.writers import FORMATS, ResultWriter
from ultrasam.io.writers import formats as writer_files

from .conftest import files_in, make_frame, make_segmentation

PLAIN = ('overlay', 'mask', 'coco', 'csv')


@pytest.mark.parametrize('formats', [[], ['png'], 'mask'])
def test_unknown_formats(tmp_path, formats):
    with pytest.raises(ConfigError, match='overlay'):
        ResultWriter(tmp_path / 'out', formats=formats)
    assert not (tmp_path / 'out').exists()


def test_all_formats_at_once(tmp_path):
    pytest.importorskip('SimpleITK', reason='the extra "volume" is not installed')
    with ResultWriter(tmp_path / 'a/b', formats=list(FORMATS)) as writer:
        writer.write(make_frame('scan.png'), make_segmentation())
    assert files_in(tmp_path / 'a/b') == [
        'coco.json',
        'images/scan.png',
        'mask/scan.png',
        'measurements.csv',
        'nifti/scan.nii.gz',
        'overlay/scan.png',
    ]
    umask = os.umask(0)
    os.umask(umask)
    assert {path.stat().st_mode & 0o777 for path in (tmp_path / 'a').rglob('*.*')} == {0o666 & ~umask}


def test_same_stem_in_two_folders(tmp_path):
    paths = [Path('p1/scan.png'), Path('p2/scan.png'), Path('p2/scan.dcm')]
    with ResultWriter(tmp_path, formats=['mask', 'coco']) as writer:
        writer.plan(dict.fromkeys(paths, False))
        for seed, path in enumerate(paths):
            writer.write(make_frame(path, seed=seed), make_segmentation(seed=seed))
    assert files_in(tmp_path / 'mask') == ['p1-scan.png', 'p2-scan-dcm.png', 'p2-scan-png.png']
    for seed, name in enumerate(('p1-scan', 'p2-scan-png', 'p2-scan-dcm')):
        with Image.open(tmp_path / f'mask/{name}.png') as picture:
            assert (np.array(picture) > 0).sum() == make_segmentation(seed=seed).masks.any(0).sum()
    images = json.loads((tmp_path / 'coco.json').read_text())['images']
    assert [image['source'] for image in images] == [path.as_posix() for path in paths]


def test_unplanned_files_do_not_replace_each_other(tmp_path):
    with ResultWriter(tmp_path, formats=['mask']) as writer:
        for path in ('p1/scan.png', 'p2/scan.png'):
            writer.write(make_frame(path), make_segmentation())
    assert files_in(tmp_path) == ['mask/p2-scan.png', 'mask/scan.png']


@pytest.mark.parametrize('name', PLAIN)
def test_existing_results_are_refused_before_work(tmp_path, name):
    source = Path('scan.png')
    with ResultWriter(tmp_path, formats=[name]) as writer:
        writer.write(make_frame(source), make_segmentation())
    before = {path: (tmp_path / path).read_bytes() for path in files_in(tmp_path)}
    with (
        pytest.raises(OutputError, match='exists already'),
        ResultWriter(tmp_path, formats=[name]) as writer,
    ):
        writer.plan({source: False})
        pytest.fail('the plan must be refused')
    assert {path: (tmp_path / path).read_bytes() for path in files_in(tmp_path)} == before
    with ResultWriter(tmp_path, formats=[name], overwrite=True) as writer:
        writer.plan({source: False})
        writer.write(make_frame(source, seed=5), make_segmentation(seed=5))
    assert list(before) == files_in(tmp_path)
    assert all((tmp_path / path).read_bytes() != content for path, content in before.items())


def test_one_existing_frame_of_a_series_is_enough(tmp_path):
    (tmp_path / 'mask').mkdir()
    (tmp_path / 'mask/cine_0007.png').write_bytes(b'mine')
    writer = ResultWriter(tmp_path, formats=['mask'])
    writer.plan({Path('scan.png'): False, Path('other.avi'): True})
    with pytest.raises(OutputError, match=r'cine_0007\.png exists'):
        writer.plan({Path('cine.avi'): True})


def test_result_that_appears_during_the_run_is_kept(tmp_path):
    writer = ResultWriter(tmp_path, formats=['mask', 'csv'])
    writer.plan({Path('scan.png'): False})
    (tmp_path / 'mask/scan.png').write_bytes(b'mine')
    with pytest.raises(OutputError, match='exists'):
        writer.write(make_frame('scan.png'), make_segmentation())
    (tmp_path / 'measurements.csv').write_bytes(b'mine')
    with pytest.raises(OutputError, match='exists'):
        writer.close()
    assert files_in(tmp_path) == ['mask/scan.png', 'measurements.csv']
    assert {(tmp_path / path).read_bytes() for path in files_in(tmp_path)} == {b'mine'}


def test_inputs_are_never_replaced(tmp_path):
    source = tmp_path / 'images/scan.png'
    source.parent.mkdir()
    source.write_bytes(b'input')
    writer = ResultWriter(tmp_path, formats=['coco'], overwrite=True)
    with pytest.raises(OutputError, match='is an input'):
        writer.plan({source: False})
    with pytest.raises(OutputError, match='is an input'):
        writer.write(make_frame(source), make_segmentation())
    assert source.read_bytes() == b'input'


@pytest.mark.parametrize('below', ['file', 'file/out', 'file/out/deep'])
def test_folder_that_cannot_be(tmp_path, below):
    (tmp_path / 'file').write_text('')
    with pytest.raises(OutputError, match='no results can be written to'):
        ResultWriter(tmp_path / below, formats=['mask'])


def test_folder_without_permission(tmp_path):
    (tmp_path / 'out').mkdir(mode=0o500)
    if os.access(tmp_path / 'out', os.W_OK):
        pytest.skip('this user may write everywhere')
    with pytest.raises(OutputError, match='permission'):
        ResultWriter(tmp_path / 'out', formats=['csv'])


def test_folder_that_refuses_files(tmp_path, monkeypatch):
    def refuse(**_):
        raise PermissionError(13, 'Permission denied')

    monkeypatch.setattr(writer_files.tempfile, 'TemporaryFile', refuse)
    with pytest.raises(OutputError, match=r'out.*Permission denied'):
        ResultWriter(tmp_path / 'out', formats=['csv'])


def test_disk_full_leaves_no_half_file(tmp_path, monkeypatch):
    def fail(path, content):
        path.open('wb').write(content[:10])
        raise OSError(28, 'No space left on device')

    writer = ResultWriter(tmp_path, formats=['mask', 'coco'])
    monkeypatch.setattr(Path, 'write_bytes', fail)
    with pytest.raises(OutputError, match=r'scan\.png.*No space left'), writer:
        writer.write(make_frame('scan.png'), make_segmentation())
    assert files_in(tmp_path) == []


def test_failed_run_publishes_no_summary(tmp_path):
    with pytest.raises(KeyError), ResultWriter(tmp_path, formats=PLAIN) as writer:
        writer.write(make_frame('scan.png'), make_segmentation())
        raise KeyError
    assert files_in(tmp_path) == ['images/scan.png', 'mask/scan.png', 'overlay/scan.png']


def test_nothing_is_published_before_the_end(tmp_path):
    writer = ResultWriter(tmp_path, formats=['coco', 'csv'])
    writer.write(make_frame('scan.png'), make_segmentation())
    assert files_in(tmp_path) == ['images/scan.png']
    writer.close()
    writer.close()
    assert files_in(tmp_path) == ['coco.json', 'images/scan.png', 'measurements.csv']
    with pytest.raises(OutputError, match='closed'):
        writer.write(make_frame('b.png'), make_segmentation())


@pytest.mark.parametrize(
    'order', [[('a', 0), ('a', 0)], [('a', 1), ('a', 0)], [('a', 0), ('b', 0), ('a', 1)]]
)
def test_frames_twice_or_out_of_order(tmp_path, order):
    with ResultWriter(tmp_path, formats=['csv'], overwrite=True) as writer:
        writer.plan({Path('a.avi'): True, Path('b.avi'): True})
        for name, index in order[:-1]:
            writer.write(make_frame(f'{name}.avi', index=index), make_segmentation())
        name, index = order[-1]
        with pytest.raises(OutputError, match='twice or out of order'):
            writer.write(make_frame(f'{name}.avi', index=index), make_segmentation())


def test_second_frame_of_a_single_frame_file(tmp_path):
    writer = ResultWriter(tmp_path, formats=['csv'])
    writer.write(make_frame('a.avi'), make_segmentation())
    with pytest.raises(OutputError, match='one frame only'):
        writer.write(make_frame('a.avi', index=1), make_segmentation())


def test_masks_of_another_size(tmp_path):
    with pytest.raises(OutputError, match='masks of'):
        ResultWriter(tmp_path, formats=['csv']).write(make_frame('a.png', (9, 9)), make_segmentation())


def test_same_run_same_bytes(tmp_path):
    for name in ('a', 'b'):
        with ResultWriter(tmp_path / name, formats=PLAIN) as writer:
            writer.write(make_frame('scan.png'), make_segmentation())
    assert files_in(tmp_path / 'a') == files_in(tmp_path / 'b')
    for path in files_in(tmp_path / 'a'):
        assert (tmp_path / 'a' / path).read_bytes() == (tmp_path / 'b' / path).read_bytes()
