from __future__ import annotations

import os
import shutil
import subprocess
import sys
import zipfile
from importlib import metadata
from pathlib import Path

import pytest
from mmengine.config import Config

from tests.packaging.test_project_files import ROOT, load_by_path

lookup = load_by_path(ROOT / 'packaging' / 'mim_lookup.py')
BOX_REFINE = 'configs/UltraSAM/UltraSAM_full/UltraSAM_box_refine'
BUILD = 'import sys; from setuptools import build_meta; print(build_meta.build_wheel(sys.argv[1]))'


def installed_by_pip(wheel: Path, site: Path) -> Path:
    """Unpack a wheel and write RECORD as installers do: sorted, with a console script before everything else."""
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(site)
    (record,) = site.glob('ultrasam-*.dist-info/RECORD')
    lines = [*record.read_text(encoding='utf-8').splitlines(), '../../../bin/ultrasam,,']
    record.write_text('\n'.join(sorted(lines)) + '\n', encoding='utf-8')
    return site


@pytest.fixture(scope='module')
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder like site-packages, with ultrasam installed from a wheel that is built here, offline."""
    source = tmp_path_factory.mktemp('source')
    ignore = shutil.ignore_patterns('__pycache__', '.mim', '*.egg-info')
    for folder in ('configs', 'datasets', 'tools', 'packaging', 'ultrasam', 'weights'):
        shutil.copytree(ROOT / folder, source / folder, ignore=ignore)
    for path in ROOT.iterdir():
        if path.is_file():
            shutil.copy(path, source)
    target = tmp_path_factory.mktemp('wheel')
    command = [sys.executable, '-c', BUILD, str(target)]
    result = subprocess.run(command, cwd=source, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    assert not (source / 'build').exists(), (
        'a build in the checkout would make OpenMIM find each config twice'
    )
    (wheel,) = target.glob('*.whl')
    return installed_by_pip(wheel, tmp_path_factory.mktemp('site-packages'))


def test_wheel_carries_every_config_and_tool(site: Path):
    for folder in ('configs', 'datasets/us43d', 'datasets/classification', 'tools'):
        ours = {
            path.relative_to(ROOT) for path in (ROOT / folder).rglob('*') if path.suffix in ('.py', '.sh')
        }
        assert len(ours) >= 4
        assert [path for path in sorted(ours) if not (site / 'ultrasam' / '.mim' / path).is_file()] == []
    for file in ('model-index.yml', 'weights/ultrasam_nano_256.pth'):
        assert (site / 'ultrasam' / '.mim' / file).is_file()


def test_wheel_has_nothing_but_the_package_and_its_pointers(site: Path):
    names = {path.name for path in site.iterdir() if not path.name.endswith('.dist-info')}
    assert names == {'ultrasam', '+ultrasam'}
    assert (site / '+ultrasam' / '.mim' / 'model-index.yml').is_file()


def test_data_commands_work_in_a_wheel_install_from_any_folder(site: Path, tmp_path: Path):
    code = 'import sys; from ultrasam.cli.main import main; sys.exit(main(sys.argv[1:]))'
    told = {}
    for place in (site, ROOT):
        command = [sys.executable, '-c', code, 'data', 'list']
        env = {'PYTHONPATH': str(place), 'PATH': os.environ['PATH']}
        done = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True, check=True)
        told[place] = done.stdout
    assert 'busi' in told[site]
    assert told[site] == told[ROOT]


def test_pointer_is_the_same_config(site: Path):
    pointer = Config.fromfile(str(site / '+ultrasam' / '.mim' / f'{BOX_REFINE}.py'))
    assert pointer.to_dict() == Config.fromfile(str(ROOT / f'{BOX_REFINE}.py')).to_dict()


@pytest.mark.parametrize('name', ['UltraSAM_box_refine', 'UltraSAM_box_refine.py'])
def test_mim_finds_config_and_tools_in_a_wheel_install(
    site: Path, monkeypatch: pytest.MonkeyPatch, name: str
):
    utils = pytest.importorskip('mim.utils', reason='onedl-mim is not installed')
    monkeypatch.syspath_prepend(str(site))
    assert utils.module_full_name('ultrasam') == 'ultrasam'
    root = Path(utils.get_installed_path('ultrasam'))
    assert root.resolve() == (site / '+ultrasam').resolve()
    assert len(utils.recursively_find(str(root), name, followlinks=True)) == 1
    assert (root / '.mim' / 'tools' / 'test.py').is_file()


def test_mim_finds_the_fork_under_the_name_mmdet():
    utils = pytest.importorskip('mim.utils', reason='onedl-mim is not installed')
    fork = metadata.version('onedl-mmdetection')
    assert metadata.version('mmdet') == fork, 'the transitional distribution is of another version: make env'
    assert utils.module_full_name('mmdet') == 'mmdet'
    root = Path(utils.get_installed_path('mmdet'))
    for tool in ('train', 'test'):
        assert (root / '.mim' / 'tools' / f'{tool}.py').is_file()
    (config,) = utils.recursively_find(str(root), 'mask-rcnn_r50_fpn_1x_coco.py', followlinks=True)
    assert Config.fromfile(config).model.type == 'MaskRCNN'


def test_transitional_mmdet_holds_no_file_of_mmdet():
    tops = {str(path).split('/')[0] for path in metadata.distribution('mmdet').files or ()}
    assert {top for top in tops if not top.endswith('.dist-info')} == {'+mmdet'}


def test_mmpretrain_resolves_as_it_is():
    utils = pytest.importorskip('mim.utils', reason='onedl-mim is not installed')
    name = utils.module_full_name('mmpretrain')
    assert (Path(utils.get_installed_path(name)) / '.mim' / 'tools' / 'test.py').is_file()


def test_lookup_folder_sorts_before_all_that_an_installer_records():
    recorded = ['../../../bin/ultrasam', 'ultrasam-0.1.0.dist-info/RECORD', 'ultrasam/__init__.py']
    assert sorted([*recorded, f'{lookup.lookup_folder("ultrasam")}/x'])[0].startswith('+ultrasam')


def test_tool_pointer_runs_the_tool_with_its_arguments(tmp_path: Path):
    tool = tmp_path / 'pkg' / '.mim' / 'tools' / 'deep' / 'say.py'
    tool.parent.mkdir(parents=True)
    tool.write_text(
        "import sys\nif __name__ == '__main__':\n    print(__file__, sys.argv[1:])\n", encoding='utf-8'
    )
    lookup.write_pointers('pkg', tmp_path / 'pkg' / '.mim', tmp_path)
    pointer = tmp_path / '+pkg' / '.mim' / 'tools' / 'deep' / 'say.py'
    result = subprocess.run(
        [sys.executable, str(pointer), 'a', '--b'], capture_output=True, text=True, check=True
    )
    assert result.stdout.split(maxsplit=1) == [str(tool), "['a', '--b']\n"]


def test_editable_install_has_each_bare_name_once_and_no_config_twice(tmp_path: Path):
    shutil.copytree(ROOT / 'configs', tmp_path / 'configs')
    mim_dir = tmp_path / 'ultrasam' / '.mim'
    lookup.link_aliases(tmp_path / 'configs', mim_dir)
    leaves = lookup.leaf_configs(tmp_path / 'configs')
    assert len(leaves) >= 4
    for leaf in leaves:
        assert (mim_dir / 'configs' / leaf.with_suffix('')).resolve() == (
            tmp_path / 'configs' / leaf
        ).resolve()
    found = [name for _, _, names in os.walk(mim_dir, followlinks=True) for name in names]
    assert len(found) == len(leaves)
    assert not [name for name in found if name.endswith('.py')]
