"""Classes beside masks: the inferencer and the command on weights of a prompted classifier."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from mmdet.structures import DetDataSample
from mmengine.config import Config
from PIL import Image

from tests.golden import model_config
from tests.models.test_prompted_classifier import HEAD, classifier
from tests.models.test_properties import SIZE, TINY, tiny_model
from tests.predict.test_predictor import PROMPTS
from ultrasam import UltraSamInferencer
from ultrasam.checkpoints import load_strict
from ultrasam.checkpoints.model_card import read_card
from ultrasam.checkpoints.release import write_release
from ultrasam.checkpoints.summary import summarise
from ultrasam.cli.main import main
from ultrasam.errors import CheckpointError, ConfigError
from ultrasam.openmmlab.model_cards import detector_config, note_of_model
from ultrasam.predict.engines.classes import unpacked
from ultrasam.predict.propagation import CarriedPrompts
from ultrasam.structures import ObjectPrompt, Prompt, PromptBatch

NAMES = ('benign', 'malignant', 'normal')


def save(path: Path, *, names: tuple[str, ...] | None = NAMES, **note: object) -> Path:
    """Weights of a tiny prompted classifier, as a run leaves them or with a note of ours."""
    meta = {'ultrasam': {'mlp_skip': 'doubled', **note}}
    if names is not None:
        meta['dataset_meta'] = {'classes': names, 'palette': [(1, 2, 3)]}
    torch.save({'state_dict': classifier().state_dict(), 'meta': meta}, path)
    return path


@pytest.fixture(scope='module')
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save(tmp_path_factory.mktemp('classes') / 'classes.pth')


@pytest.fixture(scope='module')
def inferencer(weights: Path) -> UltraSamInferencer:
    return UltraSamInferencer(weights, device='cpu')


def config_file(path: Path, *, names: tuple[str, ...] = (), wrapped: bool = False) -> Path:
    """A config of the tiny prompted classifier, with data of these classes."""
    model = model_config(
        **{
            'type': 'PromptedClassifier',
            'backbone.arch': dict(TINY, _delete_=True),
            'bbox_head.type': 'SamClassificationHead',
            'bbox_head.num_classes': 3,
            'bbox_head.image_dims': TINY['embed_dims'],
            **dict.fromkeys(
                ('backbone.img_size', 'prompt_encoder.img_size', 'data_preprocessor.pad_size_divisor'), SIZE
            ),
        }
    )
    dataset = dict(type='UltraSamCocoDataset', metainfo=dict(classes=names))
    if wrapped:
        dataset = dict(type='RepeatDataset', times=2, dataset=dataset)
    content = dict(model=model.to_dict())
    if names:
        content['test_dataloader'] = dict(dataset=dataset)
    Config(content).dump(path)
    return path


def expected_scores(inferencer: UltraSamInferencer, image: np.ndarray, prompt: ObjectPrompt) -> np.ndarray:
    """Class probabilities of one prompt, pass by pass through the model."""
    encoded = inferencer.encode(image)
    geometry = encoded.geometry
    sample = DetDataSample(
        metainfo=dict(
            ori_shape=geometry.original_hw,
            img_shape=geometry.resized_hw,
            scale_factor=tuple(geometry.scale_xy),
        )
    )
    points = prompt.points_xy * geometry.scale_xy + 0.5
    box = None if prompt.box_xyxy is None else prompt.box_xyxy * np.tile(geometry.scale_xy, 2) + 0.5
    batch = PromptBatch.from_prompts([[Prompt(points=points, point_labels=prompt.point_labels, box=box)]])
    embedding = unpacked(inferencer.model.model, torch.from_numpy(encoded.embedding)[None])
    with torch.no_grad():
        answer = inferencer.model.predict_logits(embedding, batch, [sample])
    return answer.class_logits.sigmoid()[0].numpy()


def test_a_prompted_classifier_is_recognised_and_named(inferencer: UltraSamInferencer, image: np.ndarray):
    assert type(inferencer.model).__name__ == 'PromptedClassifierDetector'
    assert inferencer.class_names == NAMES
    inferencer.set_image(image)
    found = inferencer.predict(PROMPTS)
    assert found.class_names == NAMES
    assert found.class_scores.shape == (4, 3)
    assert found.class_scores.dtype == np.float32
    for i, prompt in enumerate(PROMPTS):
        expected = expected_scores(inferencer, image, prompt)
        assert np.allclose(found.class_scores[i], expected, atol=1e-5)
        assert found.class_of(i) == (NAMES[expected.argmax()], pytest.approx(expected.max(), abs=1e-5))
    assert found.labels.tolist() == found.class_scores.argmax(1).tolist()


def test_masks_are_those_of_a_model_without_classes(
    inferencer: UltraSamInferencer, image: np.ndarray, tmp_path: Path
):
    weights = {name: t for name, t in classifier().state_dict().items() if not name.startswith(HEAD)}
    torch.save({'state_dict': weights, 'meta': {}}, tmp_path / 'plain.pth')
    plain = UltraSamInferencer(tmp_path / 'plain.pth', device='cpu')
    answers = []
    for one in (inferencer, plain):
        one.set_image(image)
        answers.append(one.predict(PROMPTS))
    assert np.array_equal(answers[0].masks, answers[1].masks)
    assert np.array_equal(answers[0].scores, answers[1].scores)
    assert plain.class_names == answers[1].class_names == ()
    assert answers[1].class_scores is None
    assert answers[1].labels is None
    assert answers[1].class_of(0) is None


def test_objects_one_by_one_with_and_without_masks_have_the_same_classes(
    inferencer: UltraSamInferencer, image: np.ndarray
):
    inferencer.set_image(image)
    first = inferencer.predict(points=[(100, 120)])
    prompts = [*PROMPTS, ObjectPrompt(points_xy=[(100, 120)], mask_logits=first.logits), *PROMPTS[:2]]
    together = inferencer.predict(prompts)
    assert np.ptp(together.class_scores, axis=0).min() > 1e-4, 'the prompt has no effect'
    for i, prompt in enumerate(prompts):
        assert np.allclose(inferencer.predict(prompt).class_scores[0], together.class_scores[i], atol=1e-5)


def test_each_candidate_has_the_class_of_its_object(inferencer: UltraSamInferencer, image: np.ndarray):
    inferencer.set_image(image)
    best = inferencer.predict(PROMPTS[:2])
    every = inferencer.predict(PROMPTS[:2], all_candidates=True)
    assert np.allclose(every.class_scores, best.class_scores.repeat(3, axis=0), atol=1e-6)
    assert (
        np.allclose(
            inferencer.predict(PROMPTS[:2], refinements=0).class_scores,
            inferencer.predict(PROMPTS[0], refinements=0).class_scores[0],
            atol=1e-6,
        )
        is False
    )


def test_a_batch_of_frames_has_the_classes_of_single_ones(inferencer: UltraSamInferencer, image: np.ndarray):
    frames = [image, image[:200, :150], image[::2, ::2]]
    prompt = ObjectPrompt(box_xyxy=(20, 30, 90, 100))
    for encoded, frame in zip(inferencer.encode_batch(frames), frames, strict=True):
        inferencer.set_image(frame)
        alone = inferencer.predict(prompt).class_scores
        assert np.allclose(inferencer.decode(encoded, prompt).class_scores, alone, atol=1e-5)


def test_embeddings_of_both_kinds_of_model_share_a_folder(image: np.ndarray, tmp_path: Path, weights: Path):
    state = {name: t for name, t in classifier().state_dict().items() if not name.startswith(HEAD)}
    torch.save({'state_dict': state, 'meta': {'ultrasam': {'mlp_skip': 'doubled'}}}, tmp_path / 'plain.pth')
    answers = []
    for path in (tmp_path / 'plain.pth', weights, tmp_path / 'plain.pth', weights):
        one = UltraSamInferencer(path, device='cpu', cache_dir=tmp_path / 'cache')
        one.set_image(image)
        answers.append(one.predict(PROMPTS[1]))
    assert len(list((tmp_path / 'cache').iterdir())) == 2
    assert np.array_equal(answers[1].class_scores, answers[3].class_scores)
    assert all(np.array_equal(answers[0].masks, other.masks) for other in answers[1:])


def test_names_come_from_the_note_first_and_are_numbers_without_any(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
):
    path = save(tmp_path / 'noted.pth', classes=['a', 'b', 'c'])
    assert UltraSamInferencer(path, device='cpu').class_names == ('a', 'b', 'c')
    assert not caplog.records
    # a run on data without classes says 'object'
    for names in (None, ('object',)):
        path = save(tmp_path / 'bare.pth', names=names)
        assert UltraSamInferencer(path, device='cpu').class_names == ('class 0', 'class 1', 'class 2')
    assert 'bare.pth: names no classes' in caplog.text


@pytest.mark.parametrize('wrapped', [False, True])
def test_names_come_from_the_data_of_a_config(tmp_path: Path, weights: Path, wrapped: bool):
    config = config_file(tmp_path / 'own.py', names=('x', 'y', 'z'), wrapped=wrapped)
    assert UltraSamInferencer(weights, model=config, device='cpu').class_names == ('x', 'y', 'z')
    config = config_file(tmp_path / 'bare.py')
    assert UltraSamInferencer(weights, model=config, device='cpu').class_names == NAMES
    config = config_file(tmp_path / 'two.py', names=('x', 'y'))
    with pytest.raises(ConfigError, match=r'two.py: model.bbox_head.num_classes is 3, .* 2 classes \(x, y\)'):
        UltraSamInferencer(weights, model=config, device='cpu')


def test_weights_without_classes_are_refused_before_any_image(tmp_path: Path):
    torch.save({'state_dict': tiny_model().state_dict(), 'meta': {}}, tmp_path / 'plain.pth')
    with pytest.raises(CheckpointError, match='no class head'):
        UltraSamInferencer(
            tmp_path / 'plain.pth', model=config_file(tmp_path / 'own.py', names=NAMES), device='cpu'
        )


def test_softmax_is_told_by_the_note(tmp_path: Path, image: np.ndarray, inferencer: UltraSamInferencer):
    softmax = UltraSamInferencer(save(tmp_path / 's.pth', class_activation='softmax'), device='cpu')
    for one in (softmax, inferencer):
        one.set_image(image)
    found, other = softmax.predict(PROMPTS), inferencer.predict(PROMPTS)
    assert np.allclose(found.class_scores.sum(1), 1, atol=1e-5)
    assert not np.allclose(other.class_scores.sum(1), 1, atol=1e-2)
    assert np.array_equal(found.labels, other.labels)
    with pytest.raises(CheckpointError, match=r"bad.pth: its note says class_activation='tanh'"):
        UltraSamInferencer(save(tmp_path / 'bad.pth', class_activation='tanh'), device='cpu')


def test_the_described_model_takes_every_tensor_and_half_a_head_is_named(tmp_path: Path):
    from mmdet.registry import MODELS

    state = classifier().state_dict()
    description = read_card(state, {}, 'file')
    assert (description.num_classes, description.class_names) == (3, ())
    assert load_strict(MODELS.build(detector_config(description)), state, source='file').matched == len(state)
    del state[f'{HEAD}layers.1.weight']
    with pytest.raises(CheckpointError, match=r'lacks bbox_head.cls_prediction_head.layers.1.weight'):
        read_card(state, {}, 'file')
    assert read_card(tiny_model().state_dict(), {}, 'file').num_classes == 0


def test_a_lost_object_has_no_class(inferencer: UltraSamInferencer, image: np.ndarray):
    carried = CarriedPrompts(inferencer, PROMPTS[:3], None)
    carried._current[1] = None
    found = carried.answer(inferencer.encode(image))
    assert np.isnan(found.class_scores).all(1).tolist() == [False, True, False]
    assert found.labels[1] == -1
    assert found.class_of(1) is None
    expected = expected_scores(inferencer, image, PROMPTS[2])
    assert np.allclose(found.class_scores[2], expected, atol=1e-5)


@pytest.fixture
def folder(tmp_path: Path, image: np.ndarray) -> Path:
    root = tmp_path / 'in'
    root.mkdir()
    for i in range(3):
        Image.fromarray(image[: 200 + 20 * i, :300]).save(root / f'{i}.png')
    return root


def predict(*arguments: object) -> int:
    return main(['predict', '--device', 'cpu', *map(str, arguments)])


def test_the_command_tells_classes_wherever_there_is_a_place(
    folder: Path, weights: Path, tmp_path: Path, capsys
):
    out = tmp_path / 'out'
    line = [folder, '--box', 20, 30, 90, 100, '--box', 120, 40, 200, 150, '--checkpoint', weights]
    assert predict(*line, '--out', out, '--format', 'overlay', 'mask', 'coco', 'csv') == 0
    printed = capsys.readouterr().out.splitlines()
    with (out / 'measurements.csv').open(newline='') as file:
        rows = list(csv.DictReader(file))
    coco = json.loads((out / 'coco.json').read_text())
    assert [category['name'] for category in coco['categories']] == list(NAMES)
    assert len(rows) == len(coco['annotations']) == 6
    assert printed[-1] == f'3 files segmented: {out}'
    inferencer = UltraSamInferencer(weights, device='cpu')
    boxes = [ObjectPrompt(box_xyxy=box) for box in ([20, 30, 90, 100], [120, 40, 200, 150])]
    for number, (row, annotation, text) in enumerate(zip(rows, coco['annotations'], printed, strict=False)):
        inferencer.set_image(row['file'])
        name, probability = inferencer.predict(boxes).class_of(number % 2)
        assert row['class'] == name == NAMES[annotation['category_id'] - 1]
        assert float(row['class_probability']) == pytest.approx(probability, abs=1e-4)
        assert annotation['class_probability'] == pytest.approx(probability, abs=1e-4)
        assert list(annotation['class_scores']) == list(NAMES)
        assert text == (f'{row["file"]}, frame 0, object {1 + number % 2}: {name}, {probability:.1%}')


def test_the_command_counts_the_classes_of_many_objects(folder: Path, weights: Path, tmp_path: Path, capsys):
    boxes = [value for i in range(8) for value in ('--box', 20 + 10 * i, 30, 90 + 10 * i, 100)]
    line = [folder, *boxes, '--checkpoint', weights, '--format', 'csv']
    assert predict(*line, '--out', tmp_path / 'out') == 0
    first, last = capsys.readouterr().out.splitlines()
    assert first.startswith('24 objects: ')
    counts = dict(part.rsplit(' ', 1) for part in first.removeprefix('24 objects: ').split(', '))
    with (tmp_path / 'out/measurements.csv').open(newline='') as file:
        found = [row['class'] for row in csv.DictReader(file)]
    assert {name: int(count) for name, count in counts.items()} == {n: found.count(n) for n in set(found)}
    assert last.startswith('3 files segmented')
    assert predict(*line, '--out', tmp_path / 'quiet', '--quiet') == 0
    assert capsys.readouterr() == ('', '')


def test_info_says_classes(weights: Path, capsys):
    assert main(['info', str(weights)]) == 0
    told = capsys.readouterr().out
    assert 'UltraSam with a classification head for each prompt' in told
    assert any(line.split()[:2] == ['classes', '3'] for line in told.splitlines())


def test_released_files_keep_the_names_of_the_classes(tmp_path: Path):
    source = save(tmp_path / 'run.pth', class_activation='softmax')
    note = {'mlp_skip': 'doubled', 'class_activation': 'softmax'}
    write_release(source, tmp_path / 'release.pth', note=note, half=False)
    for name in ('run.pth', 'release.pth'):
        assert UltraSamInferencer(tmp_path / name, device='cpu').class_names == NAMES
        assert summarise(tmp_path / name).lines['class names'] == ', '.join(NAMES)


def test_activation_of_the_classes_is_noted_and_compared(tmp_path: Path):
    model = classifier()
    assert note_of_model(model)['class_activation'] == model.bbox_head.activation == 'sigmoid'


def test_a_release_says_what_its_checkpoint_said(tmp_path: Path, image: np.ndarray):
    source = save(
        tmp_path / 'iter_1.pth', class_activation='softmax', preprocessing='min_max', licence='CC0-1.0'
    )
    write_release(source, tmp_path / 'release.pth', note={'trained_on': 'simulated frames'}, half=False)
    before, after = (
        read_card(torch.load(p)['state_dict'], torch.load(p)['meta'], 'file')
        for p in (source, tmp_path / 'release.pth')
    )
    assert (after.class_activation, after.preprocessing) == ('softmax', 'min_max')
    assert after.note() == {**before.note(), 'trained_on': 'simulated frames'}
    answers = []
    for path in (source, tmp_path / 'release.pth'):
        inferencer = UltraSamInferencer(path, device='cpu')
        inferencer.set_image(image)
        answers.append(inferencer.predict(PROMPTS))
    assert np.array_equal(answers[0].class_scores, answers[1].class_scores)
    assert np.array_equal(answers[0].masks, answers[1].masks)
    assert np.allclose(answers[0].class_scores.sum(1), 1, atol=1e-5)
