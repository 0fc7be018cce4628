"""The loop of a training run counted in iterations, and what becomes of the run when something goes wrong."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, suppress
from typing import Any

import numpy as np
import torch
from mmengine.dist import get_world_size, is_main_process
from mmengine.registry import LOOPS
from mmengine.runner import IterBasedTrainLoop

from ultrasam.atomic import locked
from ultrasam.errors import SampleError, TrainingError, UltraSamError
from ultrasam.openmmlab.agreement import agree, agreed, instances_of
from ultrasam.openmmlab.hooks.checkpoint import VerifiedCheckpointHook
from ultrasam.openmmlab.stop_signals import StopRequested, StopSignals, shield_workers

_SHOWN = 16


@LOOPS.register_module()
class SurvivingTrainLoop(IterBasedTrainLoop):
    """MMEngine's ``IterBasedTrainLoop`` for runs that are killed, stopped, starved and resumed.

    - A folder of results belongs to one run at a time.
    - SIGTERM, SIGINT and SIGUSR1 end the run after the step under way, with a checkpoint (by
      :class:`~ultrasam.openmmlab.hooks.VerifiedCheckpointHook`) and exit code 128 + signal.
    - A resumed run goes on at its place in the data without loading what came before, where the batch sampler can.
    - Steps that were skipped (:class:`~ultrasam.openmmlab.optim.FiniteSteps`) name their images in the log.
    - A sample that cannot be loaded is named, also when its data worker died or hangs (give the data loader a
      ``timeout``).
    - When memory runs out, the log says what to change.

    Args:
        runner: the runner.
        dataloader: the data loader or its config; without workers, options that only workers have are dropped.
        **kwargs: those of ``IterBasedTrainLoop``.
    """

    def __init__(self, runner: Any, dataloader: Any, **kwargs: Any) -> None:
        if isinstance(dataloader, dict):
            if not dataloader.get('num_workers'):
                kept = dataloader.keys() - {'persistent_workers', 'timeout'}
                dataloader = {key: dataloader[key] for key in dataloader if key in kept}
            differ = runner._randomness_cfg.get('diff_rank_seed', False)
            dataloader = runner.build_dataloader(dataloader, seed=runner.seed, diff_rank_seed=differ)
        shield_workers(dataloader)
        self.dataloader_iterator: Any
        super().__init__(runner, dataloader, **kwargs)

    def run(self) -> Any:
        """Train to the end.

        Returns:
            The trained model.

        Raises:
            OutputError: another run writes to this folder.
            SampleError: a sample cannot be loaded.
            TrainingError: memory ran out, a data worker died, or too many steps were not finite.
            SystemExit: a signal asked for the end; there is a checkpoint to resume from.
        """
        runner = self.runner
        lock = locked(runner.work_dir) if is_main_process() else nullcontext()
        if runner.val_loop is not None:
            shield_workers(runner.val_loop.dataloader)
        with lock, StopSignals() as stop, self._workers_ended():
            runner.call_hook('before_train')
            runner.call_hook('before_train_epoch')
            self._find_place()
            while self._iter < self._max_iters and not self.stop_training:
                runner.model.train()
                with self._dead_workers_explained():
                    batch = self._next_batch()
                    step = agree(instances_of(batch), self._device, stop.received or 0, self._seed())
                    with agreed(step):
                        self.run_iter(batch)
                # what one of several processes is told during a step waits for the next agreement
                asked = step.stop_signal if get_world_size() > 1 else stop.received
                if asked:
                    stop.received = asked
                    self._stop(stop)
                self._decide_current_val_interval()
                self._validate(stop)
            if self.stop_training:
                self._save()
            runner.call_hook('after_train_epoch')
            runner.call_hook('after_train')
        return runner.model

    @contextmanager
    def _workers_ended(self) -> Iterator[None]:
        """End the data workers at once, not when something collects the runner as garbage, which waits for each."""
        try:
            yield
        finally:
            loading = getattr(self.dataloader_iterator, '_iterator', None)
            end_workers = getattr(loading, '_shutdown_workers', None)
            if end_workers is not None:
                end_workers()
                # workers that persist would be asked again
                self.dataloader._iterator = None

    @property
    def _device(self) -> torch.device:
        return next(self.runner.model.parameters()).device

    def _seed(self) -> int:
        """Return the seed of the step under way, the same in a run that was resumed."""
        return int(np.random.SeedSequence([self.runner.seed, self._iter]).generate_state(1)[0])

    def _find_place(self) -> None:
        """Go on in the data where the checkpoint was saved."""
        if self._iter == 0:
            return
        batches = self.dataloader.batch_sampler
        if hasattr(batches, 'first_batch'):
            batches.first_batch = self._iter
            self.dataloader_iterator = type(self.dataloader_iterator)(self.dataloader)
            self.runner.logger.info(f'the data go on at batch {self._iter}')
            return
        self.runner.logger.info(f'loading {self._iter} batches again, to go on after them')
        for _ in range(self._iter):
            next(self.dataloader_iterator)

    def _next_batch(self) -> Any:
        try:
            return next(self.dataloader_iterator)
        except SampleError as error:
            # a data worker puts its whole traceback before the message
            raise SampleError(str(error).strip().splitlines()[-1]) from error

    @contextmanager
    def _dead_workers_explained(self) -> Iterator[None]:
        """Name what a data worker was loading when it died, which torch tells whatever the main process then does."""
        try:
            yield
        except UltraSamError:
            raise
        except (RuntimeError, EOFError, ConnectionError) as error:
            if isinstance(error, RuntimeError) and 'DataLoader' not in str(error):
                raise
            # torch raises once more as soon as it learns of the end of its child
            with suppress(RuntimeError):
                time.sleep(0.2)
            dataset = self.dataloader.dataset
            reading = dataset.in_progress() if hasattr(dataset, 'in_progress') else []
            raise TrainingError(
                f'a data worker died or hangs ({_first_line(error)}) while these were being loaded: '
                f'{", ".join(reading[:_SHOWN]) or "none that it told"}. Look at these files, at the memory of the '
                'machine, and at train_dataloader.timeout.'
            ) from error

    def run_iter(self, data_batch: Any) -> None:
        """Take one step.

        Raises:
            TrainingError: memory ran out, or too many steps were not finite.
        """
        skipped = self._skipped
        try:
            with _memory_explained(self):
                super().run_iter(data_batch)
        except TrainingError as error:
            raise TrainingError(f'{error} The last such step saw {_files_of(data_batch)}.') from error
        if self._skipped > skipped:
            self.runner.logger.warning(
                f'step {self._iter} skipped, as its loss or gradient is not finite: {_files_of(data_batch)}'
            )

    @property
    def _skipped(self) -> int:
        return sum(getattr(self.runner.optim_wrapper, 'skipped', {}).values())

    def _validate(self, stop: StopSignals) -> None:
        due = self._iter % self.val_interval == 0 or self._iter == self._max_iters
        if self.runner.val_loop is None or self._iter < self.val_begin or not due:
            return
        try:
            with stop.interrupting():
                self.runner.val_loop.run()
        except StopRequested:
            self._stop(stop)

    def _save(self) -> None:
        """Save the step that has just ended."""
        for hook in self.runner.hooks:
            if isinstance(hook, VerifiedCheckpointHook):
                # hooks count from the step under way, which has ended
                self._iter -= 1
                hook.save_now(self.runner)
                self._iter += 1

    def _stop(self, stop: StopSignals) -> None:
        """Save and end, after a step."""
        self._save()
        self.runner.logger.warning(
            f'stopped by a signal after step {self._iter}; --resume goes on from there'
        )
        raise SystemExit(stop.exit_code)


@contextmanager
def _memory_explained(loop: SurvivingTrainLoop) -> Iterator[None]:
    try:
        yield
    except (torch.cuda.OutOfMemoryError, MemoryError, RuntimeError) as error:
        exhausted = isinstance(error, (torch.cuda.OutOfMemoryError, MemoryError)) or 'allocate memory' in str(
            error
        )
        if not exhausted:
            raise
        size = loop.dataloader.batch_sampler.batch_size
        raise TrainingError(
            f'out of memory with {size} images a process ({_first_line(error)}). Try train_dataloader.batch_size='
            f'{max(1, size // 2)} with optim_wrapper.accumulative_counts=2, which takes the same steps; --amp; '
            'model.backbone.grad_checkpointing=True; or max_instances in SamplePrompts.'
        ) from error


def _first_line(error: BaseException) -> str:
    return str(error).strip().partition('\n')[0] or type(error).__name__


def _files_of(data_batch: Any) -> str:
    samples = data_batch.get('data_samples', []) if isinstance(data_batch, dict) else []
    names = [str(sample.get('img_path', '?')) for sample in samples]
    return ', '.join(names[:_SHOWN]) or 'a batch without names'
