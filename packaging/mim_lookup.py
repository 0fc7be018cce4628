"""Lets OpenMIM find the configs and tools of a package that was installed from a wheel.

OpenMIM (onedl-mim 0.5.1, ``mim.utils.get_installed_path``) takes the first path component of the first line of
RECORD as the root of a package, and installers sort RECORD: ``../../../bin/ultrasam`` and ``ultrasam-X.dist-info/``
come before ``ultrasam/``. So a wheel carries a second, tiny folder whose name sorts before them all, with one pointer
for each config and each tool.
"""

from __future__ import annotations

import shutil
from pathlib import Path

ALIAS_TEXT = '# A config by its bare name: the tools load the .py file of the same name beside this one.\n'
CONFIG_TEXT = "_base_ = '{target}'\n"
TOOL_TEXT = """import runpy
from pathlib import Path

if __name__ == '__main__':
    runpy.run_path(str(Path(__file__).resolve().parents[{depth}] / '{target}'), run_name='__main__')
"""


def lookup_folder(package: str) -> str:
    """Name of the folder that OpenMIM takes for the package: '+' sorts before '.', '-' and every letter."""
    return f'+{package}'


def leaf_configs(config_dir: Path) -> list[Path]:
    """Configs that a user can run, sorted: every ``.py`` file outside ``_base_`` folders, relative to the folder."""
    files = (path.relative_to(config_dir) for path in config_dir.rglob('*.py'))
    return sorted(path for path in files if '_base_' not in path.parts and '__pycache__' not in path.parts)


def write_aliases(mim_dir: Path) -> None:
    """Put beside each runnable config a file of its bare name, for ``mim test ultrasam UltraSAM_box_refine``."""
    for relative in leaf_configs(mim_dir / 'configs'):
        (mim_dir / 'configs' / relative).with_suffix('').write_text(ALIAS_TEXT, encoding='utf-8')


def link_aliases(config_dir: Path, mim_dir: Path) -> None:
    """Editable install: the bare names as links to the configs, which OpenMIM finds in the checkout itself.

    The configs are not linked under their full names as well: OpenMIM searches the whole checkout and refuses a
    name that it finds twice.
    """
    for relative in leaf_configs(config_dir):
        alias = (mim_dir / 'configs' / relative).with_suffix('')
        alias.parent.mkdir(parents=True, exist_ok=True)
        upwards = '../' * len(alias.parent.relative_to(config_dir.parent).parts)
        alias.symlink_to(f'{upwards}{config_dir.name}/{relative.as_posix()}')


def write_pointers(package: str, mim_dir: Path, site_dir: Path) -> None:
    """Write the lookup folder of a package.

    Args:
        package: Import name, such as ``ultrasam``.
        mim_dir: Its ``.mim`` folder, with ``configs`` and ``tools``.
        site_dir: Where the lookup folder is made: the folder that becomes ``site-packages``.
    """
    lookup_dir = site_dir / lookup_folder(package) / '.mim'
    for relative in leaf_configs(mim_dir / 'configs'):
        pointer = lookup_dir / 'configs' / relative
        pointer.parent.mkdir(parents=True, exist_ok=True)
        upwards = '../' * len(pointer.parent.relative_to(site_dir).parts)
        target = f'{upwards}{package}/.mim/configs/{relative.as_posix()}'
        pointer.write_text(CONFIG_TEXT.format(target=target), encoding='utf-8')
    for tool in sorted((mim_dir / 'tools').rglob('*.py')):
        relative = tool.relative_to(mim_dir)
        pointer = lookup_dir / relative
        pointer.parent.mkdir(parents=True, exist_ok=True)
        depth = len(pointer.parent.relative_to(site_dir).parts)
        target = f'{package}/.mim/{relative.as_posix()}'
        pointer.write_text(TOOL_TEXT.format(depth=depth, target=target), encoding='utf-8')
    for index in mim_dir.glob('model-index.yml'):  # what `mim search` and `mim download` read
        lookup_dir.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(index, lookup_dir / index.name)
