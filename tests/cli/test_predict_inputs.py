"""The command line on inputs of every kind: COCO results that can be trained on, and bad files of every sort."""

from __future__ import annotations

import functools
import json
import struct
import subprocess
import sys
import zlib
from pathlib import Path

import numpy as np
import pytest
import torch
from mmdet.datasets.transforms import FixScaleResize
from PIL import Image
from pycocotools.coco import COCO

from tests.cli.test_predict import predict
from tests.golden import ROOT
from tests.inference.readers import faulty
from tests.inference.readers.files import save_dicom
from tests.inference.readers.test_videos import save as save_video
from tests.inference.writers.conftest import files_in
from ultrasam.io.readers import IsolatedReader
from ultrasam.openmmlab.datasets import UltraSamCocoDataset
from ultrasam.openmmlab.transforms import LoadInstanceAnnotations, PackPromptedInputs, SamplePrompts

BOX = ['--box', 20, 30, 90, 100]


@pytest.fixture(scope='module')
def inputs(tmp_path_factory: pytest.TempPathFactory, image: np.ndarray) -> Path:
    """A picture, a DICOM loop, a volume and a video."""
    sitk = pytest.importorskip('SimpleITK', reason='needs the extra volume')
    root = tmp_path_factory.mktemp('inputs')
    Image.fromarray(image[:140, :160]).save(root / 'picture.jpg', quality=95)
    frames = np.stack([image[i : i + 120, :150, 0] for i in range(3)])
    save_dicom(root / 'loop.dcm', frames, PixelSpacing=[0.2, 0.3])
    sitk.WriteImage(sitk.GetImageFromArray(frames), str(root / 'volume.nii.gz'))
    save_video(root / 'cine.avi', count=3)
    return root


def test_coco_of_every_kind_of_input_is_a_training_set(inputs: Path, checkpoint: Path, tmp_path: Path):
    out = tmp_path / 'out'
    prompts = {'cine.avi': [{'box': [5, 5, 50, 40]}, {'points': [[30, 20]]}]}
    prompts |= {
        name: [{'box': [20, 30, 90, 100]}, {'points': [[60, 60]]}]
        for name in ('picture.jpg', 'loop.dcm', 'volume.nii.gz')
    }
    (tmp_path / 'prompts.json').write_text(json.dumps(prompts))
    code = predict(inputs, '--prompts', tmp_path / 'prompts.json', '--axis', 0, '--checkpoint', checkpoint,
                   '--out', out, '--format', 'coco')  # fmt: skip
    assert code == 0
    coco = COCO(str(out / 'coco.json'))
    expected = ['picture', *(f'{stem}_{i:04}' for stem in ('loop', 'volume', 'cine') for i in range(3))]
    assert sorted(record['file_name'] for record in coco.imgs.values()) == sorted(
        f'{n}.png' for n in expected
    )
    assert files_in(out / 'images') == sorted(f'{name}.png' for name in expected)
    assert {Path(record['source']).name for record in coco.imgs.values()} == set(prompts)
    filled = set()
    for annotation in coco.anns.values():
        record = coco.imgs[annotation['image_id']]
        mask = coco.annToMask(annotation)
        assert Image.open(out / 'images' / record['file_name']).size == mask.shape[::-1]
        assert mask.shape == (record['height'], record['width'])
        assert annotation['area'] == mask.sum()
        filled |= {record['id']} if mask.any() else set()
    assert len(coco.anns) == 20 and len(filled) == 10
    data = UltraSamCocoDataset(
        data_root=str(out),
        ann_file='coco.json',
        data_prefix=dict(img='images'),
        pipeline=[
            dict(type='LoadImageFromFile'),
            dict(type=LoadInstanceAnnotations, with_bbox=True, with_mask=True),
            dict(type=FixScaleResize, scale=(64, 64), keep_ratio=True),
            dict(type=SamplePrompts, prompt_probabilities=dict(point=0.5, box=0.5)),
            dict(type=PackPromptedInputs),
        ],
    )
    assert len(data) == 10
    for sample in data:
        assert sample['inputs'].shape[0] == 3
        instances = sample['data_samples'].gt_instances
        assert len(instances) and len(instances.prompts) == len(instances)


def pdf(path: Path) -> None:
    path.write_bytes(b'%PDF-1.7 and so on')


