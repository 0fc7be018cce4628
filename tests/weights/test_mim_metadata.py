"""What `mim search ultrasam` and `mim download ultrasam` read."""

from __future__ import annotations

import shutil
from importlib import import_module
from pathlib import Path
from types import ModuleType

import pytest
import yaml

from tests.downloads.server import FileServer
from tests.packaging.test_project_files import ROOT
from tests.weights.conftest import BODY

FULL = {f'UltraSAM_{prompt}_{kind}' for prompt in ('box', 'point') for kind in ('refine', 'no_refine')}
INDEX = 'model-index.yml'


def models() -> dict[str, dict[str, object]]:
    index = yaml.safe_load((ROOT / INDEX).read_text(encoding='utf-8'))
    return {model['Name']: model for model in index['Models']}


def test_index_names_configs_by_their_own_names():
    assert set(models()) == FULL | {'ultrasam_nano_256'}
    for name, model in models().items():
        assert Path(str(model['Config'])).stem == name
        assert (ROOT / str(model['Config'])).is_file()


def test_addresses_are_those_of_the_table(table: ModuleType):
    (ultrasam,) = [entry for entry in table.KNOWN_WEIGHTS if entry.name == 'UltraSam']
    for name in FULL:
        assert models()[name]['Weights'] == ultrasam.urls[0]
        assert models()[name]['Metadata']['License'] == ultrasam.licence
    assert (ROOT / str(models()['ultrasam_nano_256']['Weights'])).is_file()


@pytest.fixture
def package(tmp_path: Path, server: FileServer, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of what OpenMIM reads, with the address of a server here."""
    pytest.importorskip('mim', reason='onedl-mim is not installed')
    # The package binds the functions of the same names, so the modules are asked for by path.
    search, download = (import_module(f'mim.commands.{name}') for name in ('search', 'download'))
    server.files = {'UltraSam.pth': BODY}
    root = tmp_path / 'package'
    shutil.copytree(ROOT / 'configs', root / 'configs', ignore=shutil.ignore_patterns('__pycache__'))
    text = (ROOT / INDEX).read_text(encoding='utf-8')
    address = str(models()['UltraSAM_box_refine']['Weights'])
    (root / INDEX).write_text(text.replace(address, f'{server.url}/UltraSam.pth'), encoding='utf-8')
    for module in (search, download):
        monkeypatch.setattr(module, 'get_installed_path', lambda name: str(root))
        monkeypatch.setattr(module, 'is_installed', lambda name: True)
    monkeypatch.setattr(download, 'module_full_name', lambda name: name)
    return root


def test_search_finds_every_config(package: Path):
    from mim.commands.search import get_model_info

    found = get_model_info('ultrasam', to_dict=True)
    assert set(found) == FULL | {'ultrasam_nano_256'}
    assert found['UltraSAM_box_refine']['paper'] == 'https://arxiv.org/abs/2411.16222'


@pytest.mark.slow
def test_download_brings_weights_and_config(package: Path, out: Path):
    from mim.commands.download import download
    from mmengine.config import Config

    assert download('ultrasam', ['UltraSAM_box_refine'], str(out)) == ['UltraSam.pth']
    assert (out / 'UltraSam.pth').read_bytes() == BODY
    whole = Config.fromfile(str(out / 'UltraSAM_box_refine.py'))
    assert (
        whole.model
        == Config.fromfile(str(ROOT / 'configs/UltraSAM/UltraSAM_full/UltraSAM_box_refine.py')).model
    )


@pytest.mark.slow
def test_download_of_the_demonstration_takes_the_file_that_is_there(package: Path, out: Path):
    from mim.commands.download import download

    out.mkdir()
    shutil.copy(ROOT / 'weights' / 'ultrasam_nano_256.pth', out)
    assert download('ultrasam', ['ultrasam_nano_256'], str(out)) == ['ultrasam_nano_256.pth']
    assert (out / 'ultrasam_nano_256.py').is_file()
