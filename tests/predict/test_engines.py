"""Both engines give the same masks; a predictor may be shared by threads; files of weights are told apart."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import onnx
import pytest
from PIL import Image

from tests.golden import ROOT
from ultrasam import UltraSamInferencer
from ultrasam.errors import CheckpointError, ConfigError
from ultrasam.export import export_checkpoint
from ultrasam.predict import ObjectPrompt, Predictor
from ultrasam.predict.engines.exported import exported_pair
from ultrasam.predict.weights import find_weights, shipped_pair
from ultrasam.structures.onnx_pair import DECODER_SUFFIX, ENCODER_SUFFIX

SHARED = ROOT.parent / 'shared'
SOURCES = {
    'sample frames': (ROOT / 'sample_dataset/images', 10),
    'real samples': (SHARED / 'samples', 10),
    **{f'real {name}': (SHARED / 'real' / name / 'images', 4) for name in
       ('bus_bra', 'ccaui', 'hc18', 'psfhs', 'usgra_seg')},
}  # fmt: skip


@pytest.fixture(scope='module')
def onnx_predictor() -> Predictor:
    return Predictor()


@pytest.fixture(scope='module')
def torch_predictor() -> Predictor:
    return Predictor(engine='torch', device='cpu')


@pytest.fixture(scope='module')
def tiny_pair(checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp('pair') / 'tiny'
    export_checkpoint(checkpoint, folder, 'predictor')
    return folder


def iou(a: np.ndarray, b: np.ndarray) -> float:
    union = np.count_nonzero(a | b)
    return np.count_nonzero(a & b) / union if union else 1.0


def some_prompts(size_hw: tuple[int, int], rng: np.random.Generator) -> list[ObjectPrompt]:
    size_xy = np.array(size_hw[::-1])
    centre, half = rng.uniform(0.25, 0.75, 2) * size_xy, rng.uniform(0.08, 0.2, 2) * size_xy
    box = np.concatenate([centre - half, centre + half])
    return [
        ObjectPrompt(points_xy=[centre]),
        ObjectPrompt(box_xyxy=box),
        ObjectPrompt(points_xy=[centre, (2, 2)], point_labels=[1, 0]),
        ObjectPrompt(points_xy=[centre], box_xyxy=box),
    ]


@pytest.mark.parametrize('source', SOURCES)
def test_both_engines_give_the_same_masks(source: str, onnx_predictor: Predictor, torch_predictor: Predictor):
    folder, count = SOURCES[source]
    if not folder.is_dir():
        pytest.skip(f'{folder.name} is not beside this checkout')
    files = sorted(path for path in folder.rglob('*') if path.suffix.lower() in ('.png', '.jpg'))[:count]
    assert len(files) == count
    rng = np.random.default_rng(0)
    for path in files:
        image = np.asarray(Image.open(path).convert('RGB'))
        encoded = [each.encode(image) for each in (onnx_predictor, torch_predictor)]
        prompts = some_prompts(image.shape[:2], rng)
        first = onnx_predictor.decode(encoded[0], prompts)
        prompts += [
            ObjectPrompt(points_xy=prompt.points_xy, mask_logits=logits[None])
            for prompt, logits in zip(prompts, first.logits, strict=True)
            if (logits > 0).any()
        ]
        for refinements in (0, 1):
            a, b = (
                each.decode(of_image, prompts, refinements=refinements)
                for each, of_image in zip((onnx_predictor, torch_predictor), encoded, strict=True)
            )
            assert min(map(iou, a.masks, b.masks)) >= 0.999, path.name
            assert np.abs(a.scores - b.scores).max() < 1e-4


def test_a_pair_of_a_refining_model_answers_as_its_checkpoint(
    tiny_pair: Path, checkpoint: Path, image: np.ndarray
):
    prompts = some_prompts(image.shape[:2], np.random.default_rng(1))
    for options in ({}, {'refinements': 2}, {'all_candidates': True}):
        a, b = (
            Predictor(weights, engine=engine, device='cpu')(image, prompts, **options)
            for weights, engine in ((tiny_pair, 'auto'), (checkpoint, 'torch'))
        )
        assert min(map(iou, a.masks, b.masks)) >= 0.999
        assert np.abs(a.scores - b.scores).max() < 1e-4


@pytest.mark.parametrize(('engine', 'calls'), [('onnx', 2000), ('torch', 400)])
def test_one_predictor_in_eight_threads(engine: str, calls: int, checkpoint: Path):
    weights = None if engine == 'onnx' else checkpoint
    predictor = Predictor(weights, engine=engine, device='cpu')
    files = sorted((ROOT / 'sample_dataset/images').iterdir())[:4]
    encoded = [predictor.encode(path) for path in files]
    rng = np.random.default_rng(0)
    cases = [
        (i, prompt) for i, one in enumerate(encoded) for prompt in some_prompts(one.geometry.original_hw, rng)
    ]
    expected = [predictor(encoded[i], prompt).masks for i, prompt in cases]

    def is_right(call: int) -> bool:
        i, prompt = cases[call % len(cases)]
        return bool(np.array_equal(predictor(encoded[i], prompt).masks, expected[call % len(cases)]))

    with ThreadPoolExecutor(8) as pool:
        wrong = [call for call, right in enumerate(pool.map(is_right, range(calls))) if not right]
    assert not wrong


def test_a_call_keeps_nothing(onnx_predictor: Predictor, image: np.ndarray):
    fresh = Predictor()
    prompt = ObjectPrompt(points_xy=[(100, 120)])
    answer = fresh(image, prompt)
    assert not fresh.image_set
    onnx_predictor.set_image(image)
    assert np.array_equal(onnx_predictor.predict([(100, 120)]).masks, answer.masks)
    assert re.fullmatch(r'Segmentation\(1 mask of \d+ x \d+ pixels, predicted IoU 0\.\d\d\)', repr(answer))


def test_a_checkpoint_is_exported_once(checkpoint: Path, tmp_path: Path, monkeypatch, image: np.ndarray):
    monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path))
    first = exported_pair(checkpoint)
    before = first.encoder.stat().st_mtime_ns
    predictor = Predictor(checkpoint, engine='onnx')
    assert predictor.weights == first.encoder
    assert first.encoder.stat().st_mtime_ns == before
    expected = UltraSamInferencer(checkpoint, device='cpu')(image, ObjectPrompt(points_xy=[(90, 80)]))
    assert iou(predictor(image, ObjectPrompt(points_xy=[(90, 80)])).masks[0], expected.masks[0]) > 0.999


def test_the_shipped_pair_is_the_shipped_checkpoint_and_small():
    pair = shipped_pair()
    sources = set()
    for path in (pair.encoder, pair.decoder):
        facts = {entry.key: entry.value for entry in onnx.load(path).metadata_props}
        sources.add(facts['source_sha256'])
        assert facts['licence'] == 'Apache-2.0'
    stated = (ROOT / 'weights/ultrasam_nano_256.pth.sha256').read_text().split()[0]
    assert sources == {stated}
    assert pair.encoder.stat().st_size + pair.decoder.stat().st_size < 20_000_000


def copied_pair(tiny_pair: Path, folder: Path) -> tuple[Path, Path]:
    shutil.copytree(tiny_pair, folder)
    return tuple(next(folder.glob(f'*{suffix}')) for suffix in (ENCODER_SUFFIX, DECODER_SUFFIX))


def test_either_file_or_the_folder_names_a_pair(tiny_pair: Path, tmp_path: Path):
    encoder, decoder = copied_pair(tiny_pair, tmp_path / 'pair')
    found = {find_weights(path) for path in (encoder, decoder, tmp_path / 'pair')}
    assert len(found) == 1
    assert (found.pop().encoder) == encoder


def test_files_that_are_no_pair(tiny_pair: Path, tmp_path: Path, checkpoint: Path):
    encoder, decoder = copied_pair(tiny_pair, tmp_path / 'pair')
    with pytest.raises(ConfigError, match=r'none\.onnx: no such file'):
        Predictor(tmp_path / 'none.onnx')
    renamed = tmp_path / 'model.onnx'
    shutil.copyfile(checkpoint, renamed)
    with pytest.raises(CheckpointError, match='a checkpoint under the name of an ONNX file'):
        Predictor(renamed)
    (tmp_path / 'x.onnx').write_bytes(encoder.read_bytes())
    with pytest.raises(CheckpointError, match='takes a pair'):
        Predictor(tmp_path / 'x.onnx')
    shutil.copyfile(shipped_pair().decoder, decoder)
    with pytest.raises(CheckpointError, match='belong to different models'):
        Predictor(encoder)
    decoder.write_bytes(decoder.read_bytes()[:1000])
    with pytest.raises(CheckpointError, match=f'{decoder.name}: not an ONNX file that onnxruntime can load'):
        Predictor(encoder)
    decoder.unlink()
    with pytest.raises(CheckpointError, match=f'one file of a pair; {decoder.name} is not beside it'):
        Predictor(encoder)
    encoder.unlink()
    with pytest.raises(CheckpointError, match='a folder with 0 files'):
        Predictor(tmp_path / 'pair')


def test_a_graph_of_somebody_else_is_named(tiny_pair: Path, tmp_path: Path):
    encoder, _ = copied_pair(tiny_pair, tmp_path / 'pair')
    model = onnx.load(encoder)
    del model.metadata_props[:]
    onnx.save(model, encoder)
    with pytest.raises(CheckpointError, match='not one that the predictor can use'):
        Predictor(encoder)


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        (dict(device='gpu'), "device 'gpu': use cpu, cuda, cuda:1"),
        (dict(device='cuda:x'), 'use cpu, cuda'),
        (dict(device='cuda:99'), "no device 'cuda:99' on this machine: use one of .*cpu"),
        (dict(device='cuda', engine='onnx'), 'the onnx engine has no device cuda'),
        (dict(engine='tensorflow'), 'use one of auto, onnx, torch'),
        (dict(precision='fp16'), 'use one of auto, fp32, bf16'),
        (dict(precision='bf16', engine='onnx'), 'has no precision bf16'),
        (dict(mask_upsampling='cubic'), 'use one of binary, logits'),
    ],
)
def test_options_that_cannot_be(options: dict, message: str):
    with pytest.raises(ConfigError, match=message):
        Predictor(**options)


def test_a_pair_refuses_what_only_torch_can(tiny_pair: Path):
    with pytest.raises(ConfigError, match=r'without engine torch: give the \.pth'):
        Predictor(tiny_pair, engine='torch')


WITHOUT_TORCH = """
import sys
for name in ('torch', 'torchvision', 'mmengine', 'mmcv', 'mmdet', 'mmpretrain'):
    sys.modules[name] = None
