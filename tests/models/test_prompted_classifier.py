"""Masks and classes of prompted objects: what reaches what, what is kept, what is learnt."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from mmdet.registry import MODELS
from mmengine.config import Config
from mmengine.runner import Runner
from mmengine.utils import import_modules_from_strings

import ultrasam.evaluation.object_label_metric  # noqa: F401
from tests.corpus.tools.tiny import coco, write_dataset
from tests.golden import ROOT, model_config, needs_golden, read_json
from tests.models.test_properties import SIZE, TINY, batch_of, gradients, item, random_prompts, tiny_model
from ultrasam.checkpoints import load_strict
from ultrasam.corpus.splits import split_corpus
from ultrasam.errors import CheckpointError, ConfigError
from ultrasam.evaluation.classification import single_label_figures
from ultrasam.inference.inferencer import UltraSamInferencer
from ultrasam.models.prompted_classifier import (
    PromptedClassifier,
    pack_image_features,
    unpack_image_features,
)
from ultrasam.structures import Prompt, PromptBatch

FOCAL = dict(type='FocalLoss', loss_weight=1.0, use_sigmoid=True, gamma=2.0, alpha=0.25)
SOFTMAX = dict(type='CrossEntropyLoss', use_sigmoid=False, loss_weight=1.0)
CONFIGS = sorted((ROOT / 'configs/UltraSAM/UltraSAM_full/downstream/prompted_classification').glob('*.py'))
DATA = {'BUSBRA': ('BUSBRA', 2), 'GIST514-DB': ('GIST514-DB', 2), 'MMotu2d': ('MMOTU_2d', 8)}
HEAD = 'bbox_head.cls_prediction_head.'


def classifier(classes: int = 3, **overrides) -> PromptedClassifier:
    options = {
        'type': 'PromptedClassifier',
        'bbox_head.type': 'SamClassificationHead',
        'bbox_head.num_classes': classes,
        'bbox_head.image_dims': TINY['embed_dims'],
        'bbox_head.loss_cls': FOCAL,
    }
    return tiny_model(**{**options, **overrides})


def labelled(prompts: list[Prompt], seed: int, size_hw=(100, 128), classes: int = 3) -> dict:
    data = item(prompts, seed, size_hw)
    labels = np.random.default_rng(seed).integers(0, classes, len(prompts))
    data['data_samples'].gt_instances.labels = torch.from_numpy(labels)
    return data


@torch.no_grad()
def scores_of(model, *items: dict) -> list[torch.Tensor]:
    return [sample.pred_instances.cls_scores for sample in model.test_step(batch_of(*items))]


@pytest.mark.parametrize('refinements', [0, 1])
def test_gradients_reach_every_part(refinements: int):
    model = classifier(num_refinements=refinements)
    data = batch_of(labelled(random_prompts(3, 0), 0), labelled(random_prompts(2, 1), 1))
    found = gradients(model, data)
    assert all(gradient is not None for gradient in found.values())
    # of the masks, a pass trains the candidate that overlaps best
    still = {name for name, gradient in found.items() if not gradient.any()}
    assert all(name.startswith('bbox_head.output_hypernetworks_mlps.') for name in still), still


@pytest.mark.parametrize('loss', [FOCAL, SOFTMAX])
def test_batch_without_any_object_trains(loss: dict):
    activation = 'sigmoid' if loss['use_sigmoid'] else 'softmax'
    model = classifier(**{'bbox_head.loss_cls': loss, 'bbox_head.activation': activation})
    for name, gradient in gradients(model, batch_of(labelled([], 0), labelled([], 1))).items():
        assert gradient is not None, name
        assert not gradient.any(), name


def test_the_class_alone_trains_encoder_prompts_and_decoder():
    model = classifier()
    data = model.data_preprocessor(batch_of(labelled(random_prompts(4, 0), 0)), False)
    losses = model(**data, mode='loss')
    assert set(losses) == {f'loss_{name}{i}' for name in ('dice', 'focal', 'iou', 'cls') for i in ('', '.0')}
    losses['loss_cls.0'].backward()
    reached = {name for name, p in model.named_parameters() if p.grad is not None and p.grad.any()}
    parts = ('backbone.layers.0.', 'backbone.channel_reduction.', 'prompt_encoder.label_encoder.',
             'prompt_encoder.mask_downscaling.', 'decoder.layers.1.', 'bbox_head.output_upscaling.', HEAD)  # fmt: skip
    for part in parts:
        assert any(name.startswith(part) for name in reached), part
    # the class reads the decoded image and token, the mask of the first pass, and no predicted quality
    assert not any(name.startswith('bbox_head.iou_prediction_head') for name in reached)


def test_encoder_is_reached_past_its_neck():
    model = classifier()
    data = model.data_preprocessor(batch_of(labelled(random_prompts(2, 0), 0)), False)
    packed = model.extract_feat(data['inputs'])
    _, mean = unpack_image_features(packed, model.backbone.out_channels, model.bbox_head.image_dims)
    mean.sum().backward()
    assert model.backbone.layers[0].ffn.layers[1].weight.grad.any()
    assert model.backbone.channel_reduction[0].weight.grad is None or not (
        model.backbone.channel_reduction[0].weight.grad.any()
    )


@pytest.mark.parametrize(('scale', 'name'), [(0.0, 'loss_cls'), (3.0, 'loss_cls.0')])
def test_weight_of_the_class_loss_is_that_of_the_config(scale: float, name: str):
    data = batch_of(labelled(random_prompts(4, 0), 0))
    values = []
    for weight in (1.0, scale):
        model = classifier(**{'bbox_head.loss_cls': dict(FOCAL, loss_weight=weight)})
        values.append(model(**model.data_preprocessor(data, False), mode='loss')[name].item())
    assert values[0] > 0
    assert values[1] == pytest.approx(scale * values[0], rel=1e-5)


def test_focal_loss_is_the_mean_over_objects_and_classes():
    head = classifier().bbox_head
    logits = torch.randn(5, 3, generator=torch.Generator().manual_seed(1))
    labels = torch.tensor([0, 2, 1, 1, 0])
    truth = torch.eye(3)[labels]
    p = logits.sigmoid()
    own = torch.where(truth > 0, -0.25 * (1 - p) ** 2 * p.log(), -0.75 * p**2 * (1 - p).log()).mean()
    assert head.class_loss(logits, labels).item() == pytest.approx(own.item(), rel=1e-5)


def test_softmax_trains_with_cross_entropy():
    model = classifier(**{'bbox_head.loss_cls': SOFTMAX, 'bbox_head.activation': 'softmax'})
    logits, labels = torch.randn(4, 3), torch.tensor([0, 2, 1, 1])
    expected = torch.nn.functional.cross_entropy(logits, labels)
    assert model.bbox_head.class_loss(logits, labels).item() == pytest.approx(expected.item(), rel=1e-5)
    (scores,) = scores_of(model, labelled(random_prompts(4, 0), 0))
    assert torch.allclose(scores.sum(1), torch.ones(4), atol=1e-5)


def test_interactive_training_learns_classes():
    model = classifier(prompt_sampling='interactive', interactive=dict(rounds=2)).train()
    losses = model(**model.data_preprocessor(batch_of(labelled(random_prompts(3, 0), 0)), False), mode='loss')
    assert {'loss_cls', 'loss_dice', 'embedding_spread'} <= set(losses)
    assert losses['loss_cls'].requires_grad


def test_class_of_an_object_does_not_depend_on_other_objects():
    model = classifier()
    prompts = random_prompts(30, 5)
    (together,) = scores_of(model, labelled(prompts, 1))
    assert (together.max(0).values - together.min(0).values).min() > 1e-3, 'the prompt has no effect'
    for i, prompt in enumerate(prompts):
        (alone,) = scores_of(model, item([prompt], 1))
        assert torch.allclose(together[i], alone[0], atol=1e-5), i


def test_batch_equals_singles_in_loss_and_class():
    model = classifier()
    counts, sizes = (3, 0, 7, 1), ((100, 128), (128, 64), (128, 128), (77, 128))
    items = [labelled(random_prompts(counts[i], i), i, sizes[i]) for i in range(4)]
    together = scores_of(model, *items)
    assert [tuple(scores.shape) for scores in together] == [(count, 3) for count in counts]
    for scores, one in zip(together, items, strict=True):
        assert torch.allclose(scores, scores_of(model, one)[0], atol=1e-5)

    def class_losses(*some: dict) -> np.ndarray:
        losses = model(**model.data_preprocessor(batch_of(*some), False), mode='loss')
        return np.array([losses['loss_cls'].item(), losses['loss_cls.0'].item()])

    singles = sum(count * class_losses(one) for count, one in zip(counts, items, strict=True)) / sum(counts)
    assert class_losses(*items) == pytest.approx(singles, rel=1e-4)


@torch.no_grad()
def test_answer_is_that_of_the_last_pass_and_masks_are_those_of_ultrasam():
    model, plain = classifier(), tiny_model()
    plain.load_state_dict(model.state_dict(), strict=False)
    data = batch_of(labelled(random_prompts(6, 2), 3))
    with model.noting_classes() as passes:
        (sample,) = model.test_step(data)
        assert passes == []  # predicting notes for itself
    found = sample.pred_instances
    (other,) = plain.test_step(data)
    assert torch.equal(found.masks, other.pred_instances.masks)
    assert torch.equal(found.scores, other.pred_instances.scores)
    assert torch.equal(found.labels, found.cls_labels)
    assert torch.equal(found.cls_labels, found.cls_scores.argmax(1))
    processed = model.data_preprocessor(data, False)
    with model.noting_classes() as passes:
        embedding = model.extract_feat(processed['inputs'])
        prompts = model._prompts(processed['data_samples'], embedding.device)
        model.predict_logits(embedding, prompts, processed['data_samples'])
    first, last = (logits.sigmoid() for logits in passes)
    assert torch.allclose(found.cls_scores, last, atol=1e-6)
    assert not torch.allclose(found.cls_scores, first, atol=1e-4)


def test_head_reads_first_mask_token_decoded_image_and_encoder_in_this_order():
    head = classifier().bbox_head
    tokens, image, mean = (
        torch.randn(2, 9, 256),
        torch.randn(2, 256, 8, 8),
        torch.randn(2, TINY['embed_dims']),
    )
    inputs = torch.cat([tokens[:, 4], image.mean((2, 3)), mean], 1)
    expected = head.cls_prediction_head(inputs)
    assert torch.equal(head.classify(head.object_features(tokens, image), mean), expected)


@pytest.mark.parametrize('width', [32, 64, 65, 768])
def test_packing_an_image_is_undone(width: int):
    embedding, mean = torch.randn(2, 16, 8, 8), torch.randn(2, width)
    packed = pack_image_features(embedding, mean)
    assert packed.shape == (2, 16 + -(-width // 64), 8, 8)
    back, mean_back = unpack_image_features(packed, 16, width)
    assert torch.equal(back, embedding)
    assert torch.equal(mean_back, mean)


def test_embedding_of_a_model_without_classes_is_refused():
    with pytest.raises(ConfigError, match='an embedding of 256 channels, this model has 257'):
        classifier().decode(
            torch.zeros(1, 256, 8, 8), PromptBatch.from_prompts([[Prompt(box=[1, 1, 9, 9])]]),
            mask_prompt=None, candidates=slice(0, 1),
        )  # fmt: skip


def test_plain_images_are_classified_through_the_inferencer_and_its_cache(tmp_path: Path, image: np.ndarray):
    model = classifier()
    torch.save({'state_dict': model.state_dict(), 'meta': {}}, tmp_path / 'own.pth')
    bare = model_config(
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
    Config(dict(model=bare.to_dict())).dump(tmp_path / 'own.py')
    height, width = image.shape[:2]
    found = []
    for _ in range(2):
        inferencer = UltraSamInferencer(
            tmp_path / 'own.pth', model=tmp_path / 'own.py', device='cpu', cache_dir=tmp_path / 'cache'
        )
        inferencer.set_image(image)
        with inferencer.model.noting_classes() as passes:
            inferencer.predict(box=[width * 0.2, height * 0.2, width * 0.7, height * 0.8])
        found.append(inferencer.model.bbox_head.class_scores(passes[-1]))
    assert len(list((tmp_path / 'cache').iterdir())) == 1
    assert found[0].shape == (1, 3)
    assert torch.equal(*found)


@needs_golden
def test_names_and_shapes_are_those_of_the_published_head():
    variants = read_json('checkpoint_names.json')
    (published,) = (tensors for name, tensors in variants.items() if 'SamClassificationHead' in name)
    config = Config.fromfile(CONFIGS[0], import_custom_modules=False).model
    with torch.device('meta'):
        own = MODELS.build(config).state_dict()
    assert {name: list(tensor.shape) for name, tensor in own.items()} == {
        name: entry['shape'] for name, entry in published.items()
    }
    assert len(own) == 297


def test_a_checkpoint_of_ultrasam_fits_and_its_lack_is_reported():
    model, source = classifier(), tiny_model().state_dict()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items() if name.startswith(HEAD)}
    source = {name: tensor + 0.01 for name, tensor in source.items()}
    report = load_strict(model, source, source='UltraSam.pth')
    assert report.matched == len(source)
    assert set(report.tolerated_missing) == set(before)
    assert len(before) == 4
    own = model.state_dict()
    assert all(torch.equal(own[name], tensor) for name, tensor in {**source, **before}.items())
    with pytest.raises(CheckpointError, match=r'no class head .* would be random'):
        scores_of(model, labelled(random_prompts(2, 0), 0))
    gradients(model, batch_of(labelled(random_prompts(2, 0), 0)))
    assert scores_of(model, labelled(random_prompts(2, 0), 0))[0].shape == (2, 3)
    load_strict(model, model.state_dict(), source='own.pth')
    assert scores_of(model, labelled(random_prompts(2, 0), 0))[0].shape == (2, 3)


def test_a_checkpoint_of_other_classes_or_lacking_more_is_refused():
    source = classifier(2).state_dict()
    with pytest.raises(CheckpointError, match='of another shape'):
        load_strict(classifier(3), source, source='two.pth')
    source = {name: t for name, t in classifier().state_dict().items() if 'iou_prediction_head' not in name}
    with pytest.raises(CheckpointError, match='missing'):
        load_strict(classifier(), source, source='half.pth')


@pytest.mark.parametrize(
    ('overrides', 'message'),
    [
        ({'bbox_head.image_dims': 768}, 'image_dims 768, but the tokens of the encoder have 32'),
        ({'bbox_head.num_classes': 0}, 'num_classes 0'),
        ({'bbox_head.activation': 'tanh'}, "'tanh'"),
        ({'bbox_head.activation': 'softmax'}, 'use_sigmoid=True'),
    ],
)
def test_options_that_cannot_work_are_named(overrides: dict, message: str):
    with pytest.raises(ConfigError, match=message):
        classifier(**overrides)


def test_a_head_without_classes_and_data_without_labels_are_named():
    with pytest.raises(ConfigError, match='SamMaskHead gives no classes'):
        tiny_model(type='PromptedClassifier')
    model, data = classifier(), labelled(random_prompts(2, 0), 0)
    data['data_samples'].gt_instances.labels = torch.tensor([0, 3])
    with pytest.raises(ConfigError, match=r'labels from 0 to 3 with bbox_head.num_classes 3'):
        gradients(model, batch_of(data))
    del data['data_samples'].gt_instances.labels
    with pytest.raises(ConfigError, match='without labels'):
        gradients(model, batch_of(data))


def write_classes(root: Path, name: str, count: int) -> None:
    """A data set whose images have objects of each class, split by the tool that users run."""
    classes = parsed(name).metainfo.classes
    content = coco({f'p{number}': [1 + number % count] for number in range(3 * count)})
    test = coco({f't{number}': [1 + number % count] for number in range(count)}, first_image=90)
    for file in (content, test):
        file['categories'] = [{'id': 1 + index, 'name': text} for index, text in enumerate(classes)]
    split_corpus(write_dataset(root, DATA[name][0], content, test))


def parsed(name: str) -> Config:
    path = next(path for path in CONFIGS if path.stem == name)
    return Config.fromfile(path, import_custom_modules=False)


def small_config(name: str, folder: Path) -> Config:
    """A config as it is, but for sizes, the folder of its files, processes and one step of training."""
    config = Config(parsed(name).to_dict(), format_python_code=False)
    import_modules_from_strings(**config.custom_imports)
    model = config.model
    model.data_preprocessor.pad_size_divisor = model.prompt_encoder.img_size = SIZE
    model.backbone.update(arch=TINY, img_size=SIZE)
    model.bbox_head.image_dims = TINY['embed_dims']
    for part in ('train', 'val', 'test'):
        loader = config[f'{part}_dataloader']
        loader.update(batch_size=min(2, loader.batch_size), num_workers=0, persistent_workers=False)
        loader.pop('timeout', None)
        loader.dataset.data_root = str(folder)
        for step in loader.dataset.pipeline:
            step.update({key: (SIZE, SIZE) for key in ('scale',) if key in step})
    for evaluator in (config.val_evaluator, config.test_evaluator):
        evaluator[0].ann_file = str(folder / '/'.join(Path(evaluator[0].ann_file).parts[-3:]))
    config.train_cfg.update(max_iters=1, val_interval=1)
    config.default_hooks.logger.interval = 1
    config.load_from = str(folder / 'UltraSam.pth')
    config.update(work_dir=str(folder / 'run'), launcher='none', experiment_name=str(folder))
    config.visualizer.name = str(folder)
    torch.save({'state_dict': tiny_model().state_dict(), 'meta': {}}, config.load_from)
    return config


def test_every_config_is_in_the_sweep():
    assert [path.stem for path in CONFIGS] == sorted(DATA)
    for path in CONFIGS:
        config = parsed(path.stem)
        folder, count = DATA[path.stem]
        assert len(path.read_text().splitlines()) <= 15
        assert config.model.bbox_head.num_classes == len(config.metainfo.classes) == count
        assert config.load_from == 'weights/UltraSam.pth'
        for part in ('train', 'val', 'test'):
            data = config[f'{part}_dataloader'].dataset
            assert data.ann_file == f'{folder}/annotations/{part}.{folder}__coco.json'
            assert data.metainfo.classes == config.metainfo.classes
            if part != 'train':
                masks, classes = config[f'{part}_evaluator']
                assert masks.ann_file == f'{config.data_root}/{data.ann_file}'
                assert classes.type == 'ObjectLabelMetric'


@pytest.mark.filterwarnings('ignore::UserWarning')
@pytest.mark.parametrize(
    'name',
    [
        'BUSBRA',
        pytest.param('GIST514-DB', marks=pytest.mark.slow),
        pytest.param('MMotu2d', marks=pytest.mark.slow),
    ],
)
def test_a_config_starts_from_ultrasam_trains_a_step_validates_and_tests(name: str, tmp_path: Path):
    write_classes(tmp_path, name, DATA[name][1])
    config = small_config(name, tmp_path)
    weights = torch.load(config.load_from)['state_dict']
    runner = Runner.from_cfg(config)
    runner.train()
    log = next((tmp_path / 'run').rglob('*.log')).read_text()
    assert f'loaded {len(weights)} tensors from {config.load_from}' in log
    assert '4 missing as allowed (bbox_head.cls_prediction_head.layers.0.weight' in log
    metrics = runner.test()
    assert {'object/f1', 'object/precision', 'object/recall', 'coco/segm_mAP'} <= set(metrics)
    assert 0 <= metrics['object/f1'] <= 1
    scalars = next((tmp_path / 'run').rglob('vis_data/scalars.json')).read_text().splitlines()
    step = json.loads(scalars[0])
    assert step['loss_cls'] > 0
    assert step['loss_cls.0'] > 0


@pytest.mark.filterwarnings('ignore::UserWarning')
def test_another_number_of_classes_than_the_data_stops_the_run(tmp_path: Path):
    write_classes(tmp_path, 'BUSBRA', 2)
    config = small_config('BUSBRA', tmp_path)
    config.model.bbox_head.num_classes = 3
    with pytest.raises(ConfigError, match=r'model.bbox_head.num_classes is 3, but the train data have 2'):
        Runner.from_cfg(config).train()


def frame_of_two(seed: int, kind: str) -> dict:
    """A frame with one dark and one bright lesion, prompted by box or click, or both by the whole frame."""
    rng = np.random.default_rng(seed)
    image = rng.normal(110, 12, (SIZE, SIZE))
    side = rng.permutation(2)
    rows, columns = np.mgrid[:SIZE, :SIZE]
    masks, prompts = [], []
    for label in range(2):
        x, y = (32 if side[label] else 96) + rng.integers(-8, 9), rng.integers(32, 97)
        radius = rng.integers(14, 22)
        mask = (rows - y) ** 2 + (columns - x) ** 2 <= radius**2
        image[mask] += -70 if label == 0 else 70
        masks.append(mask)
        choices = dict(
            box=Prompt(box=[x - radius, y - radius, x + radius + 1, y + radius + 1]),
            point=Prompt(points=[[x + 0.5, y + 0.5]], point_labels=[1]),
            whole=Prompt(box=[0, 0, SIZE, SIZE]),
        )
        prompts.append(choices[kind])
    data = item(prompts, seed, (SIZE, SIZE))
    data['inputs'] = torch.from_numpy(np.repeat(image.clip(0, 255).astype(np.uint8)[None], 3, 0))
    truth = data['data_samples'].gt_instances
    truth.masks = type(truth.masks)(np.stack(masks).astype(np.uint8), SIZE, SIZE)
    truth.labels = torch.arange(2)
    return data


def macro_f1(model: PromptedClassifier, frames: list[dict]) -> float:
    scores = torch.cat([s for i in range(0, len(frames), 8) for s in scores_of(model, *frames[i : i + 8])])
    return single_label_figures(scores.numpy(), np.tile([0, 1], len(frames))).f1


@pytest.mark.slow
def test_the_prompt_tells_which_of_two_objects_is_meant():
    model = classifier(2, num_refinements=0).train()
    steps, batch = 300, 4
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    schedule = torch.optim.lr_scheduler.LinearLR(optimizer, 1.0, 0.02, total_iters=steps)
    for step in range(steps):
        frames = [frame_of_two(batch * step + i, ('box', 'point')[i % 2]) for i in range(batch)]
        total, _ = model.parse_losses(model(**model.data_preprocessor(batch_of(*frames), True), mode='loss'))
        optimizer.zero_grad()
        total.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
    model.eval()
    f1 = {
        kind: macro_f1(model, [frame_of_two(seed, kind) for seed in range(100_000, 100_040)])
        for kind in ('box', 'point', 'whole')
    }
    assert f1['box'] > 0.9
    assert f1['point'] > 0.9
    # without a telling prompt both objects of a frame get one answer, of which one half is right at best
    assert f1['whole'] <= 0.5 + 1e-6
