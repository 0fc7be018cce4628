from __future__ import annotations

import importlib.util
import os
import re
import shutil
import subprocess
from importlib import metadata
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


def test_constraints_are_exact_and_name_no_address():
    assert len(pins('constraints.txt')) > 50
    assert '://' not in (ROOT / 'constraints.txt').read_text(encoding='utf-8')


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
    assert f"__version__ = '{ultrasam.__version__}'" in (ROOT / 'ultrasam' / 'version.py').read_text(
        encoding='utf-8'
    )


def test_files_promised_to_users_exist():
    names = re.search(r'MIM_FILES = \((.*?)\n\)', '\n'.join(setup_lines()), re.DOTALL).group(1)
    promised = re.findall(r"'([^']+)'", names)
    weights = 'weights/ultrasam_nano_256.pth'
    pair = [f'weights/ultrasam_nano_256.{part}.onnx' for part in ('encoder', 'decoder_all_masks')]
    rest = ['model-index.yml', weights, f'{weights}.sha256', *pair]
    assert promised == ['configs', 'datasets/classification', 'datasets/us43d', 'tools', *rest]
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
    [('no-such-python', 'no such program'), ('false', 'this needs 3.10 to 3.13')],
)
def test_set_up_refuses_a_python_that_cannot_work(python: str, message: str):
    environment = dict(os.environ, PYTHON=python)
    command = [str(ROOT / 'packaging' / 'env.sh'), 'env']
    result = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert result.returncode == 1
    assert message in result.stderr


HEAVY = {
    'torch',
    'torchvision',
    'simpleitk',
    'matplotlib',
    'onnx',
    'mmcv',
    'mmdet',
    'mmengine',
    'transformers',
}


def requirements_of(extra: str = '') -> set[str]:
    """Names of what the installed package requires, of itself or with an extra."""
    found = set()
    for line in metadata.requires('ultrasam') or ():
        requirement = Requirement(line)
        if requirement.marker is None or requirement.marker.evaluate({'extra': extra}):
            found.add(requirement.name.lower())
    return found


def test_a_mask_needs_no_deep_learning_library_and_training_does():
    light = requirements_of()
    assert {'numpy', 'onnxruntime', 'opencv-python-headless', 'pydicom', 'pycocotools'} <= light
    assert not [name for name in light if name in HEAVY or name.startswith('onedl-')]
    train = requirements_of('train') - light
    assert {'torch', 'onedl-mmcv', 'onedl-mmdetection', 'ultrasam-mmcv-ops'} <= train


def test_an_environment_that_was_interrupted_is_not_taken_as_ready(tmp_path: Path):
    """The stamp goes before the work and comes after it, so the same command goes on."""
    for name in ('Makefile', 'setup.py', 'pyproject.toml', 'constraints.txt'):
        shutil.copy(ROOT / name, tmp_path)
    shutil.copytree(ROOT / 'packaging', tmp_path / 'packaging')
    (tmp_path / 'configs').mkdir()
    script = tmp_path / 'packaging/env.sh'
    script.write_text('#!/bin/sh\necho asked >>log\n[ -e works ]\n')
    make = ['make', '-C', str(tmp_path), 'env']
    (tmp_path / '.venv').mkdir()
    for works in (False, False, True, True):
        if works:
            (tmp_path / 'works').touch()
        code = subprocess.run(make, capture_output=True, check=False).returncode
        assert (code == 0) == works
        assert (tmp_path / '.venv/.ready').exists() == works
    assert (tmp_path / 'log').read_text() == 'asked\n' * 3


def test_the_operators_of_mmcv_are_those_of_torchvision_or_say_how_to_compile():
    torch = pytest.importorskip('torch', reason='needs the extra train')
    from torchvision.ops import nms

    ops = load_by_path(ROOT / 'packaging/mmcv_ops/mmcv/_ext.py')
    random = torch.Generator().manual_seed(0)
    corners = torch.rand(200, 2, generator=random) * 80
    boxes = torch.cat([corners, corners + torch.rand(200, 2, generator=random) * 30], 1)
    scores = torch.rand(200, generator=random)
    assert torch.equal(ops.nms(boxes, scores, iou_threshold=0.5, offset=0), nms(boxes, scores, 0.5))
    # boxes that share an edge touch by a pixel where the last one belongs to them
    pair = torch.tensor([[0.0, 0.0, 9.0, 9.0], [0.0, 5.0, 9.0, 14.0]])
    order = torch.tensor([0.9, 0.8])
    assert len(ops.nms(pair, order, iou_threshold=0.3, offset=0)) == 2
    assert len(ops.nms(pair, order, iou_threshold=0.3, offset=1)) == 1
    with pytest.raises(
        RuntimeError, match=r"mmcv's operator 'ms_deform_attn_forward' is not compiled .*make ops"
    ):
        ops.ms_deform_attn_forward(boxes)
    with pytest.raises(AttributeError):
        ops.__wrapped__  # noqa: B018
