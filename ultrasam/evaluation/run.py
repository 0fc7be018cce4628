"""An evaluation and its files in one go: what could stop the report is found out before the long work."""

from __future__ import annotations

from pathlib import Path

from ultrasam.errors import OutputError
from ultrasam.evaluation import plots
from ultrasam.evaluation.comparison import compare
from ultrasam.evaluation.evaluate import EvaluationOptions, Track, evaluate, untracked
from ultrasam.evaluation.report import write_report
from ultrasam.evaluation.results import Results, read_results


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
