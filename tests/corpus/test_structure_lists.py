from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.commands.runs import run
from tests.golden import ROOT
from ultrasam.corpus.classification.structure_lists import (
    circumference,
    write_circumference_list,
    write_structure_list,
)
from ultrasam.errors import AnnotationError, OutputError
from ultrasam.simulation import CATEGORIES, FrameOrder, SimulationSettings, simulate_frame, write_frames

ORDERS = [
    FrameOrder(seed, SimulationSettings(size=96, scene=scene))
    for seed, scene in enumerate(('fetus', 'breast', 'fetus', 'heart'))
]


@pytest.fixture
def annotations(tmp_path: Path) -> Path:
    return write_frames(tmp_path / 'frames', ORDERS)


def test_structures_are_those_of_the_frames(annotations: Path, tmp_path: Path):
    made = write_structure_list(annotations, tmp_path / 'structures.txt')
    lines = [line.rsplit(' ', 1) for line in made.path.read_text().splitlines()]
    frames = [simulate_frame(order.seed, settings=order.settings) for order in ORDERS]
    for (name, labels), frame in zip(lines, frames, strict=True):
        assert (annotations.parent / name).is_file()
        assert {CATEGORIES[int(label)] for label in labels.split(',')} == set(frame.categories)
    assert (made.images, made.left_out) == (4, 0)
    assert made.counts['head'] == 2 and sum(made.counts.values()) >= 4


def test_an_image_without_structures_has_none(annotations: Path, tmp_path: Path):
    content = json.loads(annotations.read_text())
    first = content['images'][0]['id']
    content['annotations'] = [one for one in content['annotations'] if one['image_id'] != first]
    annotations.write_text(json.dumps(content))
    made = write_structure_list(annotations, tmp_path / 'structures.txt', prefix='frames')
    assert made.path.read_text().splitlines()[0] == 'frames/frame_000000.png -'


def test_circumferences_are_those_of_the_ellipses(annotations: Path, tmp_path: Path):
    made = write_circumference_list(annotations, tmp_path / 'list.txt', 'head')
    assert (made.images, made.left_out) == (2, 2)
    found = [float(line.split()[1]) for line in made.path.read_text().splitlines()]
    for value, order in zip(found, (ORDERS[0], ORDERS[2]), strict=True):
        frame = simulate_frame(order.seed, settings=order.settings)
        ellipse = frame.attributes[frame.categories.index('head')]['ellipse']
        turn = np.linspace(0, 2 * np.pi, 20_001)
        points = np.stack(
            [ellipse['half_axes_px'][0] * np.cos(turn), ellipse['half_axes_px'][1] * np.sin(turn)]
        )
        assert value == pytest.approx(np.hypot(*np.diff(points)).sum(), abs=2e-3)


def test_circumference_of_known_ellipses():
    assert circumference(2.0, 2.0) == pytest.approx(4 * np.pi)
    assert circumference(1.0, 1e-9) == pytest.approx(4)
    assert circumference(3.0, 2.0) == circumference(2.0, 3.0)


def test_two_of_a_category_are_not_measured(annotations: Path, tmp_path: Path):
    content = json.loads(annotations.read_text())
    (first, *_) = (
        one for one in content['annotations'] if one['category_id'] == CATEGORIES.index('head') + 1
    )
    content['annotations'].append({**first, 'id': 999})
    annotations.write_text(json.dumps(content))
    made = write_circumference_list(annotations, tmp_path / 'list.txt', 'head')
    assert (made.images, made.left_out) == (1, 3)


def test_faults_are_named(annotations: Path, tmp_path: Path):
    target = tmp_path / 'list.txt'
    with pytest.raises(AnnotationError, match=r"no category 'skull': choose one of cyst, "):
        write_circumference_list(annotations, target, 'skull')
    with pytest.raises(AnnotationError, match=r"no image shows one 'chamber' with an ellipse"):
        write_circumference_list(annotations, target, 'chamber')
    assert not target.exists()
    content = json.loads(annotations.read_text())
    for one in content['annotations']:
        if one['attributes']['ellipse']:
            one['attributes']['ellipse']['half_axes_px'] = [3.0]
    annotations.write_text(json.dumps(content))
    with pytest.raises(AnnotationError, match='has no two half_axes_px'):
        write_circumference_list(annotations, target, 'head')
    write_structure_list(annotations, target)
    with pytest.raises(OutputError, match='exists already'):
        write_structure_list(annotations, target)


def test_as_typed(annotations: Path):
    command = [sys.executable, ROOT / 'tools/label_lists.py', annotations.parent]
    done = run(command, cwd=annotations.parent)
    assert done.returncode == 0, done.stdout
    assert 'structures.txt: 4 images, 0 left out' in done.stdout
    assert 'circumference.txt: 2 images, 2 left out' in done.stdout
    again = run(command, cwd=annotations.parent)
    assert again.returncode != 0 and 'Traceback' not in again.stdout
    assert 'OutputError' in again.stdout
