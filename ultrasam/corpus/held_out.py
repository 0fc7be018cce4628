"""Training and validation files without an organ, for tests on structures that a model has never seen."""

from __future__ import annotations

from pathlib import Path

from ultrasam.corpus.layout import Track, open_corpus, untracked
from ultrasam.corpus.merge import MergeReport, merge_agnostic
from ultrasam.corpus.releases import organs_of
from ultrasam.corpus.small_objects import STANDARD_RULE, SmallObjects
from ultrasam.errors import ConfigError, InputError

# Data sets whose test parts are used so, each with the published name of its training file.
HELD_OUT = ('BUSBRA', 'MMOTU_2d', 'GIST514-DB')


def held_out_path(root: Path, dataset: str, part: str = 'train') -> Path:
    """Where the configs look for the file of a part without the organ of a data set."""
    return root / f'{part}.noStructure.{dataset}.json'


def left_out_for(dataset: str, names: tuple[str, ...]) -> dict[str, str]:
    """Data sets that must not train a model which is tested on the organ of another.

    Args:
        dataset: on whose test part the model will be tested.
        names: of all data sets.

    Returns:
        Names with the reason. A data set of unknown organ is left out, since it may show the one in question.

    Raises:
        ConfigError: the organ of ``dataset`` is not known.

    Example:
        >>> left_out_for('MMOTU_2d', ('BUSI', 'MMOTU_3d'))
        {'MMOTU_3d': 'ovary'}
    """
    wanted = set(organs_of(dataset))
    if not wanted:
        raise ConfigError(f'{dataset}: its organ is not known, so nothing can be left out for it')
    reasons = {}
    for name in names:
        organs = set(organs_of(name))
        if not organs:
            reasons[name] = 'organ not known'
        elif shared := sorted(wanted & organs):
            reasons[name] = ', '.join(shared)
    return reasons


def write_held_out(
    root: Path,
    dataset: str,
    target: Path | None = None,
    *,
    part: str = 'train',
    rule: SmallObjects = STANDARD_RULE,
    overwrite: bool = False,
    track: Track = untracked,
) -> MergeReport:
    """Write a file without the organ of a data set; its ``info`` lists what was left out.

    Args:
        root: folder of all data sets, with their class-agnostic files of the part.
        dataset: on whose test part a model will be tested.
        target: file to write; by default where the configs look for it.
        part: ``'train'``, or ``'val'``, by which checkpoints are chosen.
        rule: which objects are too small.
        overwrite: replace a file of other content.
        track: shows progress.

    Raises:
        UltraSamError: as :func:`left_out_for` and :func:`ultrasam.corpus.merge.merge_agnostic` raise.
    """
    names = tuple(folder.name for folder in open_corpus(root).datasets)
    reasons = left_out_for(dataset, names)
    info = {'held_out': dataset, 'organs': list(organs_of(dataset)), 'left_out': reasons}
    target = target or held_out_path(root, dataset, part)
    return merge_agnostic(
        root, target, part, rule=rule, left_out=reasons, info=info, overwrite=overwrite, track=track
    )


def write_every_held_out(
    root: Path,
    *,
    rule: SmallObjects = STANDARD_RULE,
    overwrite: bool = False,
    track: Track = untracked,
) -> tuple[list[MergeReport], list[str]]:
    """Write the training and the validation file for each data set of ``HELD_OUT`` that is here.

    Args:
        root: folder of all data sets, with their class-agnostic files.
        rule: which objects are too small.
        overwrite: replace files of other content.
        track: shows progress.

    Returns:
        What was written, and the files that could not be made, each with the reason.

    Raises:
        UltraSamError: as :func:`write_held_out` raises, but for a part that nothing would be left of.
    """
    present = {folder.name for folder in open_corpus(root).datasets}
    reports, not_made = [], []
    for dataset in HELD_OUT:
        for part in ('train', 'val'):
            name = held_out_path(root, dataset, part).name
            if dataset not in present:
                not_made.append(f'{name}: {dataset} is not here')
                continue
            try:
                reports.append(
                    write_held_out(root, dataset, part=part, rule=rule, overwrite=overwrite, track=track)
                )
            except InputError as error:
                not_made.append(f'{name}: {error}')
    return reports, not_made