import ultrasam.predict
lines = {name: len(open(module.__file__).read().splitlines()) for name, module in sys.modules.items()
         if name.partition('.')[0] == 'ultrasam'}
assert sum(lines.values()) <= 3000, lines
from ultrasam.cli.main import main
codes = [main(['predict', sys.argv[1], '--point', '200', '150', '--out', sys.argv[2], '--format', name, '--quiet'])
         for name in ('overlay', 'mask', 'csv', 'coco')]
assert codes == [0] * 4, codes
"""


def test_a_mask_needs_no_deep_learning_library(tmp_path: Path):
    image = ROOT / 'sample_dataset/images/frame_000000.png'
    done = subprocess.run(
        [sys.executable, '-c', WITHOUT_TORCH, image, tmp_path / 'out'],
        capture_output=True,
        text=True,
        timeout=100,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, '', '')
    assert {path.name for path in (tmp_path / 'out').iterdir()} == {
        'overlay', 'mask', 'images', 'coco.json', 'measurements.csv',
    }  # fmt: skip


def test_a_checkpoint_without_torch_says_what_to_install(checkpoint: Path, monkeypatch):
    monkeypatch.setattr('ultrasam.predict.engines.find_spec', lambda name: None)
    with pytest.raises(
        ConfigError, match=r"needs PyTorch, which is not installed: pip install 'ultrasam\[train\]'"
    ):
        Predictor(checkpoint)
    assert Predictor().weights == shipped_pair().encoder


def test_what_a_user_prints_is_short(onnx_predictor: Predictor, image: np.ndarray):
    import ultrasam

    assert {'Predictor', 'ObjectPrompt', 'UltraSamInferencer'} <= set(dir(ultrasam))
    assert ultrasam.Predictor is Predictor
    encoded = onnx_predictor.encode(image)
    answer = onnx_predictor(encoded, ObjectPrompt(points_xy=[(100, 120)]))
    prompt = ObjectPrompt(points_xy=[(3, 4)], mask_logits=answer.logits)
    frame = ultrasam.predict.Frame(image, Path('a.png'))
    for value in (encoded, answer, prompt, frame):
        assert len(repr(value)) < 300 and repr(value).startswith(type(value).__name__)
