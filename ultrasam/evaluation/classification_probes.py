"""How much frozen features tell: a linear probe and nearest neighbours, tuned on the validation part alone."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F

from ultrasam.errors import ConfigError
from ultrasam.evaluation.classification import Figures, single_label_figures

# weight decay of the probe, a grid wide enough that its ends are not chosen
STRENGTHS = tuple(10.0**power for power in range(-6, 3))
NEIGHBOURS = (1, 5, 10, 20, 50)
TEMPERATURE = 0.07  # of the votes (Wu et al. 2018, section 3.4)
_STEPS = 200


@dataclass(frozen=True)
class FeatureTable:
    """Images as vectors.

    Args:
        features: (N, D), float32.
        labels: (N,), int, the class of each image.
        names: of the files.
    """

    features: np.ndarray
    labels: np.ndarray
    names: tuple[str, ...]


@dataclass(frozen=True)
class ProbeResult:
    """What a probe found.

    Args:
        chosen: the setting with the best macro F1 on the validation part.
        val_f1: macro F1 on the validation part, by setting.
        test: figures on the test part.
    """

    chosen: float
    val_f1: Mapping[float, float]
    test: Figures


def linear_probe(
    tables: Mapping[str, FeatureTable], count: int, strengths: Sequence[float] = STRENGTHS
) -> ProbeResult:
    """Fit one linear layer by multinomial logistic regression on standardised features.

    Args:
        tables: of ``'train'``, ``'val'`` and ``'test'``.
        count: of classes.
        strengths: weight decays to choose from; of equally good ones the largest.

    Raises:
        ConfigError: nothing to choose from, or a part that is missing.
    """
    train = _part(tables, 'train')
    mean, spread = train.features.mean(axis=0), train.features.std(axis=0)
    # a feature that never changes tells nothing, and stays 0
    scale = np.where(spread > 0, spread, np.inf)
    inputs = {
        name: torch.from_numpy((table.features - mean) / scale).double() for name, table in tables.items()
    }
    labels = torch.from_numpy(train.labels)

    def score(strength: float) -> Callable[[str], np.ndarray]:
        weight, bias = _fit(inputs['train'], labels, count, strength)
        return lambda part: F.softmax(inputs[part] @ weight + bias, dim=1).numpy()

    return _choose(tables, strengths, score)


def _fit(
    features: torch.Tensor, labels: torch.Tensor, count: int, strength: float
) -> tuple[torch.Tensor, torch.Tensor]:
    """The minimum of the loss: it is convex, so that neither a seed nor a schedule plays a part."""
    weight = torch.zeros(features.shape[1], count, dtype=torch.float64, requires_grad=True)
    bias = torch.zeros(count, dtype=torch.float64, requires_grad=True)
    solver = torch.optim.LBFGS([weight, bias], max_iter=_STEPS, line_search_fn='strong_wolfe')

    def loss() -> torch.Tensor:
        solver.zero_grad()
        value = F.cross_entropy(features @ weight + bias, labels) + strength / 2 * weight.square().sum()
        value.backward()
        return value

    # LBFGS calls it without gradients switched on
    solver.step(torch.enable_grad()(loss))
    return weight.detach(), bias.detach()


def knn_probe(
    tables: Mapping[str, FeatureTable],
    count: int,
    neighbours: Sequence[int] = NEIGHBOURS,
    temperature: float = TEMPERATURE,
) -> ProbeResult:
    """Let the nearest training images vote, by cosine similarity, the nearer the more.

    Args:
        tables: of ``'train'``, ``'val'`` and ``'test'``.
        count: of classes.
        neighbours: numbers to choose from; those above the number of training images are left out. Of equally good
            ones the largest.
        temperature: a vote is worth exp(similarity / temperature).

    Raises:
        ConfigError: nothing to choose from, a part that is missing, or a temperature that is not positive.
    """
    if temperature <= 0:
        raise ConfigError(f'temperature {temperature}: give a positive one')
    train = _part(tables, 'train')
    unit = {
        name: F.normalize(torch.from_numpy(table.features).double(), dim=1) for name, table in tables.items()
    }
    one_hot = F.one_hot(torch.from_numpy(train.labels), count).double()

    def score(number: float) -> Callable[[str], np.ndarray]:
        def votes(part: str) -> np.ndarray:
            nearest = (unit[part] @ unit['train'].T).topk(int(number), dim=1)
            # relative to the nearest, which keeps the exponential in range
            worth = ((nearest.values - nearest.values[:, :1]) / temperature).exp()
            total = (worth[..., None] * one_hot[nearest.indices]).sum(dim=1)
            return (total / total.sum(dim=1, keepdim=True)).numpy()

        return votes

    usable = [number for number in neighbours if 1 <= number <= len(train.labels)]
    return _choose(tables, usable, score)


def _part(tables: Mapping[str, FeatureTable], name: str) -> FeatureTable:
    if name not in tables:
        raise ConfigError(f'a probe needs the parts train, val and test; {name} is missing')
    return tables[name]


def _choose(
    tables: Mapping[str, FeatureTable],
    settings: Sequence[float],
    score: Callable[[float], Callable[[str], np.ndarray]],
) -> ProbeResult:
    val, test = _part(tables, 'val'), _part(tables, 'test')
    if not settings:
        raise ConfigError('no setting to choose from: give at least one that the training part allows')
    scorers = {setting: score(setting) for setting in settings}
    val_f1 = {setting: single_label_figures(of('val'), val.labels).f1 for setting, of in scorers.items()}
    chosen = max(val_f1, key=lambda setting: (val_f1[setting], setting))
    return ProbeResult(chosen, val_f1, single_label_figures(scorers[chosen]('test'), test.labels))


def as_json(
    result: ProbeResult, tables: Mapping[str, FeatureTable], classes: Sequence[str]
) -> dict[str, Any]:
    """A result as plain values; an AUC that the data do not define is null.

    Args:
        result: of a probe.
        tables: that it was given.
        classes: names in the order of their labels.
    """
    of = result.test.per_class
    by_class = {
        name: {
            'images': int(of.support[index]),
            'precision': float(of.precision[index]),
            'recall': float(of.recall[index]),
            'f1': float(of.f1[index]),
            'auc': _number(of.auc[index]),
        }
        for index, name in enumerate(classes)
    }
    return {
        'images': {part: len(table.labels) for part, table in tables.items()},
        'width': int(tables['train'].features.shape[1]),
        'chosen': result.chosen,
        'val_f1': {f'{setting:g}': value for setting, value in result.val_f1.items()},
        'test': {name: _number(value) for name, value in result.test.means().items()},
        'classes': by_class,
    }


def _number(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None
