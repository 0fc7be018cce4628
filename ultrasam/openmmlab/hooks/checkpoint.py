"""Hooks that guard what enters a model from a checkpoint, and what a run leaves on the disk."""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mmengine.dist import is_main_process
from mmengine.fileio import LocalBackend, register_backend
from mmengine.hooks import CheckpointHook, Hook
from mmengine.registry import HOOKS
from mmengine.runner import Runner

from ultrasam.atomic import publish_bytes, sweep
from ultrasam.checkpoints.digests import publish_checkpoint, remove_checkpoint
from ultrasam.checkpoints.model_card import NOTE_KEY
from ultrasam.checkpoints.state_dicts import check_finite, check_fit, state_dict_of, without
from ultrasam.errors import CheckpointError, ConfigError, OutputError
from ultrasam.hashing import file_sha256
from ultrasam.openmmlab.checkpoints.resume import LAST, POINTER, find_resume_point
from ultrasam.openmmlab.checkpoints.run_state import (
    KEY,
    check_layout,
    collect_run_state,
    random_state,
    random_state_of_this_process,
    set_random_state,
)
from ultrasam.openmmlab.checkpoints.training_state import make_plain, restore
from ultrasam.openmmlab.model_cards import check_note, note_of_model

_BACKEND = 'ultrasam'


@HOOKS.register_module()
class StrictCheckpointHook(Hook):
    """Stops a run whose checkpoint does not fit its model exactly.

    MMEngine loads with ``strict=False``: of a checkpoint of another architecture it prints the names and goes
    on with random weights. This hook compares names, shapes, types and finiteness first, and what the checkpoint
    notes about itself, for ``load_from``, ``resume`` and testing alike. A model can declare tolerated names, see
    :func:`~ultrasam.checkpoints.check_fit`.

    Args:
        allow_missing: Regular expressions of names that the checkpoint may lack.
        allow_unexpected: Regular expressions of names that it may have too many; these are dropped.
        may_differ: Entries of its note that need not agree with the model, see
            :func:`ultrasam.openmmlab.model_cards.check_note`.
    """

    # Before the averaging hook of MMEngine, which copies the weights of the checkpoint.
    priority = 'VERY_HIGH'

    def __init__(
        self,
        *,
        allow_missing: Sequence[str] = (),
        allow_unexpected: Sequence[str] = (),
        may_differ: Sequence[str] = (),
    ) -> None:
        super().__init__()
        self.allow_missing = tuple(allow_missing)
        self.allow_unexpected = tuple(allow_unexpected)
        self.may_differ = tuple(may_differ)

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict[str, Any]) -> None:
        """Check the weights before they enter the model, and say how many do.

        Args:
            runner: The runner, whose model waits for the weights.
            checkpoint: The checkpoint; its weights are put under ``state_dict``, tolerated names left out.

        Raises:
            CheckpointError: A name is missing or unexpected, a shape or type differs, a value is not finite, or the
                weights were trained for another kind of model.
        """
        source = getattr(checkpoint, 'source', '') or 'checkpoint'
        restore(checkpoint)
        weights = state_dict_of(checkpoint, source)
        report = check_fit(
            runner.model,
            weights,
            source=source,
            allow_missing=self.allow_missing,
            allow_unexpected=self.allow_unexpected,
        )
        check_note(runner.model, checkpoint.get('meta'), source=source, may_differ=self.may_differ)
        checkpoint['state_dict'] = without(weights, report.tolerated_unexpected)
        tolerated = len(report.tolerated_missing) + len(report.tolerated_unexpected)
        suffix = f' ({report.message})' if tolerated else ''
        runner.logger.info(f'loaded {report.matched} tensors from {source}{suffix}')


class VerifiedBackend(LocalBackend):
    """Local files that appear whole, with their sha256 beside them, and go together with it."""

    def put(self, obj: bytes, filepath: str | os.PathLike[str]) -> None:
        """Publish a checkpoint.

        Args:
            obj: Its bytes.
            filepath: Where to; the folder is made if it is missing. An older file is replaced.

        Raises:
            OutputError: The disk is full, or kept something else than it was given.
        """
        expected = hashlib.sha256(obj).hexdigest()

        def compare(path: Path) -> None:
            if file_sha256(path) != expected:
                raise OutputError(f'{filepath}: the disk did not keep what was written. Check the disk.')

        Path(filepath).parent.mkdir(parents=True, exist_ok=True)
        with publish_checkpoint(filepath, overwrite=True, verify=compare) as path:
            path.write_bytes(obj)

    def remove(self, filepath: str | os.PathLike[str]) -> None:
        """Remove a checkpoint and its sha256."""
        remove_checkpoint(filepath)


