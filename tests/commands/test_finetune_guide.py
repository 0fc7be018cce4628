"""The guide to fine-tuning as written: its block of commands in an empty folder, and what it promises on the way."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path

import cv2
import numpy as np
import pytest
from mmengine.config import Config, DictAction
from pycocotools import mask as coco_mask

import ultrasam.openmmlab.registry  # noqa: F401
from tests.commands.runs import environment
from tests.configs.small import small_config
from tests.golden import ROOT
from ultrasam import UltraSamInferencer
from ultrasam.corpus.splits import SplitOptions, split_corpus
from ultrasam.errors import AnnotationError
from ultrasam.export.convert import convert_file
from ultrasam.openmmlab.runner import build_runner
from ultrasam.simulation import SimulationSettings, frame_seed, simulate_frame

pytestmark = pytest.mark.filterwarnings('ignore::UserWarning')

GUIDE = ROOT / 'docs/finetune.md'
FOLDER = ROOT / 'configs/UltraSAM/finetune'
FULL, LORA, NANO = (
    FOLDER / f'{name}.py'
    for name in ('UltraSAM_finetune', 'UltraSAM_finetune_lora', 'ultrasam_nano_256_finetune')
)
LEAVES = (FULL, LORA, NANO)
FRAMES_OF_A_SUBJECT = 3
EMPTY_FRAMES = 2


def block(heading: str) -> str:
    """The shell commands under a heading of the guide."""
    found = re.search(rf'^## {re.escape(heading)}\n.*?^```bash\n(.*?)^```', GUIDE.read_text(), re.M | re.S)
    assert found is not None, heading
    return found[1]


def shell(commands: str, folder: Path) -> str:
    """Run commands as a shell does that stops at the first fault; what they printed."""
    done = subprocess.run(
        ['bash', '-euo', 'pipefail', '-c', commands],
        cwd=folder,
        env=environment(ULTRASAM=str(ROOT)),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=3600,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-3000:]
    return done.stdout


def segmentation(mask: np.ndarray, *, as_polygon: bool) -> object:
    """A mask (H, W), bool, as one annotation tool or another would write it."""
    if not as_polygon:
        rle = coco_mask.encode(np.asfortranarray(mask, np.uint8))
        return {'size': list(mask.shape), 'counts': rle['counts'].decode()}
    outlines, _ = cv2.findContours(mask.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
    return [outline.ravel().tolist() for outline in outlines if len(outline) >= 3]


def write_own_folder(folder: Path, subjects: int, *, size: int = 192) -> None:
    """``images/`` and ``annotations.json``: frames in negative, with polygons and run lengths, ids from 0 on.

    The last frames of the first subject show nothing.
    """
    (folder / 'images').mkdir(parents=True)
    images, annotations = [], []
    for number in range(subjects * FRAMES_OF_A_SUBJECT + EMPTY_FRAMES):
        subject, is_empty = number // FRAMES_OF_A_SUBJECT % subjects, number >= subjects * FRAMES_OF_A_SUBJECT
        settings = SimulationSettings(size=size, overlays=False, colour=False)
        frame = simulate_frame(frame_seed(77, number), settings=settings)
        name = f'p{subject:02d}_{number:03d}.png'
        pixels = np.full_like(frame.image, 200) if is_empty else 255 - frame.image
        cv2.imwrite(str(folder / 'images' / name), pixels)
        height, width = pixels.shape
        images.append(
            {'id': number, 'file_name': name, 'height': height, 'width': width, 'subject': f'p{subject:02d}'}
        )
        for mask in () if is_empty else frame.masks:
            y, x = np.nonzero(mask)
            annotations.append(
                {
                    'id': len(annotations),
                    'image_id': number,
                    'category_id': (7, 40)[len(annotations) % 2],
                    'segmentation': segmentation(mask, as_polygon=len(annotations) % 2 == 0),
                    'bbox': [int(x.min()), int(y.min()), int(np.ptp(x)) + 1, int(np.ptp(y)) + 1],
                    'area': int(mask.sum()),
                    'iscrowd': 0,
                }
            )
    categories = [{'id': 7, 'name': 'nodule'}, {'id': 40, 'name': 'gland, left'}]
    content = {'images': images, 'annotations': annotations, 'categories': categories}
    (folder / 'annotations.json').write_text(json.dumps(content))


def dice(folder: Path, protocol: str) -> float:
    """Mean Dice of an evaluation."""
    results = json.loads((folder / 'results.json').read_text())
    return results['summary']['protocols'][protocol]['dice']['mean']


def subjects_of(path: Path) -> set[str]:
    """Subjects in a COCO file."""
    return {image['subject'] for image in json.loads(path.read_text())['images']}


@pytest.fixture(scope='module')
def own(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with ``mine/`` in it, split."""
    folder = tmp_path_factory.mktemp('own')
    write_own_folder(folder / 'mine', 3, size=128)
    (folder / 'mine/annotations').mkdir()
    (folder / 'mine/annotations.json').rename(folder / 'mine/annotations/mine__coco.json')
    split_corpus(folder / 'mine', SplitOptions(train_percent=0.6))
    return folder


