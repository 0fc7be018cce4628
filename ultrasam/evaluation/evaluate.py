"""One evaluation from start to end: read, encode once, prompt in every way, sum up."""

from __future__ import annotations

import platform
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Protocol

from ultrasam.errors import AnnotationError, ConfigError, InputError
from ultrasam.evaluation.ground_truth import GroundTruth, TrueFrame, checked_spacing
from ultrasam.evaluation.metrics import Tolerances
from ultrasam.evaluation.protocols import PROTOCOLS, PUBLISHED, choose_protocols
from ultrasam.evaluation.results import Results
from ultrasam.evaluation.suite import PromptSuite, SuiteOptions
from ultrasam.evaluation.summary import summarise
from ultrasam.hashing import file_sha256
from ultrasam.io.readers import open_frames
from ultrasam.predict import EncodedImage, Predictor
from ultrasam.version import __version__


class Track(Protocol):
    """Passes frames on and may show how far it is; ``tqdm`` is one."""

    def __call__(self, items: Iterable[Any], /, *, total: int) -> Iterable[Any]:
        """The same items, of which there are so many."""


# each package, with the names that its distribution may have
_DISTRIBUTIONS = {
    'torch': ('torch',),
    'mmengine': ('onedl-mmengine', 'mmengine'),
    'mmcv': ('onedl-mmcv', 'mmcv'),
    'mmdet': ('onedl-mmdetection', 'mmdet'),
    'numpy': ('numpy',),
    'opencv': ('opencv-python-headless', 'opencv-python'),
    'monai': ('monai',),
}


@dataclass(frozen=True, kw_only=True)
class DataPlaces:
    """Where the test set is, if not where the config says.

    Args:
        data_root: folder that the other two start from.
        ann_file: COCO file; without ``data_root`` as from the current folder.
        img_prefix: folder of the images; likewise.
        limit: look at the first images only.
    """

    data_root: Path | None = None
    ann_file: Path | None = None
    img_prefix: Path | None = None
    limit: int | None = None


@dataclass(frozen=True, kw_only=True)
class EvaluationOptions:
    """How to evaluate.

    Args:
        protocols: names of ``PROTOCOLS``; none takes all.
        data: where the test set is, if not where the config says.
        spacing_mm: of images that do not state theirs.
        tolerances: of the normalised surface distance.
        clicks: most corrective clicks an object gets.
        seed: of random prompts and of the bootstrap.
        samples: draws of the bootstrap.
        mask_upsampling: ``'logits'`` or ``'binary'``; the other one is reported beside it.
        device: as for :class:`Predictor`.
        precision: likewise; fp32 is what published figures are made with.
    """

    protocols: tuple[str, ...] = ()
    data: DataPlaces = field(default_factory=DataPlaces)
    spacing_mm: Sequence[float] | None = None
    tolerances: Tolerances = field(default_factory=Tolerances)
    clicks: int = 20
    seed: int = 0
    samples: int = 2000
    mask_upsampling: str = 'logits'
    device: str | None = None
    precision: str = 'fp32'


def untracked(items: Iterable[Any], /, *, total: int) -> Iterable[Any]:
    """Frames as they are: a :data:`Track` that shows nothing."""
    return items


def evaluate_files(
    annotations: Path,
    images: Path,
    checkpoint: str | Path | None = None,
    options: EvaluationOptions | None = None,
    *,
    track: Track = untracked,
) -> Results:
    """Evaluate a checkpoint on a COCO file, without a config: the architecture is read from the checkpoint.

    Args:
        annotations: the COCO file.
        images: folder of its images, in any format that the readers of :mod:`ultrasam.inference` know; a spacing
            that a file tells is used.
        checkpoint: weights; None takes those that ship.
        options: how; ``data`` is not used.
        track: shows progress.

    Returns:
        All scores but the published ones, which need a config.

    Raises:
        AnnotationError: the test set cannot be used.
        CheckpointError: the checkpoint is missing, unsafe or of no model that we know.
        ConfigError: an option that cannot work.
    """
    options = options or EvaluationOptions()
    protocols = choose_protocols(options.protocols or tuple(name for name in PROTOCOLS if name != PUBLISHED))
    if PUBLISHED in protocols:
        raise ConfigError('the protocol published needs a config, whose evaluator it uses: give one')
    # the option is for images that tell no spacing, neither in their record nor in their file
    fallback = checked_spacing(options.spacing_mm)
    truth = GroundTruth(annotations)
    predictor = Predictor(
        checkpoint,
        engine='torch',
        device=options.device,
        precision=options.precision,
        mask_upsampling=options.mask_upsampling,
    )
    frames = track(_encoded_files(predictor, truth, images, fallback), total=len(truth))
    return score_frames(predictor, frames, truth, protocols, options)


