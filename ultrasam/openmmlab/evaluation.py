"""Evaluation of a checkpoint on the test set of a config, and its report."""

from __future__ import annotations

import hashlib
from pathlib import Path

from ultrasam.errors import OutputError
from ultrasam.evaluation import plots
from ultrasam.evaluation.comparison import compare
from ultrasam.evaluation.evaluate import EvaluationOptions, Track, score_frames, untracked
from ultrasam.evaluation.ground_truth import GroundTruth, checked_spacing
from ultrasam.evaluation.protocols import PUBLISHED, choose_protocols
from ultrasam.evaluation.report import write_report
from ultrasam.evaluation.results import Results, read_results
from ultrasam.openmmlab.inferencer import UltraSamInferencer
from ultrasam.openmmlab.launch import find_config
from ultrasam.openmmlab.test_set import ConfiguredTestSet


def evaluate(
    config: str | Path,
    checkpoint: str | Path,
    options: EvaluationOptions | None = None,
    *,
    track: Track = untracked,
) -> Results:
    """Evaluate a checkpoint on the test set of a config.

    Args:
        config: its file.
        checkpoint: weights that fit its model.
        options: how.
        track: shows progress.

    Returns:
        All scores, with their summary.

    Raises:
        AnnotationError: the test set cannot be used.
        CheckpointError: the checkpoint is missing, unsafe or of another model.
        ConfigError: an option that cannot work, or a config without test set.

    Example:
        >>> results = evaluate('configs/UltraSAM/nano/ultrasam_nano_256.py', 'weights/ultrasam_nano_256.pth')
        >>> results.summary['protocols']['box']['dice']
    """
    options = options or EvaluationOptions()
    protocols = choose_protocols(options.protocols)
    path = find_config(str(config))
    test_set = ConfiguredTestSet(path, options.data)
    truth = GroundTruth(test_set.ann_file, spacing_mm=checked_spacing(options.spacing_mm))
    evaluator = test_set.evaluator() if PUBLISHED in protocols else None
    inferencer = UltraSamInferencer(
        checkpoint,
        model=path,
        device=options.device,
        precision=options.precision,
        mask_upsampling=options.mask_upsampling,
    )
    encoded = ((truth.frame(image_id), image) for image_id, image in test_set.encoded(inferencer, evaluator))
    frames = track(encoded, total=len(test_set))
    results = score_frames(inferencer, frames, truth, protocols, options)
    if evaluator is not None:
        results.published = {name: float(value) for name, value in evaluator.evaluate(len(test_set)).items()}
    settings = test_set.cfg.pretty_text
    results.about['config'] = {
        'path': str(config),
        'sha256_of_settings': hashlib.sha256(settings.encode()).hexdigest(),
    }
    return results


def evaluate_into(
    folder: Path,
    config: str | Path,
    checkpoint: str | Path,
    options: EvaluationOptions | None = None,
    *,
    compared: Path | None = None,
    overwrite: bool = False,
    track: Track = untracked,
) -> Results:
    """Evaluate a checkpoint and write the report.

    Args:
        folder: to make.
        config: its file.
        checkpoint: weights that fit its model.
        options: how.
        compared: ``results.json`` of another evaluation, to compare with.
        overwrite: replace the folder.
        track: shows progress.

    Returns:
        All scores, with their summary.

    Raises:
        AnnotationError: the test set cannot be used.
        CheckpointError: the checkpoint is missing, unsafe or of another model.
        ConfigError: an option that cannot work, a config without test set, or an extra that is not installed.
        InputError: the other evaluation cannot be read, or is of other objects.
        OutputError: the folder is there already, or cannot be written.
    """
    options = options or EvaluationOptions()
    plots.check_installed()
    if folder.exists() and not overwrite and (not folder.is_dir() or any(folder.iterdir())):
        raise OutputError(
            f'{folder} exists already: choose another folder, or allow it to be replaced (--overwrite)'
        )
    other = None if compared is None else read_results(compared)
    results = evaluate(config, checkpoint, options, track=track)
    comparison = None
    if other is not None:
        comparison = compare(results, other, samples=options.samples, seed=options.seed)
    folder.parent.mkdir(parents=True, exist_ok=True)
    write_report(results, folder, comparison=comparison, overwrite=overwrite)
    return results
