"""A distribution named ``mmdet`` that only says: mmdet is here, onedl-mmdetection brought it.

OpenMIM looks a package up by the name of its distribution. The maintained fork installs the module ``mmdet`` under
the distribution name ``onedl-mmdetection``, so ``mim test mmdet ...`` finds nothing. This one requires the fork in the
same version and holds pointers to its tools and configs; it has no module, so it can neither shadow nor remove one.
Build it where the fork is installed, without build isolation (``make env`` does).
"""

from __future__ import annotations

import sys
import tempfile
from importlib import metadata
from pathlib import Path

from setuptools import Distribution, setup
from setuptools.command.build import build
from setuptools.command.build_py import build_py

FORK = 'onedl-mmdetection'

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from mim_lookup import write_pointers  # noqa: E402


class BuildInTemporaryFolder(build):
    """Leaves nothing behind in the checkout."""

    def initialize_options(self) -> None:
        """Choose the folder."""
        super().initialize_options()
        self._folder = tempfile.TemporaryDirectory(prefix='mmdet-build-')
        self.build_base = self._folder.name


class PointersOnly(Distribution):
    """Says that there is something to build although no module is listed."""

    def has_pure_modules(self) -> bool:
        """Without this, setuptools would skip the build."""
        return True


class BuildPointers(build_py):
    """Builds no module, only the pointers."""

    def run(self) -> None:
        """Write a pointer for each tool and config of the installed fork."""
        mim_dir = Path(str(metadata.distribution(FORK).locate_file('mmdet/.mim')))
        write_pointers('mmdet', mim_dir, Path(self.build_lib))


def fork_version() -> str:
    """Version of the installed fork."""
    try:
        return metadata.version(FORK)
    except metadata.PackageNotFoundError:
        raise SystemExit(
            f'{FORK} is not installed here: install it first and build with --no-build-isolation'
        ) from None


setup(
    name='mmdet',
    version=fork_version(),
    description='Transitional distribution: mmdet is provided by onedl-mmdetection',
    license='Apache-2.0',
    install_requires=[f'{FORK}=={fork_version()}'],
    packages=[],
    py_modules=[],
    distclass=PointersOnly,
    cmdclass={'build': BuildInTemporaryFolder, 'build_py': BuildPointers},
)
