"""Builds the package, with the files that OpenMIM expects in ``ultrasam/.mim``."""

from __future__ import annotations

import atexit
import re
import shutil
import sys
import tempfile
from pathlib import Path

from setuptools import find_packages, setup
from setuptools.command.build import build
from setuptools.command.build_py import build_py

ROOT = Path(__file__).resolve().parent
sys.path.insert(0, str(ROOT / 'packaging'))

from mim_lookup import link_aliases, lookup_folder, write_aliases, write_pointers  # noqa: E402

# What a wheel carries in ultrasam/.mim, so that `mim test ultrasam CONFIG` works from any folder.
MIM_FILES = (
    'configs',
    'datasets/classification',
    'datasets/us43d',
    'tools',
    'model-index.yml',
    'weights/ultrasam_nano_256.pth',
    'weights/ultrasam_nano_256.pth.sha256',
    'weights/ultrasam_nano_256.encoder.onnx',
    'weights/ultrasam_nano_256.decoder_all_masks.onnx',
)

REQUIREMENTS = [
    'defusedxml>=0.7.1',  # refuses entity bombs in annotation files
    'h5py>=3.10',  # the first with wheels for Python 3.12
    'numpy>=1.26',  # the first with wheels for Python 3.12; the last series of numpy 1 works too
    'onnxruntime>=1.20',  # runs the shipped weights; the first for Python 3.10 to 3.13 with numpy 2 in all
    'pebble>=5.2',  # worker processes with a time limit; the oldest that we test; pure Python, LGPL-3.0
    'opencv-python-headless>=4.8.1',  # CVE-2023-4863, in its WebP decoder; headless needs no display library
    'openpyxl>=3.1',  # spreadsheets of labels; the oldest that we test
    'pillow>=10.3',  # CVE-2024-28219, an overflow in colour conversion
    'pycocotools>=2.0.11',  # the first tested against the corpus of malformed run lengths
    'pydicom>=3.0',  # the first with pydicom.pixels
    'pyjpegls>=1.2',  # decodes JPEG-LS; the oldest that pydicom 3 takes
    'pylibjpeg>=2.0',  # hands JPEG 2000 of more than 8 bits to the next; the oldest that pydicom 3 takes
    'pylibjpeg-openjpeg>=2.0',  # the oldest that pydicom 3 takes
    'scipy>=1.11',  # the first with wheels for Python 3.12
    'tqdm>=4.66.3',  # CVE-2024-34062, evaluated command-line arguments
]
VOLUME = [
    'SimpleITK>=2.5',  # the oldest that we test; 262 MB, half as much as all of the above
]
PLOTS = [
    'matplotlib>=3.7',  # draws curves and statistics; the oldest that we test; 62 MB with what it needs
]
TRAIN = [
    *PLOTS,
    'torch>=2.10',  # CVE-2025-32434 and CVE-2026-24747: weights_only did not hold before
    'torchvision>=0.25',  # the release that belongs to torch 2.10
    'onedl-mmengine>=0.10.12',  # the oldest of the fork that we test with torch 2.10
    'onedl-mmcv>=2.3.6',  # the first that builds with the setuptools of today
    'onedl-mmdetection>=3.5.1',  # the oldest that we test with onedl-mmcv 2.3
    'onedl-mmpretrain>=1.3.6',  # the oldest that we test with onedl-mmcv 2.3
    'onedl-mim>=0.5.1',  # the one whose look-up of packages packaging/mim_lookup.py answers
    'faster-coco-eval>=1.6',  # the oldest that we test
    'monai>=1.4',  # distances between surfaces; the first that runs with numpy 2
    'onnx>=1.17',  # the first that knows opset 22 and has wheels for Python 3.12 and numpy 2
    'onnxscript>=0.1',  # the exporter of torch imports it
    'safetensors>=0.4',  # weights in this format are read and written where it is installed
    'tensorboard>=2.14',  # curves of a run; the oldest for numpy 1.26
]
# mmcv's operators where it was built without a compiler. No registry has this distribution, so a checkout names its
# folder; a source distribution leaves it out, because a wheel built from it must not name a folder of this machine.
if not (ROOT / 'PKG-INFO').exists():
    TRAIN.append(f'ultrasam-mmcv-ops @ {(ROOT / "packaging" / "mmcv_ops").as_uri()}')
