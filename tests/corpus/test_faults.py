"""One bad file among good ones, a full disk, a kill: what is reported, and what is on disk afterwards."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.corpus.raw_trees.common import disc, save, speckle
from tests.corpus.test_sweep import digests
from ultrasam.cli.convert import run_all, run_description
from ultrasam.corpus import engine
from ultrasam.corpus.engine import Options, convert_dataset
from ultrasam.corpus.errors import DataFaultsError, EnvironmentFault, IntegrityError, exit_code_of
from ultrasam.corpus.loading import load_spec
from ultrasam.corpus.manifest import verify_dataset
from ultrasam.corpus.pipeline import convert
from ultrasam.corpus.plan import make_plan
from ultrasam.corpus.tree import open_tree
from ultrasam.errors import ConfigError, OutputError

DESCRIPTION = """
from ultrasam.cli.convert import run_description
from ultrasam.corpus import Category, DatasetSpec, Expected, ImageFiles, MaskFiles, Threshold
SPEC = DatasetSpec(
    name='TINY', title='t', homepage='https://t', licence='', citation='c', access='open',
    categories=(Category('lesion', 'lesion'),),
    frames=ImageFiles('images/{n}.{_s:png|jpg|tif}'),
    annotations=(MaskFiles('masks/{n}.png', Threshold(150, 'lesion')),),
    known_faults={'images/known.png': 'half a file in the release'},
    expected=Expected(),
)
if __name__ == '__main__':
    run_description(__file__)
