"""Many files through one model: a bad one is named, the others are done."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from time import perf_counter

from ultrasam.errors import InputError, PromptError
from ultrasam.io.readers import IsolatedReader
from ultrasam.io.writers import ResultWriter
from ultrasam.predict.encoding import BatchEncoder, MemoryLimitError, is_out_of_memory
from ultrasam.predict.predictor import Predictor
from ultrasam.predict.propagation import CarriedPrompts, SamePrompts
from ultrasam.structures.frames import Frame, ObjectPrompt, Segmentation

PromptsOf = Callable[[Path], Sequence[ObjectPrompt]]
"""The prompts for the frames of a file; raises PromptError where there are none."""

# Pixels that wait to be encoded: a batch of large images is closed early.
_WAITING_BYTES = 512_000_000


# Classes of single objects that a report keeps; of the others it counts.
MOST_CLASSES_KEPT = 20


@dataclass(frozen=True)
class ObjectClass:
    """The class of an object.

    Args:
        path: the file.
        frame: index of the frame in it, from 0.
        number: of the object, from 1 in the order of the prompts.
        name: of its likeliest class.
        probability: of that class, 0 to 1.
    """

    path: Path
    frame: int
    number: int
    name: str
    probability: float


@dataclass(frozen=True)
class Fault:
    """A file that could not be done, and why."""

    path: Path
    message: str


@dataclass
class FilePlan:
    """What is known of the files before any work.

    Args:
        counts: frames of each good file, None where counting would mean decoding a video.
        stated: the same, of a video what its header claims, None where it claims nothing.
        faults: the files that cannot be read.
    """

    counts: dict[Path, int | None] = field(default_factory=dict)
    stated: dict[Path, int | None] = field(default_factory=dict)
    faults: list[Fault] = field(default_factory=list)


class RunProgress:
    """Is told how a run gets on; this one keeps it to itself."""

    def frame_done(self, path: Path) -> None:
        """A frame was written."""

    def file_done(self, path: Path, frames: int) -> None:
        """A file was read to its end, or given up, after so many frames."""


@dataclass
class RunReport:
    """How a run went.

    Args:
        faults: the files that could not be done.
        frames: that were written.
        first_mask_s: from the first image to its masks, encoding included; None without any.
        answer_s: seconds that the prompts of each frame took once it was encoded.
        class_counts: objects of each class; empty for a model without classes.
        classes: of the first ``MOST_CLASSES_KEPT`` objects.
    """

    faults: list[Fault] = field(default_factory=list)
    frames: int = 0
    first_mask_s: float | None = None
    answer_s: list[float] = field(default_factory=list)
    class_counts: Counter[str] = field(default_factory=Counter)
    classes: list[ObjectClass] = field(default_factory=list)

    def note_classes(self, frame: Frame, segmentation: Segmentation) -> None:
        """Count the objects of a frame by their class, where the model tells it."""
        for index in range(len(segmentation)):
            found = segmentation.class_of(index)
            if found is None:
                continue
            self.class_counts[found[0]] += 1
            if len(self.classes) < MOST_CLASSES_KEPT:
                self.classes.append(ObjectClass(frame.source, frame.index, index + 1, *found))

    @property
    def further_prompt_s(self) -> float | None:
        """Median seconds from a prompt to its masks on an encoded image; the first counts only if it is alone."""
        return median(self.answer_s[1:] or self.answer_s) if self.answer_s else None


def plan_files(paths: Iterable[Path], reader: IsolatedReader) -> FilePlan:
    """Open each file once, to learn how many frames it has and whether it can be read."""
    plan = FilePlan()
    for path in paths:
        try:
            with reader.open(path) as source:
                plan.stated[path] = source.stated_count
                plan.counts[path] = None if source.kind == 'video' else len(source)
        except InputError as error:
            plan.faults.append(Fault(path, str(error)))
    return plan


def segment_files(
    predictor: Predictor,
    paths: Sequence[Path],
    prompts_of: PromptsOf,
    writer: ResultWriter,
    *,
    reader: IsolatedReader,
    propagate: bool = False,
    refinements: int | None = None,
    batch_size: int | None = None,
    progress: RunProgress | None = None,
    report: RunReport | None = None,
    is_stopped: Callable[[], bool] = lambda: False,
) -> RunReport:
    """Segment every frame of every file and write the results, in order.

    Frames are encoded together, those of several files too; what is found depends on it by rounding at most.

    Args:
        predictor: The model.
        paths: the files.
        prompts_of: the prompts of a file; all its frames get them, or, with ``propagate``, its first frame.
        writer: where the results go; it is not closed here.
        reader: opens the files.
        propagate: prompt each later frame of a file with the masks of the frame before; see
            :class:`~ultrasam.predict.propagation.CarriedPrompts`.
        refinements: passes after the first; None for those of the model.
        batch_size: frames encoded at once; None for as many as memory allows, and fewer where it runs out.
        progress: told about frames and files.
        report: Filled as the run goes on; None for a new one.
        is_stopped: Asked between frames; True ends the run, and what is written stays.

    Returns:
        How it went, and the files that could not be done; frames of these that came before the fault are
        written.

    Raises:
        ConfigError: a batch size below 1.
        OutputError: a result cannot be written.
    """
    run = _Run(
        BatchEncoder(predictor, batch_size),
        writer,
        progress or RunProgress(),
        RunReport() if report is None else report,
    )
    kind = CarriedPrompts if propagate else SamePrompts
    steps = _steps(paths, reader, lambda path: kind(predictor, list(prompts_of(path)), refinements))
    waiting: list[_Step] = []
    for step in steps:
        if is_stopped():
            return run.report
        waiting.append(step)
        if run.is_full(waiting):
            run.do(waiting)
            waiting = []
    if not is_stopped():
        run.do(waiting)
    return run.report


@dataclass
class _Job:
    """A file, and how far it got."""

    path: Path
    prompter: SamePrompts | None = None
    fault: Fault | None = None
    frames: int = 0

    def fail(self, error: Exception) -> None:
        message = str(error)
        text = message if str(self.path) in message else f'{self.path}: {message}'
        self.fault = self.fault or Fault(self.path, text)


@dataclass(frozen=True)
class _Step:
    """A frame of a file, or, without frame, its end."""

    job: _Job
    frame: Frame | None


def _steps(
    paths: Sequence[Path], reader: IsolatedReader, prompter_of: Callable[[Path], SamePrompts]
) -> Iterator[_Step]:
    for path in paths:
        job = _Job(path)
        try:
            job.prompter = prompter_of(path)
            with reader.open(path) as source:
                for frame in source:
                    yield _Step(job, frame)
                    if job.fault is not None:
                        break
        except (InputError, PromptError) as error:
            job.fail(error)
        yield _Step(job, None)


class _Run:
    """Works through steps, and keeps count."""

    def __init__(
        self, encoder: BatchEncoder, writer: ResultWriter, progress: RunProgress, report: RunReport
    ) -> None:
        self.report = report
        self._encoder = encoder
        self._writer = writer
        self._progress = progress

    def is_full(self, waiting: Sequence[_Step]) -> bool:
        """Whether to encode before more is read."""
        images = [step.frame.image for step in waiting if step.frame is not None]
        return len(images) >= self._encoder.size or sum(i.nbytes for i in images) >= _WAITING_BYTES

    def do(self, steps: Sequence[_Step]) -> None:
        """Encode the frames together, then answer and write them one by one."""
        begun = perf_counter()
        encoded = iter(self._encoder.encode([s.frame.image for s in steps if s.frame is not None]))
        for step in steps:
            if step.frame is None:
                self._finish(step.job)
                continue
            image = next(encoded)
            if step.job.fault is not None or step.job.prompter is None:
                continue
            try:
                if isinstance(image, MemoryLimitError):
                    raise image
                answering = perf_counter()
                segmentation = step.job.prompter.answer(image)
                self._note_times(begun, answering)
            except (InputError, PromptError) as error:
                step.job.fail(error)
            except (RuntimeError, MemoryError) as error:
                if not is_out_of_memory(error):
                    raise
                step.job.fail(_no_memory(error))
            else:
                self._write(step.job, step.frame, segmentation)

    def _note_times(self, begun: float, answering: float) -> None:
        now = perf_counter()
        self.report.answer_s.append(now - answering)
        if self.report.first_mask_s is None:
            self.report.first_mask_s = now - begun

    def _write(self, job: _Job, frame: Frame, segmentation: Segmentation) -> None:
        self._writer.write(frame, segmentation)
        job.frames += 1
        self.report.frames += 1
        self.report.note_classes(frame, segmentation)
        self._progress.frame_done(job.path)

    def _finish(self, job: _Job) -> None:
        if job.fault is not None:
            self.report.faults.append(job.fault)
        self._progress.file_done(job.path, job.frames)


def _no_memory(error: Exception) -> InputError:
    said = (str(error) or type(error).__name__).splitlines()[0]
    return InputError(
        f'not enough memory to segment it ({said}). Shrink it, give fewer objects at once, '
        'or choose another device or precision'
    )