def _link_or_copy(source: str, target: Path) -> None:
    """Give a file a second name; where the file system cannot, or is another one, copy it."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)


register_backend(_BACKEND, VerifiedBackend, force=True)


class _PruneLater(VerifiedBackend):
    """Remembers what is to be removed until the file that takes its place is there."""

    def __init__(self) -> None:
        super().__init__()
        self._doomed: list[str | os.PathLike[str]] = []

    def remove(self, filepath: str | os.PathLike[str]) -> None:
        self._doomed.append(filepath)

    def prune(self, *, keep: Sequence[str | None]) -> None:
        kept = {os.path.abspath(path) for path in keep if path}
        for path in self._doomed:
            if os.path.abspath(path) not in kept:
                remove_checkpoint(path)
        self._doomed.clear()


@HOOKS.register_module()
class VerifiedCheckpointHook(CheckpointHook):
    """Saves checkpoints that a kill, a full disk or a diverged model cannot take away.

    Takes the options of MMEngine's ``CheckpointHook``, writes local files, and differs in this:

    - A checkpoint appears whole, with its sha256 beside it; older ones are removed only after that.
    - The newest one is also there as ``last.pth``, whole and with its sha256 at every moment.
    - It holds plain data: ``torch.load(weights_only=True)`` opens it, log history included.
    - Weights that are not finite are not saved; the run stops with the last good checkpoint in place.
    - It notes what names and shapes cannot tell, so that it fits no other kind of model by accident.
    - A run that resumes goes on from the newest checkpoint that is whole, and says what it passed over.
    - Random numbers go on where they were, in every process, and validation does not use them up: the losses of a
      run that was resumed are those of one that never stopped, where the operations themselves can be repeated.

    Args:
        same_layout: Refuse to resume with another number of processes, batch size or seed.
        **options: Those of ``CheckpointHook`` but for ``backend_args`` and ``file_client_args``.

    Raises:
        ConfigError: A storage other than local files is asked for.
    """

    def __init__(self, *, same_layout: bool = True, **options: Any) -> None:
        for name in ('backend_args', 'file_client_args'):
            if options.pop(name, None) is not None:
                raise ConfigError(
                    f'VerifiedCheckpointHook writes local files only: leave {name} out, or use CheckpointHook.'
                )
        super().__init__(backend_args={'backend': _BACKEND}, **options)
        self.same_layout = same_layout
        self._run_state: dict[str, Any] | None = None
        self._resumed: dict[str, Any] | None = None
        self._before_validation: dict[str, Any] | None = None

    def before_run(self, runner: Runner) -> None:
        """Choose the checkpoint to resume from, where the run leaves that open.

        Raises:
            CheckpointError: There are checkpoints, and none of them is whole.
        """
        if not runner._resume or runner._load_from is not None:
            return
        found = find_resume_point(self._folders(runner))
        for reason in found.rejected:
            runner.logger.warning(f'not resumed from: {reason}')
        if found.path is not None:
            if found.rejected:
                runner.logger.warning(f'going on from {found.path}, the newest checkpoint that is whole')
            runner._load_from = str(found.path)
        elif found.rejected:
            raise CheckpointError(
                f'{runner.work_dir}: none of its checkpoints is whole ({len(found.rejected)} passed over, '
                'see the log). Name one to go on from, or start anew in another folder.'
            )
        else:
            runner.logger.warning(
                f'nothing to resume in {runner.work_dir}: training starts from the beginning'
            )

    def _folders(self, runner: Runner) -> list[str]:
        if self.out_dir is None:
            return [runner.work_dir]
        name = os.path.basename(runner.work_dir.rstrip(os.sep))
        return [runner.work_dir, os.path.join(self.out_dir, name)]

    def before_train(self, runner: Runner) -> None:
        """Prepare the folder, and remove what a killed run left half written in it."""
        super().before_train(runner)
        self.file_backend = _PruneLater()
        if is_main_process():
            for path in {runner.work_dir, str(self.out_dir)}:
                for leftover in sweep(path):
                    runner.logger.warning(f'removed {leftover}, left by a run that was killed')

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict[str, Any]) -> None:
        """Keep what the run needs to go on as if it had not stopped.

        Raises:
            CheckpointError: The run was of other processes, batch size or seed.
        """
        if not runner._resume:
            return
        self._resumed = checkpoint.get(KEY)
        source = getattr(checkpoint, 'source', '') or 'checkpoint'
        if self._resumed is None:
            runner.logger.warning(f'{source}: keeps no random numbers: the run goes on with others')
        elif self.same_layout:
            check_layout(self._resumed['layout'], runner, source)

    def before_train_iter(self, runner: Runner, batch_idx: int, data_batch: Any = None) -> None:
        """Take up the random numbers of the checkpoint, before the first step."""
        if self._resumed is not None:
            saved = random_state_of_this_process(self._resumed)
            if saved is not None:
                set_random_state(saved)
            self._resumed = None

    def before_val(self, runner: Runner) -> None:
        """Put the random numbers aside."""
        self._before_validation = random_state()

    def after_val(self, runner: Runner) -> None:
        """Take them up again."""
        if self._before_validation is not None:
            set_random_state(self._before_validation)
            self._before_validation = None

    def save_now(self, runner: Runner) -> None:
        """Save the step that has just ended, unless it is saved; every process has to call this."""
        step = runner.epoch + 1 if self.by_epoch else runner.iter + 1
        if self.last_ckpt != self._path_of(step):
            self._save_checkpoint(runner)

    def _save_checkpoint(self, runner: Runner) -> None:
        self._run_state = collect_run_state(runner)
        super()._save_checkpoint(runner)
        self._run_state = None

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict[str, Any]) -> None:
        """Make the checkpoint plain data, with a note, and refuse one that is not finite.

        Args:
            runner: The runner.
            checkpoint: What is about to be saved; changed in place.

        Raises:
            CheckpointError: A weight is not finite, or something needed to resume is no data.
        """
        source = f'{runner.work_dir}, iteration {checkpoint["meta"].get("iter")}, not saved'
        check_finite(state_dict_of(checkpoint, source), source)
        if self._run_state is not None:
            checkpoint[KEY] = self._run_state
        note = note_of_model(runner.model)
        if note:
            checkpoint['meta'][NOTE_KEY] = note
        left_out = make_plain(checkpoint)
        if left_out:
            runner.logger.warning(f'left out of the checkpoint, being no data: {", ".join(left_out)}')

    def _save_checkpoint_with_step(self, runner: Runner, step: int, meta: dict[str, Any]) -> None:
        if self.max_keep_ckpts > 0 and not (self.keep_ckpt_ids and self.keep_ckpt_ids[-1] == step):
            if len(self.keep_ckpt_ids) == self.max_keep_ckpts:
                self.file_backend.remove(self._path_of(self.keep_ckpt_ids.popleft()))
            self.keep_ckpt_ids.append(step)
            runner.message_hub.update_info('keep_ckpt_ids', list(self.keep_ckpt_ids))
        self.last_ckpt = self._path_of(step)
        runner.message_hub.update_info('last_ckpt', self.last_ckpt)
        runner.save_checkpoint(
            self.out_dir,
            os.path.basename(self.last_ckpt),
            save_optimizer=self.save_optimizer,
            save_param_scheduler=self.save_param_scheduler,
            meta=meta,
            by_epoch=self.by_epoch,
            backend_args=self.backend_args,
            **self.args,
        )
        if is_main_process():
            publish_bytes(Path(runner.work_dir) / POINTER, self.last_ckpt.encode(), overwrite=True)
            with publish_checkpoint(Path(runner.work_dir) / LAST, overwrite=True) as path:
                _link_or_copy(self.last_ckpt, path)
            self.file_backend.prune(keep=[self.last_ckpt, *self._best_paths()])

    def _save_best_checkpoint(self, runner: Runner, metrics: dict[str, Any]) -> None:
        super()._save_best_checkpoint(runner, metrics)
        if is_main_process():
            self.file_backend.prune(keep=[self.last_ckpt, *self._best_paths()])

    def _path_of(self, step: int) -> str:
        return os.path.join(self.out_dir, self.filename_tmpl.format(step))

    def _best_paths(self) -> list[str | None]:
        several = getattr(self, 'best_ckpt_path_dict', {})
        return [getattr(self, 'best_ckpt_path', None), *several.values()]