def _encoded_files(
    predictor: Predictor,
    truth: GroundTruth,
    images: Path,
    fallback: tuple[float, float] | None,
) -> Iterator[tuple[TrueFrame, EncodedImage]]:
    for frame in truth:
        try:
            with open_frames(images / frame.file_name) as source:
                read = source.frame(0)
        except InputError as error:
            raise AnnotationError(f'{truth.path}: names an image that cannot be used: {error}') from error
        yield (
            replace(frame, spacing_mm=frame.spacing_mm or read.spacing_mm or fallback),
            predictor.encode(read.image),
        )


def score_frames(
    predictor: Predictor,
    frames: Iterable[tuple[TrueFrame, EncodedImage]],
    truth: GroundTruth,
    protocols: tuple[str, ...],
    options: EvaluationOptions,
) -> Results:
    """Prompt every frame in every way, and sum up.

    Args:
        predictor: What answers, in PyTorch.
        frames: Each frame with its embedding.
        truth: Where the frames are from.
        protocols: Names of the ways to prompt.
        options: How.

    Raises:
        AnnotationError: Nothing can be scored.
    """
    suite = PromptSuite(
        predictor,
        SuiteOptions(
            protocols=protocols, clicks=options.clicks, seed=options.seed, tolerances=options.tolerances
        ),
    )
    left_out: Counter[str] = Counter()
    units: Counter[str] = Counter()
    for frame, encoded in frames:
        suite.add(encoded, frame)
        left_out.update(frame.left_out)
        units[frame.subject_unit] += 1
    results = suite.finish()
    if not results.objects:
        raise AnnotationError(
            f'{truth.path}: none of its images has an object with a mask: nothing can be scored'
        )
    results.counts = _counts(results) | {
        'images_of_file': len(truth),
        'annotations_left_out': dict(left_out),
        'subject_is': dict(units),
    }
    results.about = _about(predictor, truth, options, protocols)
    results.summary = summarise(results, samples=options.samples, seed=options.seed)
    return results


def _counts(results: Results) -> dict[str, Any]:
    return {
        'images': len(results.frames),
        'images_without_object': sum(not frame.objects for frame in results.frames),
        'images_with_spacing': sum(frame.spacing_mm is not None for frame in results.frames),
        'objects': len(results.objects),
        'subjects': len({frame.subject for frame in results.frames}),
    }


def _about(
    predictor: Predictor, truth: GroundTruth, options: EvaluationOptions, protocols: tuple[str, ...]
) -> dict[str, Any]:
    engine: Any = predictor.engine
    return {
        'checkpoint': {'path': str(predictor.weights), 'sha256': file_sha256(predictor.weights)},
        'annotations': {'path': str(truth.path), 'sha256': file_sha256(truth.path)},
        'protocols': list(protocols),
        'settings': {
            'clicks': options.clicks,
            'seed': options.seed,
            'bootstrap_samples': options.samples,
            'tolerances': asdict(options.tolerances),
            'spacing_mm': None if options.spacing_mm is None else list(options.spacing_mm),
            'mask_upsampling': options.mask_upsampling,
            'precision': 'bf16' if engine.bfloat16 else 'fp32',
            'limit': options.data.limit,
        },
        'device': engine.device.type,
        'versions': _versions(),
    }


def _versions() -> Mapping[str, str]:
    found = {'ultrasam': __version__, 'python': platform.python_version()}
    for name, distributions in _DISTRIBUTIONS.items():
        for distribution in distributions:
            try:
                found[name] = version(distribution)
                break
            except PackageNotFoundError:
                continue
    return found
