"""Many files through one model: a bad one is named, the others are done."""

from __future__ import annotations

import gc
import logging
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from statistics import median
from time import perf_counter

import numpy as np

from ultrasam.errors import ConfigError, InputError, PromptError, UltraSamError
from ultrasam.io.readers import IsolatedReader, kind_of
from ultrasam.io.writers import ResultWriter
from ultrasam.predict.predictor import EncodedImage, Predictor
from ultrasam.predict.propagation import CarriedPrompts
from ultrasam.structures.frames import Frame, ObjectPrompt, Segmentation

_logger = logging.getLogger(__name__)

PromptsOf = Callable[[Path], Sequence[ObjectPrompt]]
"""The prompts for the frames of a file; raises PromptError where there are none."""
Answer = Callable[[EncodedImage], Segmentation]
"""The masks of the next frame of a file; raises PromptError for a prompt that means nothing there."""

# images that may hold several pages
PAGED_SUFFIXES = ('.tif', '.tiff')
# Pixels that wait to be encoded: a batch of large images is closed early.
_WAITING_BYTES = 512_000_000
# what errors of engines say when memory runs out
_PHRASES = (
    'out of memory',
    'not enough memory',
    "can't allocate memory",
    'failed to allocate memory',
    'bad allocation',
)
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


class RunProgress:
    """Is told how a run gets on; this one keeps it to itself."""

    def file_begun(self, path: Path, frames: int | None) -> None:
        """A file was opened, which claims to have so many frames, or claims nothing."""

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


def look_at_files(paths: Iterable[Path]) -> tuple[dict[Path, bool], list[Fault]]:
    """Look at the first bytes of files.

    Returns:
        Each file that may be read, and whether it may hold several frames; and those that cannot.
    """
    files: dict[Path, bool] = {}
    faults = []
    for path in paths:
        try:
            files[path] = kind_of(path) != 'image' or path.suffix.lower() in PAGED_SUFFIXES
        except InputError as error:
            faults.append(Fault(path, str(error)))
    return files, faults


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

    def answer_of(path: Path) -> Answer:
        prompts = list(prompts_of(path))
        if propagate:
            return CarriedPrompts(predictor, prompts, refinements).answer
        return partial(predictor.decode, prompts=prompts, refinements=refinements)

    waiting: list[_Step] = []
    for step in run.steps(paths, reader, answer_of):
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
    answer: Answer | None = None
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


class _Run:
    """Works through steps, and keeps count."""

    def __init__(
        self, encoder: BatchEncoder, writer: ResultWriter, progress: RunProgress, report: RunReport
    ) -> None:
        self.report = report
        self._encoder = encoder
        self._writer = writer
        self._progress = progress

    def steps(
        self, paths: Sequence[Path], reader: IsolatedReader, answer_of: Callable[[Path], Answer]
    ) -> Iterator[_Step]:
        """Open one file after the other, and give its frames and its end."""
        for path in paths:
            job = _Job(path)
            try:
                job.answer = answer_of(path)
                with reader.open(path) as source:
                    stated = source.stated_count
                    self._writer.begin(path, is_series=source.kind == 'video' or stated != 1)
                    self._progress.file_begun(path, stated)
                    for frame in source:
                        yield _Step(job, frame)
                        if job.fault is not None:
                            break
            except (InputError, PromptError) as error:
                job.fail(error)
            yield _Step(job, None)

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
            if step.job.fault is not None or step.job.answer is None:
                continue
            try:
                if isinstance(image, MemoryLimitError):
                    raise image
                answering = perf_counter()
                segmentation = step.job.answer(image)
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


class MemoryLimitError(UltraSamError, MemoryError):
    """A single frame for which memory does not suffice."""


class BatchEncoder:
    """Encodes images in batches whose size suits the memory.

    Args:
        predictor: The model.
        batch_size: Images at once; None for as many as the engine advises.

    Raises:
        ConfigError: A batch size below 1.
    """

    def __init__(self, predictor: Predictor, batch_size: int | None = None) -> None:
        if batch_size is not None and batch_size < 1:
            raise ConfigError(f'batch_size={batch_size}: give 1 or more, or None to let it be chosen')
        self._predictor = predictor
        self._limit = batch_size
        self._has_warned = False

    @property
    def size(self) -> int:
        """Images encoded at once."""
        return self._limit or self._predictor.engine.batch_size

    def encode(self, images: Sequence[np.ndarray]) -> list[EncodedImage | MemoryLimitError]:
        """Encode images, in smaller batches where memory runs out.

        Args:
            images: RGB images (H, W, 3), uint8, of any sizes.

        Returns:
            For each image its embedding, or the error of one that does not fit even alone.
        """
        done: list[EncodedImage | MemoryLimitError] = []
        while len(done) < len(images):
            part = images[len(done) : len(done) + self.size]
            encoded = self._encode_part(part)
            if encoded is not None:
                done += encoded
            elif len(part) == 1:
                done.append(MemoryLimitError('not enough memory to encode it'))
            else:
                self._shrink(len(part))
        return done

    def _encode_part(self, images: Sequence[np.ndarray]) -> list[EncodedImage] | None:
        """Return the embeddings, or None if memory ran out."""
        try:
            return self._predictor.encode_batch(images)
        except Exception as error:  # onnxruntime's errors share no base class
            if not is_out_of_memory(error):
                raise
        # only here, after the error and the tensors that it held are gone, can memory be given back
        gc.collect()
        if 'torch' in sys.modules and sys.modules['torch'].cuda.is_available():
            sys.modules['torch'].cuda.empty_cache()
        return None

    def _shrink(self, size: int) -> None:
        self._limit = max(1, size // 2)
        if not self._has_warned:
            _logger.warning(
                'not enough memory to encode %d images at once: going on with %d', size, self._limit
            )
            self._has_warned = True


def is_out_of_memory(error: BaseException) -> bool:
    """Return True if an error says that memory ran out, on a GPU or on the CPU."""
    if isinstance(error, MemoryError):
        return True
    is_of_engine = isinstance(error, RuntimeError) or type(error).__module__.startswith('onnxruntime')
    return is_of_engine and any(phrase in str(error).lower() for phrase in _PHRASES)
