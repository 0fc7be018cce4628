"""Pictures of what was asked and what was answered: prompts, predicted masks, ground truth."""

from __future__ import annotations

from typing import Any

import cv2
import mmcv
import numpy as np
import torch
from mmdet.registry import VISUALIZERS
from mmdet.structures import DetDataSample
from mmengine.dist import master_only
from mmengine.structures import InstanceData
from mmengine.visualization import Visualizer

from ultrasam.errors import ConfigError
from ultrasam.io.writers.canvas import BLACK, WHITE, Canvas, text_size, write
from ultrasam.io.writers.pictures import instance_colour
from ultrasam.structures import Prompt

GROUND_TRUTH_VIEWS = ('outline', 'panel', 'none')

# More scores than this in one picture are written smaller.
MANY = 12


@VISUALIZERS.register_module()
class PromptVisualizer(Visualizer):
    """Draws predictions with the prompts that led to them.

    Predicted masks are tinted and outlined, one colour an instance, with the
    score (predicted IoU). Prompts are drawn where the model got them: clicks as
    green plus or red minus, boxes dashed. Small images are enlarged.

    Args:
        name: name of this instance in MMEngine's registry of instances.
        ground_truth: how the truth is shown when a call asks for it: white dashed
            ``'outline'`` over the prediction, a ``'panel'`` on the left, or
            ``'none'``.
        alpha: strength of the tint of masks, 0 to 1.
        legend: whether a line below the picture explains the marks.
        min_long_side: images are enlarged to at least this many pixels.
        **kwargs: ``vis_backends``, ``save_dir`` and ``image`` of MMEngine's ``Visualizer``.

    Raises:
        ConfigError: an unknown ``ground_truth``.
    """

    def __init__(
        self,
        name: str = 'visualizer',
        *,
        ground_truth: str = 'outline',
        alpha: float = 0.3,
        legend: bool = True,
        min_long_side: int = 800,
        **kwargs: Any,
    ) -> None:
        if ground_truth not in GROUND_TRUTH_VIEWS:
            raise ConfigError(f'ground_truth={ground_truth!r}: choose from {list(GROUND_TRUTH_VIEWS)}')
        super().__init__(name, **kwargs)
        self.alpha = alpha
        self.ground_truth = ground_truth
        self.legend = legend
        self.min_long_side = min_long_side

    @master_only
    def add_datasample(
        self,
        name: str,
        image: np.ndarray,
        data_sample: DetDataSample | None = None,
        draw_gt: bool = True,
        draw_pred: bool = True,
        show: bool = False,
        wait_time: float = 0,
        out_file: str | None = None,
        pred_score_thr: float = 0.3,
        step: int = 0,
    ) -> None:
        """Draw a sample, then show it, write it to ``out_file``, or hand it to the backends.

        Args:
            name: identifier of the picture.
            image: (H, W, 3) or (H, W), uint8, RGB or gray, at its original size
                or at the size of the network input without padding.
            data_sample: its prompts (``gt_instances.prompts``), masks and
                predictions.
            draw_gt: whether to show the ground truth.
            draw_pred: whether to show the prediction.
            show: open a window instead of saving.
            wait_time: seconds the window stays, 0 for until a key is pressed.
            out_file: picture file to write.
            pred_score_thr: predictions of a lower score are not drawn.
            step: global step for the backends.
        """
        picture = self.render(
            image, data_sample, draw_gt=draw_gt, draw_pred=draw_pred, pred_score_thr=pred_score_thr
        )
        self.set_image(picture)
        if show:
            self.show(picture, win_name=name, wait_time=wait_time)
        if out_file is not None:
            mmcv.imwrite(picture[..., ::-1], out_file)
        else:
            self.add_image(name, picture, step)

    def render(
        self,
        image: np.ndarray,
        data_sample: DetDataSample | None,
        *,
        draw_gt: bool = True,
        draw_pred: bool = True,
        pred_score_thr: float = 0.0,
    ) -> np.ndarray:
        """The picture, (H', W', 3), uint8, RGB; arguments as for :meth:`add_datasample`."""
        image = np.asarray(image).clip(0, 255).astype(np.uint8)
        canvas = Canvas(image, min_long_side=self.min_long_side)
        if data_sample is None:
            return canvas.pixels
        size_hw = image.shape[:2]
        truth = data_sample.get('gt_instances', InstanceData())
        prompts = _prompts_on_image(truth, data_sample, size_hw)
        true_masks = _masks(truth, size_hw) if draw_gt and self.ground_truth != 'none' else []
        predicted = _predictions(data_sample, size_hw, pred_score_thr) if draw_pred else None
        if predicted is None:
            # nothing is predicted, as when a data set is browsed: the truth takes the tint
            _draw_masks(canvas, list(enumerate(true_masks)), self.alpha)
            _draw_prompts(canvas, prompts)
            return self._finish([canvas], {'truth': bool(true_masks), 'prompt': bool(prompts)})
        panels = [canvas]
        if true_masks and self.ground_truth == 'panel':
            panels.insert(0, Canvas(image, min_long_side=self.min_long_side))
            _draw_masks(panels[0], list(enumerate(true_masks)), self.alpha)
            _draw_prompts(panels[0], prompts)
        _draw_masks(canvas, [(index, mask) for index, mask, _ in predicted], self.alpha)
        if len(panels) == 1:
            for mask in true_masks:
                canvas.outline(canvas.contours(mask), WHITE, dashed=True)
        _draw_prompts(canvas, prompts)
        for index, mask, score in predicted:
            canvas.chip(f'{score:.2f}', _top_left(mask), instance_colour(index), small=len(predicted) > MANY)
        return self._finish(panels, {'prediction': True, 'truth': bool(true_masks), 'prompt': bool(prompts)})

    def _finish(self, panels: list[Canvas], shown: dict[str, bool]) -> np.ndarray:
        """Join the panels and explain the marks below them."""
        picture = np.concatenate([panel.pixels for panel in panels], axis=1)
        if not self.legend:
            return picture
        if len(panels) == 2:
            entries = ['left: ground truth', 'right: prediction with predicted IoU']
        else:
            tinted = 'prediction with predicted IoU' if 'prediction' in shown else 'ground truth'
            entries = [f'tinted: {tinted}'] * (shown.get('prediction', False) or shown['truth'])
            entries += ['white dashes: ground truth'] * ('prediction' in shown and shown['truth'])
        entries += ['prompts: plus on, minus off, dashed box'] * shown['prompt']
        return _with_footer(picture, entries, panels[0].text_scale)


