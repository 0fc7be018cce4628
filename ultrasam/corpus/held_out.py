"""Training and validation files without an organ, for tests on structures that a model has never seen."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from ultrasam.corpus.facts import DatasetFacts, described, facts_of
from ultrasam.corpus.layout import Track, open_corpus, untracked
from ultrasam.corpus.merge import MergeReport, merge_agnostic
from ultrasam.corpus.small_objects import STANDARD_RULE, SmallObjects
from ultrasam.errors import ConfigError, InputError


def held_out_path(root: Path, dataset: str, part: str = 'train') -> Path:
    """Where the configs look for the file of a part without the organ of a data set."""
    return root / f'{part}.noStructure.{dataset}.json'


def left_out_for(dataset: str, known: Mapping[str, DatasetFacts]) -> dict[str, str]:
    """Return the datasets that must not train a model which is tested on the organ of another, each with the reason.

    Args:
        dataset: Name of the dataset on whose test split the model will be tested.
        known: Facts of all datasets by their names. One of unknown organ is left out, since it may show the one in
            question.

    Raises:
        ConfigError: The organ of ``dataset`` is not known.

    Example:
        >>> known = {'MMOTU_3d': DatasetFacts('MMOTU_3d', ('ovary',)), 'BUSI': DatasetFacts('BUSI', ('breast',))}
        >>> left_out_for('MMOTU_2d', known)
        {'MMOTU_3d': 'ovary'}
    """
    wanted = set((known.get(dataset) or facts_of(dataset)).organs)
    if not wanted:
        raise ConfigError(f'{dataset}: its organ is not known, so nothing can be left out for it')
    reasons = {}
    for name, facts in known.items():
        if not facts.organs:
            reasons[name] = 'organ not known'
        elif shared := sorted(wanted & set(facts.organs)):
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
    known = {folder.name: folder.facts() for folder in open_corpus(root).datasets}
    reasons = left_out_for(dataset, known)
    organs = (known.get(dataset) or facts_of(dataset)).organs
    info = {'held_out': dataset, 'organs': list(organs), 'left_out': reasons}
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
    """Write the training and the validation file for each dataset that is held out and is here.

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
    known = {folder.name: folder.facts() for folder in open_corpus(root).datasets}
    present = {name for name, facts in known.items() if facts.held_out}
    # the corpus has more of them than are here: their configs will look for these files in vain
    wanted = {name for name, spec in described().items() if spec.held_out}
    reports, not_made = [], []
    for dataset in sorted(present | wanted):
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
