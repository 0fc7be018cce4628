"""A folder of downloads: which archive is of which dataset, and that those of others stay packed."""

from __future__ import annotations

import re
import shutil
import zipfile
from pathlib import Path

import pytest

from tests.corpus.raw_trees.common import zip_folder
from tests.corpus.test_sweep import DESCRIPTIONS, build
from ultrasam.cli.convert import run_all
from ultrasam.corpus.errors import EXIT_DATA, EXIT_ENVIRONMENT, EXIT_OK, EXIT_USAGE
from ultrasam.corpus.loading import load_spec
from ultrasam.corpus.sources import find_source

FOLDER = DESCRIPTIONS['busi'].parent
SITES = {
    # of the names that the sites give: one archive, several, generic ones that two sites share
    'busi': ('Dataset_BUSI_with_GT.zip',),
    'camus': ('CAMUS_public.zip',),
    'buid': ('Benign.zip', 'Malignant.zip'),
    'aul': ('7272660.zip',),
    'abdomenus': ('archive.zip',),
    'ccaui': ('d4xt63mgjm-1.zip',),
    'microseg': ('Micro_Ultrasound_Prostate_Segmentation_Dataset.zip',),
    'mup': ('Micro_Ultrasound_Prostate_Segmentation_Dataset.zip',),
    's1': ('pone.0253202.s001.zip',),
    '105us': ('anything.zip',),
}


def pack(name: str, archives: tuple[str, ...], downloads: Path, tmp_path: Path) -> None:
    source = build(name, tmp_path / f'raw {name}').source
    if source.is_file():
        shutil.copyfile(source, downloads / archives[0])
    elif len(archives) == 1:
        zip_folder(source, downloads / archives[0])
    else:
        for archive in archives:
            shutil.copyfile(source / archive, downloads / archive)


def find(root: Path, name: str) -> list[str]:
    return [path.name for path in find_source(root, name, load_spec(DESCRIPTIONS[name]))]


def test_archives_are_found_under_the_names_of_their_sites(tmp_path: Path) -> None:
    downloads = tmp_path / 'downloads'
    downloads.mkdir()
    for name, archives in SITES.items():
        pack(name, archives, downloads, tmp_path)
    for name in DESCRIPTIONS:
        assert find(downloads, name) == list(SITES.get(name, ())), name


@pytest.mark.parametrize('name', [name for name, path in DESCRIPTIONS.items() if load_spec(path).archives])
def test_every_archive_that_a_description_names_is_found(name: str, tmp_path: Path) -> None:
    names = [text for text in load_spec(DESCRIPTIONS[name]).archives if re.fullmatch(r'[^*{]+\.zip', text)]
    source = build(name, tmp_path / 'raw').source
    for archive in names:
        root = tmp_path / archive.removesuffix('.zip')
        root.mkdir()
        if source.is_file():
            shutil.copyfile(source, root / archive)
        else:
            zip_folder(source, root / archive)
        assert find(root, name) == [archive]


def test_short_names_come_first(tmp_path: Path) -> None:
    for name in ('Busi', 'Dataset_BUSI_with_GT'):
        (tmp_path / name).mkdir()
    assert find(tmp_path, 'busi') == ['Busi']
    assert find(tmp_path / 'nowhere', 'busi') == []


def test_unpacked_folders_are_known_by_the_name_of_their_archive(tmp_path: Path) -> None:
    shutil.copytree(build('busi', tmp_path / 'raw').source, tmp_path / 'downloads')
    (tmp_path / 'downloads/Dataset_BUSI_other').mkdir()
    assert find(tmp_path / 'downloads', 'busi') == ['Dataset_BUSI_with_GT']


def test_strangers_stay_packed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    downloads = tmp_path / 'downloads'
    shutil.copytree(build('105us', tmp_path / 'raw').source, downloads)
    for name in ('CAMUS_public.zip', 'other.zip'):
        with zipfile.ZipFile(downloads / name, 'w') as archive:
            archive.writestr('patient0001/Info_2CH.cfg', b'')
    arguments = ['105us', str(downloads), str(tmp_path / 'out'), '--accept-counts']
    assert run_all(FOLDER, arguments) == EXIT_OK
    shown = capsys.readouterr().out
    assert '2 files are not mentioned in the description, first CAMUS_public.zip' in shown


def test_a_folder_without_the_data_set_is_not_its_source(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with zipfile.ZipFile(tmp_path / 'CAMUS_public.zip', 'w') as archive:
        archive.writestr('patient0001/Info_2CH.cfg', b'')
    for name in ('105us', 'busi', 'luss_phantom'):
        assert run_all(FOLDER, [name, str(tmp_path), str(tmp_path / 'out')]) == EXIT_DATA
        error = capsys.readouterr().err
        assert 'it holds CAMUS_public.zip' in error and f'Wanted is a folder or archive {name} or ' in error
    assert not list(tmp_path.glob('out/.*/raw/*'))


def test_all_takes_finished_sets_as_done(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    downloads = tmp_path / 'downloads'
    downloads.mkdir()
    pack('busi', SITES['busi'], downloads, tmp_path)
    arguments = ['all', str(downloads), str(tmp_path / 'out'), '--accept-counts']
    assert run_all(FOLDER, arguments) == EXIT_OK
    before = (tmp_path / 'out/BUSI/manifest.json').stat().st_mtime_ns
    capsys.readouterr()
    assert run_all(FOLDER, arguments) == EXIT_OK
    assert 'BUSI: there already, passed over' in capsys.readouterr().out
    assert (tmp_path / 'out/BUSI/manifest.json').stat().st_mtime_ns == before
    # other choices are no finished set
    assert run_all(FOLDER, [*arguments, '--published']) == EXIT_ENVIRONMENT
    assert run_all(FOLDER, [*arguments, '--leave-out', 'x.png']) == EXIT_USAGE


def test_parts_of_a_release_that_lie_open_are_taken_together(tmp_path: Path) -> None:
    for part in ('training_set', 'test_set'):
        (tmp_path / part).mkdir()
        for name in ('000_HC.png', '000_HC_Annotation.png'):
            (tmp_path / part / name).write_bytes(b'')
    assert find_source(tmp_path, 'hc', load_spec(DESCRIPTIONS['hc'])) == (tmp_path,)
    shutil.rmtree(tmp_path / 'test_set')
    assert find(tmp_path, 'hc') == ['training_set']
