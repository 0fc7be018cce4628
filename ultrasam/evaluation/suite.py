"""Prompts every object of a frame in every way, with one encoding of the image, and scores the masks."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field

import cv2
import numpy as np

from ultrasam.errors import AnnotationError, ConfigError
from ultrasam.evaluation import metrics
from ultrasam.evaluation.ground_truth import TrueFrame
from ultrasam.evaluation.protocols import CLICKS, SINGLE_PROMPTS, Protocol, inscribed_ellipse
from ultrasam.evaluation.results import OTHER_UPSAMPLING, Results, ScoredFrame, ScoredObject
from ultrasam.masks.foreground import box_of_mask
from ultrasam.predict import EncodedImage, Predictor
from ultrasam.predict.geometry import MASK_UPSAMPLINGS, masks_at_image_size
from ultrasam.prompts.users import corrective_click, point_rule
from ultrasam.structures import ObjectPrompt, Segmentation

# side to which papers on BUSI and TN3K squash images and masks before they compare them
SQUASHED_SIDE = 256
PREDICTED = 'predicted_iou'
_UNITED = ('dice', 'iou', 'iou_with_background')


@dataclass(frozen=True, kw_only=True)
class SuiteOptions:
    """What is asked of a model.

    Args:
        protocols: names of ``PROTOCOLS``.
        clicks: most corrective clicks an object gets.
        seed: of random prompts; each depends on it, the protocol, the file name and the object alone.
        tolerances: of the normalised surface distance.

    Raises:
        ConfigError: no click at all, or a negative seed.
    """

    protocols: Sequence[str]
    clicks: int = 20
    seed: int = 0
    tolerances: metrics.Tolerances = field(default_factory=metrics.Tolerances)

    def __post_init__(self) -> None:
        if self.clicks < 1 or self.seed < 0:
            raise ConfigError(
                f'clicks={self.clicks}, seed={self.seed}: give at least 1 click, and a seed of 0 or more'
            )


class PromptSuite:
    """Scores a model frame by frame; holds the scores, and of the images no more than the one before.

    Args:
        predictor: the model; its way to upsample masks is scored beside the other one.
        options: what is asked of it.

    Raises:
        ConfigError: MONAI is not installed.
    """

    def __init__(self, predictor: Predictor, options: SuiteOptions) -> None:
        self._predictor = predictor
        self._options = options
        self._protocols = {name: one for name, one in SINGLE_PROMPTS.items() if name in options.protocols}
        if self._protocols:
            metrics.check_installed()
        self._other = next(way for way in MASK_UPSAMPLINGS if way != predictor.mask_upsampling)
        self._pending: tuple[EncodedImage, TrueFrame] | None = None
        self._previous: EncodedImage | None = None
        self.results = Results()

    def add(self, encoded: EncodedImage, frame: TrueFrame) -> None:
        """Score a frame.

        Args:
            encoded: its image.
            frame: its truth.

        Raises:
            AnnotationError: the image is not of the size that its record states.
        """
        if encoded.geometry.original_hw != frame.size_hw:
            height, width = encoded.geometry.original_hw
            raise AnnotationError(
                f'{frame.file_name}: the image has {height} x {width} pixels, its record says '
                f'{frame.size_hw[0]} x {frame.size_hw[1]}: mend the annotation file'
            )
        self.results.frames.append(
            ScoredFrame(
                frame.file_name,
                frame.subject,
                frame.dataset,
                frame.organ,
                len(frame.objects),
                frame.spacing_mm,
            )
        )
        if frame.objects:
            self._add_objects(encoded, frame)
        else:
            self._add_empty(encoded, frame)
        self._previous = encoded

    def finish(self) -> Results:
        """The scores; only now can the first frame be prompted with the image of another, the last one."""
        if self._pending is not None and len(self.results.frames) > 1 and self._previous is not None:
            encoded, frame = self._pending
            truths = frame.masks()
            for name, protocol in self._protocols.items():
                if protocol.swapped:
                    answer = self._answer(name, protocol, encoded, frame, truths, self._previous)
                    self._put(name, self._score(answer, frame, truths), at=0)
        return self.results

    def _add_objects(self, encoded: EncodedImage, frame: TrueFrame) -> None:
        truths = frame.masks()
        pixels = truths[0].size
        for truth, one in zip(truths, frame.objects, strict=True):
            area = int(np.count_nonzero(truth))
            self.results.objects.append(
                ScoredObject(
                    frame.file_name,
                    one.annotation_id,
                    one.category,
                    frame.subject,
                    frame.dataset,
                    frame.organ,
                    area,
                    area / pixels,
                )
            )
        if self._previous is None:
            self._pending = encoded, frame
        for name, protocol in self._protocols.items():
            if not protocol.swapped:
                self._add_protocol(name, protocol, encoded, frame, truths)
            elif self._previous is not None:
                answer = self._answer(name, protocol, encoded, frame, truths, self._previous)
                self._put(name, self._score(answer, frame, truths))
        if CLICKS in self._options.protocols:
            self._add_clicks(encoded, truths)

    def _add_protocol(
        self, name: str, protocol: Protocol, encoded: EncodedImage, frame: TrueFrame, truths: np.ndarray
    ) -> None:
        if protocol.rule is None:
            masks = np.array([inscribed_ellipse(box_of_mask(truth), truth.shape) for truth in truths])
            self._put(
                name, [self._row(mask, truth, frame) for mask, truth in zip(masks, truths, strict=True)]
            )
        else:
            answer = self._answer(name, protocol, encoded, frame, truths, encoded)
            masks = answer.masks
            self._put(name, self._score(answer, frame, truths))
            others = self._upsampled(answer, encoded)
            self._put(
                f'{name}{OTHER_UPSAMPLING}{self._other}',
                [self._row(mask, truth, frame) for mask, truth in zip(others, truths, strict=True)],
            )
        columns = self.results.united.setdefault(name, {})
        for metric, value in united_scores(np.any(masks, 0), np.any(truths, 0)).items():
            columns.setdefault(metric, []).append(value)

    def _answer(
        self,
        name: str,
        protocol: Protocol,
        encoded: EncodedImage,
        frame: TrueFrame,
        truths: np.ndarray,
        seen: EncodedImage,
    ) -> Segmentation:
        """Masks for the prompts on a frame, read off the embedding of the frame that is ``seen``."""
        if protocol.rule is None:
            raise ConfigError(f'{name}: a protocol without rule asks no model')
        prompts = [protocol.rule(truth, self._generator(name, frame, i)) for i, truth in enumerate(truths)]
        return self._predictor.decode(EncodedImage(seen.embedding, encoded.geometry), prompts)

    def _score(self, answer: Segmentation, frame: TrueFrame, truths: np.ndarray) -> list[dict[str, float]]:
        return [
            self._row(mask, truth, frame) | {PREDICTED: float(score)}
            for mask, truth, score in zip(answer.masks, truths, answer.scores, strict=True)
        ]

    def _row(self, mask: np.ndarray, truth: np.ndarray, frame: TrueFrame) -> dict[str, float]:
        scores = metrics.mask_scores(
            mask, truth, spacing_mm=frame.spacing_mm, tolerances=self._options.tolerances
        )
        return scores | {'empty': float(not mask.any())}

    def _upsampled(self, answer: Segmentation, encoded: EncodedImage) -> np.ndarray:
        """The same masks, upsampled the other way, (N, H, W), bool."""
        return masks_at_image_size(answer.logits, encoded.geometry, self._other)

    def _put(self, name: str, rows: Sequence[dict[str, float]], at: int | None = None) -> None:
        """Append the scores of some objects, or put them before the others."""
        columns = self.results.scores.setdefault(name, {})
        length = max((len(values) for values in columns.values()), default=0)
        for metric in dict.fromkeys([*columns, *(metric for row in rows for metric in row)]):
            # a metric that comes late, such as millimetres, has no value before
            values = columns.setdefault(metric, [float('nan')] * length)
            place = len(values) if at is None else at
            values[place:place] = [row.get(metric, float('nan')) for row in rows]

    def _add_clicks(self, encoded: EncodedImage, truths: np.ndarray) -> None:
        curves = click_curves(self._predictor, encoded, truths, self._options.clicks)
        for metric, values in curves.items():
            self.results.clicks.setdefault(metric, []).extend(values.tolist())

    def _add_empty(self, encoded: EncodedImage, frame: TrueFrame) -> None:
        """What a click yields where there is nothing: any mask is a false positive."""
        everything = np.ones(frame.size_hw, bool)
        for name, protocol in self._protocols.items():
            if protocol.rule is None or not protocol.on_empty_frames:
                continue
            prompt = protocol.rule(everything, self._generator(name, frame, 0))
            answer = self._predictor.decode(encoded, prompt)
            columns = self.results.empty_frames.setdefault(name, {})
            for key, value in (
                ('area_share', float(answer.masks[0].mean())),
                (PREDICTED, float(answer.scores[0])),
            ):
                columns.setdefault(key, []).append(value)

    def _generator(self, name: str, frame: TrueFrame, index: int) -> np.random.Generator:
        key = [self._options.seed, zlib.crc32(name.encode()), zlib.crc32(frame.file_name.encode()), index]
        return np.random.default_rng(key)


def united_scores(mask: np.ndarray, truth: np.ndarray) -> dict[str, float]:
    """Scores of all masks of an image taken as one, as papers on semantic segmentation count.

    Args:
        mask: (H, W), bool.
        truth: (H, W), bool.

    Returns:
        ``dice``, ``iou`` and ``iou_with_background``, the mean of the IoU of object and of background, at the size of
        the image; the same with the suffix ``_256`` after both were squashed to 256 x 256 pixels.
    """
    small = [
        cv2.resize(part.astype(np.uint8), (SQUASHED_SIDE, SQUASHED_SIDE), interpolation=cv2.INTER_NEAREST) > 0
        for part in (mask, truth)
    ]
    scores: dict[str, float] = {}
    for (a, b), suffix in (((mask, truth), ''), (small, f'_{SQUASHED_SIDE}')):
        of_object = metrics.iou(a, b)
        values = (metrics.dice(a, b), of_object, (of_object + metrics.iou(~a, ~b)) / 2)
        scores |= {f'{name}{suffix}': value for name, value in zip(_UNITED, values, strict=True)}
    return scores


def click_curves(
    predictor: Predictor, encoded: EncodedImage, truths: np.ndarray, clicks: int
) -> dict[str, np.ndarray]:
    """Overlap of every object after each of several clicks: its innermost pixel, then its largest error.

    Args:
        predictor: the model, which gets all clicks so far and its last mask.
        encoded: the image.
        truths: (N, H, W), bool.
        clicks: how many.

    Returns:
        ``'dice'`` and ``'iou'``, (N, clicks) each. An object without error keeps its mask.
    """
    rng = np.random.default_rng(0)  # a single point is not random
    prompts: dict[int, ObjectPrompt] = {i: point_rule(1)(truth, rng) for i, truth in enumerate(truths)}
    curves = {name: np.ones((len(truths), clicks)) for name in metrics.OVERLAP_METRICS}
    for click in range(clicks):
        if not prompts:
            break
        answer = predictor.decode(encoded, list(prompts.values()))
        for place, i in enumerate(list(prompts)):
            curves['dice'][i, click] = metrics.dice(answer.masks[place], truths[i])
            curves['iou'][i, click] = metrics.iou(answer.masks[place], truths[i])
            corrected = _corrected(answer, place, truths[i])
            if corrected is None:
                del prompts[i]
            else:
                prompts[i] = corrected
    return curves


def _corrected(answer: Segmentation, place: int, truth: np.ndarray) -> ObjectPrompt | None:
    """The prompt with one more click, and the answer as mask prompt; None where nothing is wrong."""
    found = corrective_click(answer.masks[place], truth)
    if found is None:
        return None
    point, label = found
    prompt = answer.prompts[place]
    return ObjectPrompt(
        points_xy=[*(tuple(p) for p in prompt.points_xy), point],
        point_labels=[*np.asarray(prompt.point_labels), label],
        box_xyxy=prompt.box_xyxy,
        mask_logits=answer.logits[place][None],
    )
