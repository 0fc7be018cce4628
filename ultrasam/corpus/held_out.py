"""Training files without an organ, for tests on structures that a model has never seen."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from ultrasam.corpus.layout import Track, open_corpus, untracked
from ultrasam.corpus.merge import MergeReport, merge_agnostic
from ultrasam.corpus.releases import ORGANS
from ultrasam.corpus.small_objects import STANDARD_RULE, SmallObjects
from ultrasam.errors import ConfigError

# Data sets whose test parts are used so, each with the published name of its training file.
HELD_OUT = ('BUSBRA', 'MMOTU_2d', 'GIST514-DB')


def held_out_path(root: Path, dataset: str) -> Path:
    """Where the configs look for the training file without the organ of a data set."""
    return root / f'train.noStructure.{dataset}.json'


def left_out_for(
    dataset: str, names: tuple[str, ...], organs: Mapping[str, tuple[str, ...]] = ORGANS
) -> dict[str, str]:
    """Data sets that must not train a model which is tested on the organ of another.

    Args:
        dataset: on whose test part the model will be tested.
        names: of all data sets.
        organs: of each data set.

    Returns:
        Names with the reason. A data set of unknown organ is left out, since it may show the one in question.

    Raises:
        ConfigError: the organ of ``dataset`` is not known.

    Example:
        >>> left_out_for('MMOTU_2d', ('BUSI', 'MMOTU_3d'))
        {'MMOTU_3d': 'ovary'}
    """
    if dataset not in organs:
        raise ConfigError(f'{dataset}: its organ is not known, so nothing can be left out for it')
    wanted = set(organs[dataset])
    reasons = {}
    for name in names:
        if name not in organs:
            reasons[name] = 'organ not known'
        elif shared := sorted(wanted & set(organs[name])):
            reasons[name] = ', '.join(shared)
    return reasons


def write_held_out(
    root: Path,
    dataset: str,
    target: Path | None = None,
    *,
    rule: SmallObjects = STANDARD_RULE,
    overwrite: bool = False,
    track: Track = untracked,
) -> MergeReport:
    """Write a training file without the organ of a data set; its ``info`` lists what was left out.

    Args:
        root: folder of all data sets, with their class-agnostic training files.
        dataset: on whose test part a model will be tested.
        target: file to write; by default where the configs look for it.
        rule: which objects are too small.
        overwrite: replace a file of other content.
        track: shows progress.

    Raises:
        UltraSamError: as :func:`left_out_for` and :func:`ultrasam.corpus.merge.merge_agnostic` raise.
    """
    names = tuple(folder.name for folder in open_corpus(root).datasets)
    reasons = left_out_for(dataset, names)
    info = {'held_out': dataset, 'organs': list(ORGANS[dataset]), 'left_out': reasons}
    target = target or held_out_path(root, dataset)
    return merge_agnostic(
        root, target, 'train', rule=rule, left_out=reasons, info=info, overwrite=overwrite, track=track
    )
