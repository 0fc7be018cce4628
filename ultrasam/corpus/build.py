"""The whole chain: parts of every data set, class-agnostic views, merged files, files without an organ."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from ultrasam.corpus.agnostic import AgnosticView, write_agnostic
from ultrasam.corpus.held_out import write_every_held_out
from ultrasam.corpus.layout import PARTS, Corpus, Track, open_corpus, untracked
from ultrasam.corpus.merge import MergeReport, merge_agnostic, merged_path
from ultrasam.corpus.small_objects import STANDARD_RULE, SmallObjects
from ultrasam.corpus.splits import STANDARD_SPLIT, DatasetSplit, SplitOptions, split_corpus


@dataclass
class BuildReport:
    """What a build made.

    Args:
        corpus: what the root holds.
        splits: of each data set.
        views: class-agnostic files.
        merged: files at the root, those without an organ last.
        not_made: files that could not be made, each with the reason.
    """

    corpus: Corpus
    splits: list[DatasetSplit]
    views: list[AgnosticView] = field(default_factory=list)
    merged: list[MergeReport] = field(default_factory=list)
    not_made: list[str] = field(default_factory=list)


def build_corpus(
    root: Path,
    options: SplitOptions = STANDARD_SPLIT,
    *,
    rule: SmallObjects = STANDARD_RULE,
    track: Track = untracked,
) -> BuildReport:
    """Split, make class-agnostic, merge.

    Args:
        root: folder of all data sets.
        options: of the split; ``overwrite`` holds for every step.
        rule: which objects are too small.
        track: shows progress.

    Raises:
        UltraSamError: as the steps raise.
    """
    corpus, splits = split_corpus(root, options, track=track)
    report = BuildReport(corpus, splits)
    for part in PARTS:
        if not any(folder.coco_path(part).is_file() for folder in open_corpus(root).datasets):
            report.not_made.append(f'{merged_path(root, part).name}: no data set has this part')
            continue
        report.views += write_agnostic(root, part, overwrite=options.overwrite, track=track)[1]
        report.merged.append(
            merge_agnostic(
                root, merged_path(root, part), part, rule=rule, overwrite=options.overwrite, track=track
            )
        )
    merged, not_made = write_every_held_out(root, rule=rule, overwrite=options.overwrite, track=track)
    report.merged += merged
    report.not_made += not_made
    return report