@pytest.mark.slow
def test_the_ten_lines_as_written(tmp_path: Path):
    write_own_folder(tmp_path / 'mine', 12)
    commands = block('Ten lines')
    assert len(commands.splitlines()) <= 10
    printed = shell(commands, tmp_path)
    assert 'mine: train 26, val 12 (by subject)' in printed
    parts = [subjects_of(tmp_path / f'mine/annotations/{part}.mine__coco.json') for part in ('train', 'val')]
    assert parts[0] and parts[1] and parts[0].isdisjoint(parts[1])
    before, after = tmp_path / 'before', tmp_path / 'after'
    assert dice(after, 'centre') > dice(before, 'centre') + 0.05
    assert dice(after, 'box') > dice(before, 'box') + 0.005
    differences = json.loads((after / 'results.json').read_text())['comparison']['differences']
    assert all(differences[protocol]['dice']['low'] > 0 for protocol in ('centre', 'box'))
    assert (tmp_path / 'run/iter_100.pth').is_file()
    assert (tmp_path / 'result/measurements.csv').is_file()
    assert list((tmp_path / 'result/overlay').glob('*.png'))


def test_subjects_from_file_names(tmp_path: Path):
    write_own_folder(tmp_path / 'mine', 3, size=64)
    path = tmp_path / 'mine/annotations.json'
    content = json.loads(path.read_text())
    for image in content['images']:
        del image['subject']
    path.write_text(json.dumps(content))
    shell(block('Subjects'), tmp_path)
    assert subjects_of(path) == {'p00', 'p01', 'p02'}


def test_every_file_that_the_guide_names_is_there():
    text = GUIDE.read_text()
    named = set(re.findall(r'\$ULTRASAM/([\w./]+\.(?:py|sh|pth))', text))
    assert 'tools/train.py' in named
    assert {name for name in named if not (ROOT / name).is_file()} == {'weights/UltraSam.pth'}
    assert all(f'`{leaf.name}`' in text for leaf in LEAVES)


def test_leaves_say_only_how_they_differ():
    assert sorted(LEAVES) == sorted(FOLDER.rglob('*.py'))
    assert all(len(leaf.read_text().splitlines()) <= 15 for leaf in LEAVES)


@pytest.mark.parametrize('leaf', LEAVES, ids=lambda leaf: leaf.stem)
def test_data_and_length_come_from_the_environment(leaf: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv('ULTRASAM_DATA', '/data/thyroid/')
    monkeypatch.setenv('ULTRASAM_ITERATIONS', '37')
    config = Config.fromfile(leaf, import_custom_modules=False)
    for part, file in (('train', 'train'), ('val', 'val'), ('test', 'val')):
        data = config[f'{part}_dataloader'].dataset
        assert (data.data_root, data.data_prefix.img) == ('/data/thyroid', 'images')
        assert data.ann_file == f'annotations/{file}.thyroid__coco.json'
        assert data.class_agnostic
    assert config.val_evaluator.ann_file is config.test_evaluator.ann_file is None
    assert config.train_cfg.max_iters == config.param_scheduler[0].end == 37
    assert Path(config.load_from).resolve().parent == ROOT / 'weights'
    assert Path(config.load_from).name == ('ultrasam_nano_256.pth' if leaf == NANO else 'UltraSam.pth')


@pytest.mark.parametrize('leaf', [FULL, LORA], ids=lambda leaf: leaf.stem)
def test_the_large_model_trains_and_predicts(leaf: Path, own: Path, checkpoint: Path, tmp_path: Path):
    config = small_config(leaf, own, tmp_path / 'run')
    config.load_from = str(checkpoint)
    if leaf == LORA:
        config.model.backbone.base_checkpoint = str(checkpoint)
    config.train_dataloader.batch_size = 12  # of fewer images
    runner = build_runner(config)
    runner.train()
    assert len(runner.train_dataloader.dataset) < 12
    assert len(runner.val_dataloader.dataset) + len(runner.train_dataloader.dataset) >= 9
    trained = tmp_path / 'run/iter_1.pth'
    if leaf == LORA:
        convert_file(trained, tmp_path / 'mine.pth', lora_base=checkpoint)
        trained = tmp_path / 'mine.pth'
    inferencer = UltraSamInferencer(trained)
    inferencer.set_image(next((own / 'mine/images').iterdir()))
    assert inferencer.predict(box=(20, 20, 90, 80)).masks.shape[0] == 1


def test_options_of_the_guide_reach_the_run(own: Path, checkpoint: Path, tmp_path: Path):
    pytest.importorskip('tensorboard')
    config = small_config(FULL, own, tmp_path / 'run')
    typed = dict(re.findall(r'(\w+(?:\.\w+)+)=([\w.-]+)', GUIDE.read_text()))
    assert {key.split('.')[0] for key in typed} == {
        'model',
        'optim_wrapper',
        'train_dataloader',
        'visualizer',
    }
    typed = {key: DictAction._parse_int_float_bool(value) for key, value in typed.items()}
    # with batches of one image, so that the step waits for its gradient
    config.merge_from_dict({**typed, 'load_from': str(checkpoint), 'visualizer.name': str(tmp_path)})
    step = config.train_dataloader.dataset.pipeline[4]
    assert (step.type, step.max_instances) == ('SamplePrompts', 8)
    runner = build_runner(config)
    runner.train()
    assert runner.optim_wrapper._accumulative_counts == 4
    assert list((tmp_path / 'run').rglob('events.out.tfevents*'))


def test_a_folder_that_was_not_split_says_so(own: Path, tmp_path: Path):
    config = small_config(NANO, own, tmp_path / 'run')
    config.train_dataloader.dataset.data_root = str(tmp_path / 'nowhere')
    with pytest.raises(AnnotationError, match=r'nowhere/annotations/train\.mine__coco\.json'):
        build_runner(config).train()