EXTRAS = {
    'train': TRAIN,
    'volume': VOLUME,
    'corpus': [
        *VOLUME,
        *PLOTS,
        'imagehash>=4.3',  # the first that runs with numpy 2
        'py7zr>=1.0',  # the oldest that we test
        'rarfile>=4.1',  # the oldest that we test; calls unrar, unar or 7z, whichever is there
    ],
    'dicom-gpl': [
        'pylibjpeg-libjpeg>=2.1',  # decodes lossless and 12-bit JPEG; GPL-3.0, so that nothing else asks for it
    ],
    # names of earlier releases
    **dict.fromkeys(('mim', 'evaluation', 'tensorboard', 'export'), TRAIN),
    'dicom': [],
    'test': [
        'transformers>=4.57,<5',  # SamModel, which reads what is exported; the series that we run
        'pytest>=8',  # the oldest that reads our settings without a warning
        'pytest-xdist>=3.8',  # workers at once; the first that keeps files in their order (make test)
        'scikit-image>=0.22',  # the resize of MedSAM, which ours is compared with; the first for Python 3.12
        'segment-anything==1.0',  # the reference that parity tests compare with
    ],
    'dev': [
        'import-linter>=2.1',  # checks type-checking imports where it is told to
        'mypy>=1.11',  # reads the type stubs of numpy 2
        'pre-commit>=3.5',  # the oldest with Python 3.12 support
        'ruff>=0.6',  # formats f-strings and sorts rules as pyproject.toml asks
    ],
}


class BuildOutsideCheckout(build):
    """Builds in a temporary folder: copies of configs inside the checkout would be found twice by OpenMIM."""

    def initialize_options(self) -> None:
        """Choose the folder, and see that it goes away."""
        super().initialize_options()
        self.build_base = tempfile.mkdtemp(prefix='ultrasam-build-')
        atexit.register(shutil.rmtree, self.build_base, ignore_errors=True)


class BuildPyWithMim(build_py):
    """Adds ``ultrasam/.mim`` to a wheel; leaves only links to the bare config names in an editable install."""

    def run(self) -> None:
        """Build the modules, then the files for OpenMIM."""
        super().run()
        in_checkout = ROOT / 'ultrasam' / '.mim'
        if getattr(self, 'editable_mode', False):
            shutil.rmtree(in_checkout, ignore_errors=True)
            link_aliases(ROOT / 'configs', in_checkout)
            return
        site_dir = Path(self.build_lib)
        mim_dir = site_dir / 'ultrasam' / '.mim'
        for name in MIM_FILES:
            source, target = ROOT / name, mim_dir / name
            if source.is_dir():
                shutil.copytree(source, target, ignore=shutil.ignore_patterns('__pycache__'))
            else:
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(source, target)
        write_pointers('ultrasam', mim_dir, site_dir)
        write_aliases(mim_dir)
        write_aliases(site_dir / lookup_folder('ultrasam') / '.mim')


def read_version() -> str:
    """The version that ``ultrasam/version.py`` states."""
    text = (ROOT / 'ultrasam' / 'version.py').read_text(encoding='utf-8')
    match = re.search(r"^__version__ = '([^']+)'$", text, re.MULTILINE)
    if match is None:
        raise SystemExit("ultrasam/version.py: no line of the form __version__ = '1.2.3'")
    return match.group(1)


def read_description() -> str:
    """The README, or nothing where a build was given none."""
    readme = ROOT / 'README.md'
    return readme.read_text(encoding='utf-8') if readme.is_file() else ''


setup(
    name='ultrasam',
    version=read_version(),
    description='Promptable segmentation for ultrasound, in the OpenMMLab stack',
    long_description=read_description(),
    long_description_content_type='text/markdown',
    license='Apache-2.0',
    author='The UltraSam contributors',
    keywords=['ultrasound', 'segmentation', 'foundation model', 'segment anything', 'OpenMMLab'],
    classifiers=[
        'Development Status :: 4 - Beta',
        'Intended Audience :: Science/Research',
        'Operating System :: POSIX :: Linux',
        'Programming Language :: Python :: 3.10',
        'Programming Language :: Python :: 3.11',
        'Programming Language :: Python :: 3.12',
        'Programming Language :: Python :: 3.13',
        'Topic :: Scientific/Engineering :: Image Recognition',
        'Topic :: Scientific/Engineering :: Medical Science Apps.',
    ],
    python_requires='>=3.10,<3.14',  # union types at run time need 3.10; the last that we test is 3.13
    packages=find_packages(include=['ultrasam', 'ultrasam.*']),
    package_data={'ultrasam': ['py.typed', '**/*.json', '**/*.yml', '**/*.csv']},
    install_requires=REQUIREMENTS,
    extras_require=EXTRAS,
    cmdclass={'build': BuildOutsideCheckout, 'build_py': BuildPyWithMim},
    entry_points={'console_scripts': ['ultrasam = ultrasam.cli.main:main']},
    zip_safe=False,
)