def truncated(path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
    Image.fromarray(noise).save(path)
    path.write_bytes(path.read_bytes()[:3000])


def huge(path: Path) -> None:
    """A whole one-bit PNG of 40,000 x 40,000 black pixels; 200 MB of zeros deflate to 200 kB."""

    def chunk(name: bytes, content: bytes) -> bytes:
        return (
            struct.pack('>I', len(content)) + name + content + struct.pack('>I', zlib.crc32(name + content))
        )

    rows = zlib.compressobj(9)
    pixels = b''.join(rows.compress(bytes(5001 * 400)) for _ in range(100)) + rows.flush()
    header = struct.pack('>IIBBBBB', 40_000, 40_000, 1, 0, 0, 0, 0)
    path.write_bytes(
        b'\x89PNG\r\n\x1a\n' + chunk(b'IHDR', header) + chunk(b'IDAT', pixels) + chunk(b'IEND', b'')
    )


def claiming(width: int, height: int, path: Path) -> None:
    """A small PNG whose header claims another size, with its checksum made right."""
    Image.new('L', (40, 30), 9).save(path)
    data = bytearray(path.read_bytes())
    data[16:24] = struct.pack('>II', width, height)
    data[29:33] = struct.pack('>I', zlib.crc32(data[12:29]))
    path.write_bytes(data)


def pixelless_dicom(path: Path) -> None:
    pydicom = pytest.importorskip('pydicom', reason='needs the extra dicom')
    save_dicom(path, np.zeros((8, 8), np.uint8))
    dataset = pydicom.dcmread(path)
    del dataset.PixelData
    dataset.save_as(path)


def vast_dicom(path: Path) -> None:
    save_dicom(path, np.zeros((8, 8), np.uint8), Rows=40_000, Columns=40_000)


def cut_dicom(path: Path) -> None:
    save_dicom(path, np.zeros((3, 200, 200), np.uint8))
    path.write_bytes(path.read_bytes()[:-50_000])


def cube(path: Path) -> None:
    sitk = pytest.importorskip('SimpleITK', reason='needs the extra volume')
    sitk.WriteImage(sitk.GetImageFromArray(np.zeros((4, 5, 6), np.uint8)), str(path))


BAD_FILES = {
    'paper.png': (pdf, 'its content is that of no format that can be read'),
    'empty.png': (lambda path: path.write_bytes(b''), 'an empty file'),
    'cut.png': (truncated, 'damaged'),
    'huge.png': (huge, '40000 x 40000 pixels are more than the 100,000,000 allowed'),
    'claims_much.png': (lambda p: claiming(2**31 - 1, 2**31 - 1, p), 'pixels are more than the 100,000,000'),
    'claims_more.png': (lambda p: claiming(9_000, 9_000, p), 'damaged or cut short'),
    'claims_none.png': (lambda p: claiming(0, 30, p), 'claims_none.png'),
    'report.dcm': (pixelless_dicom, 'without pixel data'),
    'vast.dcm': (vast_dicom, '40000 x 40000 pixels are more than the 100,000,000 allowed'),
    'cut.dcm': (cut_dicom, 'damaged or cut short'),
    'cube.nii.gz': (cube, '--axis: 0 (z): 4 slices, 1 (y): 5 slices, 2 (x): 6 slices'),
}


def test_each_bad_file_is_named_with_its_fault_and_the_others_are_done(
    checkpoint: Path, image: np.ndarray, tmp_path: Path, capsys
):
    root, out = tmp_path / 'in', tmp_path / 'out'
    root.mkdir()
    for name, (make, _) in BAD_FILES.items():
        make(root / name)
    for name in ('a_good.png', 'z_good.png'):
        Image.fromarray(image[:120, :150]).save(root / name)
    assert predict(root, *BOX, '--checkpoint', checkpoint, '--out', out, '--format', 'mask') == 3
    printed = capsys.readouterr()
    # what comes before the fault of a loop is kept; names do not depend on which file can be read
    assert files_in(out) == ['mask/a_good.png', 'mask/in-cut-dcm_0000.png', 'mask/z_good.png']
    lines = [line for line in printed.err.splitlines() if line.startswith('not done: ')]
    assert len(lines) == len(BAD_FILES)
    for name, (_, message) in BAD_FILES.items():
        (line,) = [line for line in lines if f'{root / name}: ' in line]
        assert message in line
    assert 'Traceback' not in printed.err and '2 files segmented' in printed.out


def test_one_bad_file_alone_needs_no_model(tmp_path: Path, capsys):
    pdf(tmp_path / 'paper.png')
    line = [tmp_path / 'paper.png', *BOX, '--checkpoint', tmp_path / 'paper.png', '--out', tmp_path / 'out']
    assert predict(*line) == 3
    assert 'paper.png: its content' in capsys.readouterr().err
    assert not (tmp_path / 'out').exists()


@pytest.mark.parametrize(
    ('objects', 'message'),
    [
        ([{'box': [20, 30, 90, 100]}, {}], 'object 1: an object without prompt'),
        ([{'box': [20, 30, 90, 100]}, {'box': None}], 'object 1: an object without prompt'),
        ([{'box': [90, 30, 20, 100]}], 'x1 < x2'),
        ([{'box': [20, 30, 90, float('nan')]}], 'not a number'),
        ([{'points': [[float('inf'), 3]]}], 'not a number'),
        ([{'points': [[4000, 3]]}], 'a click at (4000, 3) is outside the image of 150 x 120 pixels'),
        ([{'box': [200, 30, 290, 100]}], 'is outside the image of 150 x 120 pixels'),
    ],
)
def test_prompts_that_mean_nothing(
    checkpoint: Path, image: np.ndarray, tmp_path: Path, capsys, objects: list, message: str
):
    Image.fromarray(image[:120, :150]).save(tmp_path / 'a.png')
    (tmp_path / 'prompts.json').write_text(json.dumps({'a.png': objects}))
    code = predict(tmp_path / 'a.png', '--prompts', tmp_path / 'prompts.json', '--checkpoint', checkpoint,
                   '--out', tmp_path / 'out', '--format', 'mask')  # fmt: skip
    assert code in (2, 3)
    printed = capsys.readouterr().err
    assert message in printed and 'a.png' in printed
    assert not list(tmp_path.glob('out/mask/*'))


@pytest.mark.parametrize(
    'content',
    [b'', b'\x80\x04 no weights', b'PK\x03\x04', {'state_dict': {'conv1.weight': torch.zeros(2)}}, {'a': 3}],
)
def test_a_checkpoint_that_is_not_ours(
    image: np.ndarray, tmp_path: Path, capsys, content: bytes | dict[str, object]
):
    Image.fromarray(image[:120, :150]).save(tmp_path / 'a.png')
    if isinstance(content, bytes):
        (tmp_path / 'other.pth').write_bytes(content)
    else:
        torch.save(content, tmp_path / 'other.pth')
    line = [tmp_path / 'a.png', *BOX, '--checkpoint', tmp_path / 'other.pth', '--out', tmp_path / 'out']
    assert predict(*line, '--format', 'coco', 'csv') == 4
    assert 'other.pth' in capsys.readouterr().err
    assert not (tmp_path / 'out/coco.json').exists() and not (tmp_path / 'out/measurements.csv').exists()


def test_output_folder_that_cannot_be(checkpoint: Path, image: np.ndarray, tmp_path: Path, capsys):
    Image.fromarray(image[:120, :150]).save(tmp_path / 'a.png')
    (tmp_path / 'file').write_text('in the way')
    code = predict(tmp_path / 'a.png', *BOX, '--checkpoint', checkpoint, '--out', tmp_path / 'file/out')
    assert code == 4
    assert 'no results can be written to' in capsys.readouterr().err


def test_a_missing_reader_is_named_with_its_extra(
    checkpoint: Path, image: np.ndarray, tmp_path: Path, capsys, monkeypatch
):
    root = tmp_path / 'in'
    root.mkdir()
    cube(root / 'a.mha')
    Image.fromarray(image[:120, :150]).save(root / 'z.png')
    reader = functools.partial(IsolatedReader, opener=faulty.open_without_itk)
    monkeypatch.setattr('ultrasam.io.readers.IsolatedReader', reader)
    line = [
        root,
        *BOX,
        '--axis',
        0,
        '--checkpoint',
        checkpoint,
        '--out',
        tmp_path / 'out',
        '--format',
        'mask',
    ]
    assert predict(*line) == 3
    printed = capsys.readouterr().err
    assert f'{root / "a.mha"}: reading this format needs SimpleITK' in printed
    assert 'pip install "ultrasam[volume]"' in printed
    assert files_in(tmp_path / 'out') == ['mask/z.png']


MEASURED = """
import resource, sys
import ultrasam.predict.batch
from ultrasam.cli.main import main
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
code = main(sys.argv[1:])
print('grown by', (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024)
sys.exit(code)
"""


@pytest.mark.slow  # a fresh interpreter loads all libraries
def test_without_a_gpu_and_with_huge_images(checkpoint: Path, image: np.ndarray, tmp_path: Path, monkeypatch):
    root = tmp_path / 'in'
    root.mkdir()
    huge(root / 'huge.png')
    claiming(2**31 - 1, 2**31 - 1, root / 'claims.png')
    Image.fromarray(image[:120, :150]).save(root / 'good.png')
    monkeypatch.setenv('CUDA_VISIBLE_DEVICES', '')
    done = subprocess.run(
        [sys.executable, '-c', MEASURED, 'predict', root, '--point', '60', '60', '--checkpoint', checkpoint,
         '--out', tmp_path / 'out'],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=300,
    )  # fmt: skip
    assert done.returncode == 3, done.stderr
    for size in ('huge.png: 40000 x 40000', 'claims.png: 2147483647 x 2147483647'):
        assert f'{size} pixels are more than the 100,000,000 allowed' in done.stderr
    assert 'per further prompt' in done.stderr and 'Traceback' not in done.stderr
    assert files_in(tmp_path / 'out') == ['mask/good.png', 'measurements.csv', 'overlay/good.png']
    # decoded, the first would take 1,600 megabytes
    assert int(done.stdout.split()[-1]) < 500