"""
ACCEPT = Options()


@pytest.fixture
def description(tmp_path: Path) -> Path:
    path = tmp_path / 'tiny.py'
    path.write_text(DESCRIPTION)
    return path


def make_source(folder: Path) -> Path:
    for number in range(8):
        save(folder / 'images' / f'{number}.png', speckle(number))
        save(folder / 'masks' / f'{number}.png', disc(30, 20 + 4 * number, 9))
    return folder


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return make_source(tmp_path / 'raw')


@pytest.fixture(scope='module')
def clean(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """What a conversion without any fault gives."""
    folder = tmp_path_factory.mktemp('clean')
    (folder / 'tiny.py').write_text(DESCRIPTION)
    return digests(convert_dataset(folder / 'tiny.py', make_source(folder / 'raw'), folder / 'out').folder)


def cut(share: float, suffix: str = 'png') -> Callable[[Path], None]:
    def spoil(raw: Path) -> None:
        path = raw / 'images/3.png'
        if suffix == 'jpg':
            path.unlink()
            path = raw / 'images/3.jpg'
            save(path, speckle(3), quality=90)
        data = path.read_bytes()
        path.write_bytes(data[: int(len(data) * share)])

    return spoil


def flip(raw: Path) -> None:
    path = raw / 'images/3.png'
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def huge(raw: Path) -> None:
    Image.new('1', (12_000, 12_000)).save(raw / 'images/3.png')


def turned(raw: Path) -> None:
    (raw / 'images/3.png').unlink()
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(speckle(3)).save(raw / 'images/3.jpg', exif=exif)


def pages(raw: Path) -> None:
    (raw / 'images/3.png').unlink()
    first = Image.fromarray(speckle(3))
    first.save(raw / 'images/3.tif', save_all=True, append_images=[first])


def replaced(name: str, values: np.ndarray | bytes | None) -> Callable[[Path], None]:
    def spoil(raw: Path) -> None:
        path = raw / name
        path.unlink(missing_ok=True)
        if isinstance(values, bytes):
            path.write_bytes(values)
        elif values is not None:
            save(path, values)

    return spoil


def linked(raw: Path) -> None:
    (raw / 'images/3.png').unlink()
    (raw / 'images/3.png').symlink_to('/etc/hostname')


def piped(raw: Path) -> None:
    (raw / 'images/3.png').unlink()
    os.mkfifo(raw / 'images/3.png')


def palette(raw: Path) -> None:
    image = Image.fromarray(disc(30, 30, 9).astype(np.uint8), mode='P')
    image.putpalette([0, 0, 0, 200, 0, 0])
    image.save(raw / 'masks/3.png')


MASK = disc(30, 30, 9)
FAULTS = {
    'png cut to 30 %': (cut(0.3), 'images/3.png', 'damaged'),
    'png cut to 99.9 %': (cut(0.999), 'images/3.png', 'damaged'),
    'jpeg cut to 90 %': (cut(0.9, 'jpg'), 'images/3.jpg', 'damaged'),
    'no bytes': (replaced('images/3.png', b''), 'images/3.png', 'damaged'),
    'html page': (replaced('images/3.png', b'<html></html>'), 'images/3.png', 'damaged'),
    'flipped bit': (flip, 'images/3.png', 'damaged'),
    'huge': (huge, 'images/3.png', 'are more than the 100,000,000 allowed'),
    'turned by exif, its mask not': (turned, 'masks/3.png', '64 x 80 pixels .*its image 80 x 64'),
    'several pages': (pages, 'images/3.tif', '2 pages'),
    'link': (linked, 'images/3.png', 'link'),
    'pipe': (piped, 'images/3.png', 'pipe'),
    'no mask': (replaced('masks/3.png', None), 'images/3.png', 'no annotation file'),
    'no image': (replaced('images/3.png', None), 'masks/3.png', 'no image'),
    'mask cut': (replaced('masks/3.png', b'\x89PNG'), 'masks/3.png', 'damaged'),
    'mask of another size': (replaced('masks/3.png', MASK[:-1]), 'masks/3.png', '63 x 80 pixels'),
    'mask lies on its side': (replaced('masks/3.png', MASK.T), 'masks/3.png', '80 x 64 pixels'),
    'mask stored 0 and 1': (replaced('masks/3.png', MASK.astype(np.uint8)), 'masks/3.png', 'threshold'),
    'palette mask': (palette, 'masks/3.png', 'in colour'),
    'two images': (lambda raw: save(raw / 'images/3.tif', speckle(3)), 'masks/3.png', 'of 2 images'),
    'image twice': (lambda raw: save(raw / 'copy/images/3.png', speckle(3)), 'images/3.png', 'twice'),
}


@pytest.mark.parametrize('name', FAULTS)
def test_bad_file(name: str, description: Path, source: Path, tmp_path: Path, clean: dict[str, str]) -> None:
    good = tmp_path / 'good'
    shutil.copytree(source, good)
    spoil, file, reason = FAULTS[name]
    spoil(source)
    out = tmp_path / 'out'
    with pytest.raises(DataFaultsError, match=reason) as caught:
        convert_dataset(description, source, out)
    assert file in str(caught.value)
    assert len({fault.file for fault in caught.value.faults}) <= 3
    assert exit_code_of(caught.value) == 3
    assert not (out / 'TINY').exists(), 'nothing may be published'
    # the good ones are kept: with the file mended the rest is not read again
    shutil.rmtree(source)
    shutil.copytree(good, source)
    restore_times(good, source)
    seen: list[tuple[int, int]] = []
    convert_dataset(
        description, source, out, Options(progress=lambda done, total: seen.append((done, total)))
    )
    assert seen[0][0] >= 6
    assert digests(out / 'TINY') == clean


def restore_times(good: Path, source: Path) -> None:
    for path in good.rglob('*'):
        shutil.copystat(path, source / path.relative_to(good))


def test_all_faults_at_once_are_listed(description: Path, source: Path, tmp_path: Path) -> None:
    replaced('masks/3.png', None)(source)
    replaced('images/5.png', b'')(source)
    with pytest.raises(DataFaultsError, match='TINY: 2 files could not be converted, nothing was written'):
        convert_dataset(description, source, tmp_path / 'out')


def test_known_fault_is_passed_over_and_counted(description: Path, source: Path, tmp_path: Path) -> None:
    (source / 'images/known.png').write_bytes(b'\x89PNG')
    save(source / 'masks/known.png', MASK)
    report = convert_dataset(description, source, tmp_path / 'out')
    assert report.counts.known_faults == {'half a file in the release': 1}
    assert report.counts.images.total() == 8


MODES = {
    'L': (speckle(1), speckle(1)),
    '1': (MASK, MASK * 255),
    'RGB': (np.stack([speckle(1), speckle(2), speckle(3)], axis=2), None),
    'RGBA': (np.dstack([speckle(1)] * 3 + [np.full((64, 80), 255, np.uint8)]), speckle(1)),
    'LA': (np.dstack([speckle(1), np.full((64, 80), 255, np.uint8)]), speckle(1)),
}


@pytest.mark.parametrize('mode', MODES)
def test_every_mode_gives_one_picture(mode: str, description: Path, source: Path, tmp_path: Path) -> None:
    values, expected = MODES[mode]
    picture = (
        Image.fromarray(values)
        if mode != '1'
        else Image.fromarray(values.astype(np.uint8) * 255).convert('1')
    )
    picture.save(source / 'images/3.png')
    report = convert_dataset(description, source, tmp_path / 'out')
    with Image.open(report.folder / 'images/TINY__00003.png') as image:
        pixels = np.asarray(image)
    wanted = values if expected is None else np.repeat(expected[..., None], 3, axis=2)
    assert np.array_equal(pixels, wanted)


def test_empty_full_and_tiny_masks(description: Path, source: Path, tmp_path: Path) -> None:
    pixel = np.zeros_like(MASK)
    pixel[10, 20] = True
    for number, mask in enumerate((np.zeros_like(MASK), np.ones_like(MASK), pixel)):
        save(source / f'masks/{number}.png', mask)
    report = convert_dataset(description, source, tmp_path / 'out', Options(keep_crumbs=True))
    content = json.loads((report.folder / 'annotations/TINY__coco.json').read_text())
    areas = {a['image_id']: (a['area'], a['bbox']) for a in content['annotations']}
    assert 0 not in areas
    assert areas[1] == (64 * 80, [0, 0, 80, 64])
    assert areas[2] == (1, [20, 10, 1, 1])
    assert len(content['images']) == 8
    assert verify_dataset(report.folder)['crumbs_kept'] is True


def test_crumbs_are_dropped_and_counted_unless_they_are_wanted(
    description: Path, source: Path, tmp_path: Path
) -> None:
    for number, side in enumerate((1, 2, 3)):
        mask = disc(30, 20 + 4 * number, 9)
        mask[:side, :side] = True
        save(source / f'masks/{number}.png', mask)
    for options, objects in ((Options(), 9), (Options(keep_crumbs=True), 11), (Options(published=True), 11)):
        report = convert_dataset(description, source, tmp_path / str(options.choices), options)
        assert report.counts.annotations.total() == objects
        assert dict(report.counts.dropped) == ({'crumb of at most 4 px': 2} if objects == 9 else {})
        assert verify_dataset(report.folder)['crumbs_kept'] is (objects == 11)


def test_names_of_all_kinds(description: Path, source: Path, tmp_path: Path) -> None:
    for name in ('ä ö', 'x' * 200, 'A', 'a'):
        save(source / f'images/{name}.png', speckle(1))
        save(source / f'masks/{name}.png', MASK)
    report = convert_dataset(description, source, tmp_path / 'out')
    assert report.counts.images.total() == 12


def test_no_images_is_a_fault(description: Path, tmp_path: Path) -> None:
    (tmp_path / 'empty').mkdir()
    with pytest.raises(DataFaultsError, match='no image matches'):
        convert_dataset(description, tmp_path / 'empty', tmp_path / 'out')


def test_what_is_there_is_not_replaced_unless_asked(description: Path, source: Path, tmp_path: Path) -> None:
    out = tmp_path / 'out'
    report = convert_dataset(description, source, out)
    before = digests(out)
    with pytest.raises(OutputError, match='--overwrite'):
        convert_dataset(description, source, out)
    assert digests(out) == before
    save(source / 'masks/0.png', MASK)
    convert_dataset(description, source, out, Options(overwrite=True))
    after = digests(report.folder)
    assert after != {key.removeprefix('TINY/'): value for key, value in before.items()}
    assert [path.name for path in out.iterdir()] == ['TINY']


def test_counts_of_the_release(description: Path, source: Path, tmp_path: Path) -> None:
    description.write_text(DESCRIPTION.replace('Expected()', 'Expected(images=9)'))
    with pytest.raises(DataFaultsError, match='8 images where the release has 9'):
        convert_dataset(description, source, tmp_path / 'out')
    report = convert_dataset(description, source, tmp_path / 'out', Options(accept_counts=True))
    assert report.warnings == ('8 images where the release has 9',)


def test_verification_finds_every_change(description: Path, source: Path, tmp_path: Path) -> None:
    folder = convert_dataset(description, source, tmp_path / 'out').folder
    assert verify_dataset(folder)['counts']['images'] == {'main': 8}
    image = folder / 'images/TINY__00000.png'
    data = image.read_bytes()
    image.write_bytes(data[:-1] + b'x')
    with pytest.raises(IntegrityError, match='its content changed'):
        verify_dataset(folder)
    image.unlink()
    with pytest.raises(IntegrityError, match='missing or too many'):
        verify_dataset(folder)
    image.write_bytes(data)
    (folder / 'images/more.png').write_bytes(b'')
    with pytest.raises(IntegrityError, match=r'more\.png'):
        verify_dataset(folder)


def test_reader_that_ends_its_process_costs_one_file(description: Path, source: Path, tmp_path: Path) -> None:
    crash = (
        'def end(frame, item):\n    """Crash."""\n    import os\n'
        "    if item.groups['n'] == '3':\n        os.abort()\n    return frame\n"
    )
    text = DESCRIPTION.replace('SPEC =', crash + 'SPEC =').replace('expected=', 'adjust=end, expected=')
    description.write_text(text)
    with pytest.raises(DataFaultsError, match=r'images/3\.png: ends the process') as caught:
        convert_dataset(description, source, tmp_path / 'out', Options(jobs=2))
    assert len(caught.value.faults) == 1


def test_full_disk(description: Path, source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_room(*_: object, **__: object) -> None:
        raise OSError(28, 'No space left on device', str(tmp_path / 'out'))

    monkeypatch.setattr(engine, '_fill_folder', no_room)
    with pytest.raises(OutputError, match='No space left'):
        convert_dataset(description, source, tmp_path / 'out')
    assert not (tmp_path / 'out/TINY').exists()
    monkeypatch.undo()
    assert convert_dataset(description, source, tmp_path / 'out').counts.images.total() == 8


def test_frame_that_cannot_be_written(description: Path, source: Path, tmp_path: Path) -> None:
    spec = load_spec(description)
    item = make_plan(spec, open_tree(source, tmp_path / 'scratch', [])).items[0]
    with pytest.raises(EnvironmentFault, match=r'bytes cannot be written .* run again to resume'):
        convert(spec, item, tmp_path / 'no folder')


def test_description_that_cannot_work_is_named(description: Path) -> None:
    description.write_text(DESCRIPTION.replace("'images/{n}", "'images/{n"))
    with pytest.raises(ConfigError, match=r'tiny\.py: pattern'):
        load_spec(description)


def start(description: Path, *options: str | Path) -> subprocess.Popen[str]:
    command = [sys.executable, str(description), *map(str, options)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def slow_down(description: Path) -> None:
    """Each item takes a tenth of a second."""
    wait = 'def wait(frame, item):\n    """Wait."""\n    import time\n    time.sleep(0.1)\n    return frame\n'
    text = DESCRIPTION.replace('SPEC =', wait + 'SPEC =').replace('expected=', 'adjust=wait, expected=')
    description.write_text(text)


def wait_for_items(work: Path, count: int) -> None:
    for _ in range(600):
        journal = work / 'journal.jsonl'
        if journal.is_file() and journal.read_text().count('\n') >= count:
            return
        time.sleep(0.05)
    raise AssertionError('the conversion did not start')


@pytest.mark.parametrize(
    ('number', 'code'),
    [
        (signal.SIGKILL, -9),
        pytest.param(signal.SIGTERM, 143, marks=pytest.mark.slow),
        pytest.param(signal.SIGINT, 130, marks=pytest.mark.slow),
    ],
)
def test_stopped_and_resumed(
    number: int, code: int, description: Path, source: Path, tmp_path: Path, clean: dict[str, str]
) -> None:
    slow_down(description)
    out = tmp_path / 'out'
    process = start(description, source, out)
    wait_for_items(out / '.TINY.work', 2)
    process.send_signal(number)
    process.communicate(timeout=20)
    assert process.returncode == code
    assert not (out / 'TINY').exists()
    with (out / '.TINY.work/journal.jsonl').open('a') as journal:
        journal.write('{"mark": "cut sh')
    seen: list[int] = []
    convert_dataset(description, source, out, Options(progress=lambda done, total: seen.append(done)))
    assert seen[0] >= 2, 'what was done is not done again'
    assert digests(out / 'TINY') == clean
    assert [path.name for path in out.iterdir()] == ['TINY']


@pytest.mark.slow
def test_second_converter_waits_outside(description: Path, source: Path, tmp_path: Path) -> None:
    slow_down(description)
    process = start(description, source, tmp_path / 'out')
    wait_for_items(tmp_path / 'out/.TINY.work', 1)
    with pytest.raises(OutputError, match='another process'):
        convert_dataset(description, source, tmp_path / 'out')
    output, _ = process.communicate(timeout=30)
    assert process.returncode == 0
    assert 'TINY: 8 images, 8 annotations, 8 subjects' in output


def test_command_line(
    description: Path, source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def run(*options: str) -> tuple[int, str]:
        with pytest.raises(SystemExit) as left:
            run_description(str(description), options)
        output, errors = capsys.readouterr()
        return int(left.value.code or 0), output + errors

    raw, out = str(source), str(tmp_path / 'out')
    assert run(raw)[0] == 2
    assert run(raw, out, '--jobs', '0')[0] == 2
    assert run(str(tmp_path / 'nowhere'), out)[0] == 3
    code, text = run(raw, out, '--preview', '4')
    assert (code, (tmp_path / 'out/TINY.preview.png').is_file()) == (0, True), text
    assert run(raw, out)[0] == 5
    assert 'verified' in run(raw, out, '--verify')[1]
    (tmp_path / 'out/TINY/images/TINY__00000.png').write_bytes(b'')
    assert run(raw, out, '--verify')[0] == 4
    archive = tmp_path / 'raw.zip'
    archive.write_bytes(b'PK\x03\x04 cut')
    assert run(str(archive), str(tmp_path / 'other'))[0] == 4
    blocked = tmp_path / 'file'
    blocked.write_text('in the way')
    assert run(raw, str(blocked))[0] == 5


def test_command_for_all(tmp_path: Path, source: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / 'descriptions'
    folder.mkdir()
    for name in ('tiny', 'absent', 'broken'):
        (folder / f'{name}.py').write_text(DESCRIPTION.replace("'TINY'", f"'{name.upper()}'"))
    downloads = tmp_path / 'downloads'
    shutil.copytree(source, downloads / 'tiny')
    shutil.copytree(source, downloads / 'broken')
    (downloads / 'broken/images/3.png').write_bytes(b'')
    assert run_all(folder, ['all', str(downloads), str(tmp_path / 'out')]) == 3
    output, errors = capsys.readouterr()
    assert '1 of 2 data sets converted' in output
    assert '1 of 3 are not in' in errors
    assert (tmp_path / 'out/TINY').is_dir()
    assert not (tmp_path / 'out/BROKEN').exists()
    assert run_all(folder, ['other', str(downloads), str(tmp_path / 'out')]) == 2
    assert run_all(folder, ['all', str(tmp_path / 'nowhere'), str(tmp_path / 'out')]) == 3
    assert run_all(folder, ['list']) == 0


def test_a_limit_of_memory_that_is_set_already_is_kept(description: Path, tmp_path: Path) -> None:
    script = (
        'import resource, runpy, sys\n'
        'resource.setrlimit(resource.RLIMIT_AS, (4 << 30, 4 << 30))\n'
        'sys.argv = sys.argv[1:]\n'
        "runpy.run_path(sys.argv[0], run_name='__main__')\n"
    )
    arguments = [str(description), str(make_source(tmp_path / 'raw')), str(tmp_path / 'out')]
    done = subprocess.run(
        [sys.executable, '-c', script, *arguments], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