def _with_footer(picture: np.ndarray, entries: list[str], scale: float) -> np.ndarray:
    """The picture with lines of text below, as many as its width needs."""
    lines: list[str] = []
    pad = round(16 * scale)
    for entry in entries:
        joined = f'{lines[-1]}  |  {entry}' if lines else entry
        if lines and text_size(joined, scale)[0] + 2 * pad <= picture.shape[1]:
            lines[-1] = joined
        else:
            lines.append(entry)
    if not lines:
        return picture
    widest = max(text_size(line, scale)[0] for line in lines) + 2 * pad
    scale *= min(1.0, picture.shape[1] / widest)
    row = text_size('Ag', scale)[1] + pad
    footer = np.full((row * len(lines) + pad, picture.shape[1], 3), BLACK, np.uint8)
    for i, line in enumerate(lines):
        write(footer, line, (pad, row * (i + 1)), WHITE, scale)
    return np.concatenate([picture, footer])


def _predictions(
    sample: DetDataSample, size_hw: tuple[int, int], score_thr: float
) -> list[tuple[int, np.ndarray, float]] | None:
    """Index, mask (H, W) and score of the predictions worth drawing; None if nothing was predicted."""
    if 'pred_instances' not in sample:
        return None
    scores = torch.as_tensor(sample.pred_instances.scores).float().cpu().numpy()
    masks = _masks(sample.pred_instances, size_hw)
    return [(int(i), masks[i], float(scores[i])) for i in np.flatnonzero(scores >= score_thr)]


def _masks(instances: InstanceData, size_hw: tuple[int, int]) -> list[np.ndarray]:
    """Masks (H, W), bool, at the size of the image."""
    masks = instances.get('masks')
    if masks is None:
        return []
    if isinstance(masks, torch.Tensor):
        masks = masks.detach().cpu().numpy()
    masks = masks.to_ndarray() if hasattr(masks, 'to_ndarray') else np.asarray(masks)
    return [_fit(mask, size_hw) for mask in masks]


def _fit(mask: np.ndarray, size_hw: tuple[int, int]) -> np.ndarray:
    excess = np.subtract(mask.shape, size_hw)
    if (np.abs(excess) > 1).any() or (excess < 0).any():
        mask = cv2.resize(mask.astype(np.uint8), size_hw[::-1], interpolation=cv2.INTER_NEAREST)
    # a resized mask may exceed the resized image by the row that rounding adds
    return mask[: size_hw[0], : size_hw[1]].astype(bool)


def _prompts_on_image(
    truth: InstanceData, sample: DetDataSample, size_hw: tuple[int, int]
) -> list[tuple[int, Prompt]]:
    """Index and prompt of each instance: clicks as pixel centres, boxes as pixel edges of the drawn image."""
    scale = np.divide(sample.get('img_shape', size_hw)[:2], size_hw)[::-1]
    return [
        (
            index,
            Prompt(
                points=(prompt.points - 0.5) / scale,
                point_labels=prompt.point_labels,
                box=None if prompt.box is None else (prompt.box - 0.5) / np.tile(scale, 2),
            ),
        )
        for index, prompt in enumerate(truth.get('prompts', []))
    ]


def _draw_masks(canvas: Canvas, masks: list[tuple[int, np.ndarray]], alpha: float) -> None:
    outlines = [(instance_colour(index), canvas.contours(mask)) for index, mask in masks]
    for colour, contours in outlines:
        canvas.fill(contours, colour, alpha)
    for colour, contours in outlines:
        canvas.outline(contours, colour)


def _draw_prompts(canvas: Canvas, prompts: list[tuple[int, Prompt]]) -> None:
    for index, prompt in prompts:
        if prompt.box is not None:
            canvas.box(prompt.box, instance_colour(index))
    for _, prompt in prompts:
        for point, label in zip(prompt.points, prompt.point_labels, strict=True):
            canvas.click(point, positive=bool(label))


def _top_left(mask: np.ndarray) -> np.ndarray:
    """Top left corner xy of the box around a mask, (0, 0) without foreground."""
    if not mask.any():
        return np.zeros(2)
    return np.array([mask.any(0).argmax(), mask.any(1).argmax()])
