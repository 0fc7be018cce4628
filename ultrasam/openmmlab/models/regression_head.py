"""A head that measures: one number, or several, from the features of an image; registered with mmpretrain."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from mmengine.model import BaseModule
from mmpretrain.registry import MODELS
from mmpretrain.structures import DataSample
from torch import Tensor, nn

from ultrasam.errors import ConfigError, InputError

_LOSS = {'type': 'mmdet.SmoothL1Loss', 'beta': 1.0}
# rounding to whole pixels makes the two sides differ by that much, and no more, in images of 50 px and above
_MOST_STRETCH = 0.02


@MODELS.register_module()
class MeasurementHead(BaseModule):
    """One linear layer that gives values in units of their spread, so that each begins at its mean.

    Args:
        in_channels: width of the features.
        mean: of each value that is learned; the log of the data set gives that of its list.
        std: standard deviation of each, likewise.
        is_length: the values are lengths in pixels of the image file. What is learned are then lengths in pixels of
            the network's input, which are all that it sees, and ``mean`` and ``std`` are theirs; what is predicted
            are pixels of the file again. Images have to keep their ratio.
        loss: config of the loss on values in units of ``std``.
        init_cfg: of ``BaseModule``.

    Raises:
        ConfigError: no value, numbers that do not fit each other, or a spread that is not positive.
    """

    mean: Tensor
    std: Tensor

    def __init__(
        self,
        *,
        in_channels: int,
        mean: Sequence[float],
        std: Sequence[float],
        is_length: bool = False,
        loss: Mapping[str, Any] = _LOSS,
        init_cfg: dict | None = None,
    ) -> None:
        super().__init__(init_cfg or {'type': 'Normal', 'layer': 'Linear', 'std': 0.01})
        if not mean or len(mean) != len(std) or min(std) <= 0:
            raise ConfigError(
                f'mean {list(mean)} and std {list(std)} of model.head: give one number a value, and std above 0'
            )
        self.is_length = is_length
        self.fc = nn.Linear(in_channels, len(mean))
        # with the weights in a checkpoint, which mean nothing without them
        self.register_buffer('mean', torch.tensor(list(mean), dtype=torch.float32))
        self.register_buffer('std', torch.tensor(list(std), dtype=torch.float32))
        self.loss_module = MODELS.build(dict(loss))

    @property
    def num_values(self) -> int:
        """How many values are predicted."""
        return len(self.mean)

    def forward(self, feats: tuple[Tensor, ...]) -> Tensor:
        """Values (B, K) in units of ``std`` from ``mean``.

        Args:
            feats: the last of them is used, (B, in_channels), float.
        """
        return self.fc(feats[-1]).float()

    def loss(self, feats: tuple[Tensor, ...], data_samples: list[DataSample], **_: Any) -> dict[str, Tensor]:
        """Loss against the values of the images.

        Args:
            feats: as for :meth:`forward`.
            data_samples: with ``gt_score`` (K,), float, and, for lengths, ``scale_factor``.

        Raises:
            ConfigError: another number of values than the head has.
            InputError: an image whose sides were scaled differently.
        """
        truth = torch.stack([sample.gt_score for sample in data_samples]).to(self.mean)
        if truth.shape[1] != self.num_values:
            raise ConfigError(
                f'the data have {truth.shape[1]} values an image, model.head {self.num_values}: set its mean and std, '
                'or values of the dataset'
            )
        target = (truth * self._scales(data_samples, truth) - self.mean) / self.std
        return {'loss': self.loss_module(self(feats), target)}

    def predict(
        self, feats: tuple[Tensor, ...], data_samples: list[DataSample] | None = None
    ) -> list[DataSample]:
        """The values of each image as ``pred_score`` (K,), float32.

        Args:
            feats: as for :meth:`forward`.
            data_samples: of the images; needed for lengths.

        Raises:
            ConfigError: lengths without data samples.
            InputError: an image whose sides were scaled differently.
        """
        values = self.mean + self.std * self(feats)
        if data_samples is None:
            if self.is_length:
                raise ConfigError('lengths in pixels need data_samples with the scale_factor of each image')
            data_samples = [DataSample() for _ in values]
        values = values / self._scales(data_samples, values)
        return [sample.set_pred_score(value) for sample, value in zip(data_samples, values, strict=True)]

    def _scales(self, data_samples: list[DataSample], like: Tensor) -> Tensor:
        """Pixels of the input a pixel of the file, (B, 1)."""
        if not self.is_length:
            return like.new_ones(1, 1)
        return like.new_tensor([[_scale(sample)] for sample in data_samples])


def _scale(sample: DataSample) -> float:
    width, height = sample.get('scale_factor', (1.0, 1.0))
    if abs(width - height) > _MOST_STRETCH * max(width, height):
        raise InputError(
            f'{sample.get("img_path", "an image")}: scaled by {width:.4f} across and {height:.4f} down, so that it '
            'keeps no lengths: resize with keep_ratio=True'
        )
    return (width * height) ** 0.5
