"""Many files through one model: a bad one is named, the others are done."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path

import numpy as np

from ultrasam.errors import InputError, PromptError
from ultrasam.inference.inferencer import UltraSamInferencer
from ultrasam.inference.prompts import box_of_mask
from ultrasam.inference.readers import FrameSource, open_frames
from ultrasam.inference.writers import ResultWriter
from ultrasam.structures import Frame, ObjectPrompt, Segmentation

PromptsOf = Callable[[Path], Sequence[ObjectPrompt]]
"""The prompts for the frames of a file; raises PromptError where there are none."""


@dataclass(frozen=True)
class Fault:
    """A file that could not be done, and why."""

    path: Path
    message: str


@dataclass(frozen=True)
class ReadOptions:
    """How files are opened: see :func:`~ultrasam.inference.readers.open_frames`."""

    axis: int | None = None
    window: tuple[float, float] | None = None

    def open(self, path: Path) -> FrameSource:
        """The frames of a file."""
        return open_frames(path, axis=self.axis, window=self.window)


def plan_files(paths: Iterable[Path], options: ReadOptions) -> tuple[dict[Path, int | None], list[Fault]]:
    """Open each file once, to learn how many frames it has and whether it can be read.

    Returns:
        Frames of each good file, None where counting would mean decoding a
        video, and the faults of the others.
    """
    counts: dict[Path, int | None] = {}
    faults = []
    for path in paths:
        try:
            with options.open(path) as source:
                counts[path] = None if source.kind == 'video' else len(source)
        except InputError as error:
            faults.append(Fault(path, str(error)))
    return counts, faults


def segment_files(
    inferencer: UltraSamInferencer,
    paths: Sequence[Path],
    prompts_of: PromptsOf,
    writer: ResultWriter,
    *,
    options: ReadOptions | None = None,
    propagate: bool = False,
    refinements: int | None = None,
    batch_size: int = 1,
    progress: Callable[[Path], None] | None = None,
) -> list[Fault]:
    """Segment every frame of every file and write the results.

    Args:
        inferencer: the model.
        paths: the files.
        prompts_of: the prompts of a file; all its frames get them, or, with
            ``propagate``, its first frame.
        writer: where the results go; it is not closed here.
        options: how files are opened.
        propagate: prompt each later frame of a file with the masks of the
            frame before. Nothing else is carried along: no memory, no motion
            model; an object that is lost stays lost.
        refinements: passes after the first; None for those of the model.
        batch_size: frames encoded at once.
        progress: told about each file when it is done.

    Returns:
        The files that could not be done.
    """
    options = options or ReadOptions()
    faults = []
    for path in paths:
        try:
            prompts = list(prompts_of(path))
            with options.open(path) as source:
                results = (
                    _propagated(inferencer, source, prompts, refinements)
                    if propagate
                    else _each(inferencer, source, prompts, refinements, batch_size)
                )
                for frame, segmentation in results:
                    writer.write(frame, segmentation)
        except (InputError, PromptError) as error:
            message = str(error)
            faults.append(Fault(path, message if str(path) in message else f'{path}: {message}'))
        if progress is not None:
            progress(path)
    return faults


def _each(
    inferencer: UltraSamInferencer,
    source: FrameSource,
    prompts: Sequence[ObjectPrompt],
    refinements: int | None,
    batch_size: int,
) -> Iterator[tuple[Frame, Segmentation]]:
    frames = iter(source)
    while batch := list(islice(frames, batch_size)):
        embeddings, samples = inferencer.encode([frame.image for frame in batch])
        for frame, embedding, sample in zip(batch, embeddings, samples, strict=True):
            yield frame, inferencer.answer(embedding[None], sample, prompts, refinements=refinements)


def _propagated(
    inferencer: UltraSamInferencer,
    source: FrameSource,
    prompts: Sequence[ObjectPrompt],
    refinements: int | None,
) -> Iterator[tuple[Frame, Segmentation]]:
    """Each frame prompted by the masks of the one before; a lost object keeps an empty mask."""
    current: list[ObjectPrompt | None] = list(prompts)
    for frame in source:
        (embedding,), (sample,) = inferencer.encode([frame.image])
        alive = [i for i, prompt in enumerate(current) if prompt is not None]
        answer = inferencer.answer(
            embedding[None], sample, [p for p in current if p is not None], refinements=refinements
        )
        full = _spread(answer, alive, prompts, frame)
        yield frame, full
        for i in alive:
            current[i] = _prompt_of_mask(full.masks[i], full.logits[i])


def _spread(
    answer: Segmentation, alive: Sequence[int], prompts: Sequence[ObjectPrompt], frame: Frame
) -> Segmentation:
    """An answer for some objects as one for all: the others are empty."""
    masks = np.zeros((len(prompts), *frame.size_hw), bool)
    scores = np.zeros(len(prompts), np.float32)
    logits = np.full((len(prompts), *answer.logits.shape[1:]), -1.0, np.float32)
    rows = list(alive)
    masks[rows], scores[rows], logits[rows] = answer.masks, answer.scores, answer.logits
    shown = list(prompts)
    for i, prompt in zip(alive, answer.prompts, strict=True):
        shown[i] = prompt
    return replace(answer, masks=masks, scores=scores, logits=logits, prompts=tuple(shown))


def _prompt_of_mask(mask: np.ndarray, logits: np.ndarray) -> ObjectPrompt | None:
    """A mask as the prompt of the next frame: its box and its logits; None if it is empty."""
    if not mask.any():
        return None
    return ObjectPrompt(box_xyxy=box_of_mask(mask), mask_logits=logits[None])
