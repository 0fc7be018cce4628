from __future__ import annotations

import importlib.util
import os
import re
import subprocess
from pathlib import Path
from types import ModuleType

import pytest
from packaging.requirements import Requirement
from packaging.version import Version

ROOT = Path(__file__).resolve().parents[2]
LARGEST_FILE_BYTES = 30_000_000
REGISTRY_HOSTS = (
    'pypi' + '.org',
    'python' + 'hosted.org',
    'conda' + '.anaconda.org',
    'download.py' + 'torch.org',
)
# A home or a work folder of somebody's machine; "/" and the words apart, so that this line does not match itself.
ABSOLUTE_PATH = re.compile(r'(?<![\w.~:/$}\-])/' + r'(?:home|root|work|Users|workspace)/\w')


def tracked_files() -> list[Path]:
    """Files of the repository: those that git tracks or would."""
    command = ['git', '-C', str(ROOT), 'ls-files', '-z', '--cached', '--others', '--exclude-standard']
    result = subprocess.run(command, capture_output=True, check=False)
    if result.returncode != 0:
        pytest.skip('not a git checkout: there is no list of files')
    names = os.fsdecode(result.stdout).split('\0')
    return [ROOT / name for name in names if name and (ROOT / name).is_file()]


def pins(name: str) -> dict[str, list[str]]:
    """Versions of each package in a constraints file; several where they depend on the Python."""
    found: dict[str, list[str]] = {}
    for line in (ROOT / name).read_text(encoding='utf-8').splitlines():
        if line and not line.lstrip().startswith('#'):
            match = re.fullmatch(r'([a-z0-9][a-z0-9._-]*)==([0-9][^ ;]*)( ; .+)?', line)
            assert match, f'{name}: not an exact pin: {line}'
            found.setdefault(match.group(1), []).append(match.group(2))
    return found


def setup_lines() -> list[str]:
    return (ROOT / 'setup.py').read_text(encoding='utf-8').splitlines()


def direct_requirements() -> list[tuple[Requirement, str]]:
    """Requirements of setup.py and of its extras, each with its line."""
    pattern = re.compile(r"'([a-z][a-z0-9-]*(?:>=|==)[0-9.]+)'")
    return [(Requirement(match.group(1)), line) for line in setup_lines() if (match := pattern.search(line))]


def load_by_path(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize('name', ['constraints.txt', 'constraints-classic.txt'])
def test_constraints_are_exact_and_name_no_address(name: str):
    assert len(pins(name)) > 50
    assert '://' not in (ROOT / name).read_text(encoding='utf-8')


def test_every_direct_requirement_is_pinned_within_its_bound():
    pinned = pins('constraints.txt')
    requirements = direct_requirements()
    assert len(requirements) >= 15
    for requirement, _ in requirements:
        versions = pinned.get(requirement.name, [])
        assert versions, f'{requirement.name} is not in constraints.txt: make constraints'
        assert all(requirement.specifier.contains(version) for version in versions), requirement


def test_every_lower_bound_says_why():
    for requirement, line in direct_requirements():
        assert re.search(r'#\s+\S+\s+\S+', line), f'setup.py: {requirement} has no reason'


def test_setup_states_the_version_of_the_package():
    import ultrasam

    assert Version(ultrasam.__version__)
    assert f"__version__ = '{ultrasam.__version__}'" in (ROOT / 'ultrasam' / '__init__.py').read_text(
        encoding='utf-8'
    )


def test_files_promised_to_users_exist():
    names = re.search(r'MIM_FILES = \((.*?)\n\)', '\n'.join(setup_lines()), re.DOTALL).group(1)
    promised = re.findall(r"'([^']+)'", names)
    weights = 'weights/ultrasam_nano_256.pth'
    rest = ['model-index.yml', weights, f'{weights}.sha256']
    assert promised == ['configs', 'datasets/us43d', 'tools', *rest]
    for line in (ROOT / 'MANIFEST.in').read_text(encoding='utf-8').splitlines():
        kind, *rest = line.split()
        if kind in ('include', 'graft'):
            promised += rest
    assert len(promised) > 10
    missing = [name for name in promised if not list(ROOT.glob(name))]
    assert not missing


def test_every_folder_of_the_package_ships():
    folders = {path.parent for path in (ROOT / 'ultrasam').rglob('*.py') if '.mim' not in path.parts}
    assert len(folders) > 5
    assert [folder for folder in sorted(folders) if not (folder / '__init__.py').is_file()] == []


def test_model_index_names_configs_that_exist():
    import yaml

    index = yaml.safe_load((ROOT / 'model-index.yml').read_text(encoding='utf-8'))
    configs = [model['Config'] for model in index['Models']]
    assert configs
    assert [config for config in configs if not (ROOT / config).is_file()] == []


def test_no_file_is_huge_and_none_names_a_machine_or_a_registry():
    files = tracked_files()
    assert len(files) > 50
    for path in files:
        assert path.stat().st_size < LARGEST_FILE_BYTES, path
        try:
            text = path.read_text(encoding='utf-8')
        except UnicodeDecodeError:
            continue
        assert not [host for host in REGISTRY_HOSTS if host in text], path
        assert not ABSOLUTE_PATH.search(text), f'{path}: {ABSOLUTE_PATH.search(text)}'


def test_shell_scripts_parse_stop_on_errors_and_can_be_run():
    scripts = [
        ROOT / '.ci' / 'run',
        *(path for folder in ('tools', 'packaging', 'weights') for path in (ROOT / folder).glob('*.sh')),
    ]
    assert len(scripts) >= 5
    for script in scripts:
        assert subprocess.run(['bash', '-n', str(script)], check=False).returncode == 0, script
        assert os.access(script, os.X_OK), script
        assert 'set -euo pipefail' in script.read_text(encoding='utf-8'), script


def test_make_help_lists_every_target():
    text = (ROOT / 'Makefile').read_text(encoding='utf-8')
    targets = set(re.search(r'^\.PHONY: (.+)$', text, re.MULTILINE).group(1).split())
    listed = subprocess.run(
        ['make', '-C', str(ROOT), 'help'], capture_output=True, text=True, check=True
    ).stdout
    assert targets == set(re.findall(r'^  make ([a-z-]+)', listed, re.MULTILINE))


@pytest.mark.parametrize(
    ('python', 'message'),
    [('no-such-python', 'no such program'), ('false', 'this needs 3.10 to 3.12')],
)
def test_set_up_refuses_a_python_that_cannot_work(python: str, message: str):
    environment = dict(os.environ, PYTHON=python)
    command = [str(ROOT / 'packaging' / 'env.sh'), 'main']
    result = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert result.returncode == 1
    assert message in result.stderr
