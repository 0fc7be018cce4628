"""A model of as many classes as its data, or the run does not start."""

from __future__ import annotations

from typing import Any

from mmengine.hooks import Hook
from mmengine.model import is_model_wrapper
from mmengine.registry import HOOKS
from mmengine.runner import Runner

from ultrasam.errors import ConfigError
from ultrasam.openmmlab.hooks.stages import built_loops

# where detectors, Mask2Former and classifiers keep their number of classes
_COUNTS = (
    ('panoptic_head', 'num_things_classes'),
    ('bbox_head', 'num_classes'),
    ('head', 'num_classes'),
)


@HOOKS.register_module()
class SameClassesHook(Hook):
    """Refuses a run whose model has another number of classes than its data, or whose data sets differ in theirs.

    Otherwise training fails deep inside a loss, or goes on with classes that are never right.

    Raises:
        ConfigError: before the first step.
    """

    priority = 'VERY_HIGH'

    def before_run(self, runner: Runner) -> None:
        """Compare the loops that this run has with the model."""
        found = {
            stage: tuple(loop.dataloader.dataset.metainfo.get('classes') or ())
            for stage, loop in built_loops(runner, 'train', 'val', 'test')
        }
        check_classes(runner.model, found)


def check_classes(model: Any, classes: dict[str, tuple[str, ...]]) -> None:
    """See that a model and the data of each stage agree.

    Args:
        model: the model, or a parallel wrapper around it.
        classes: by stage, the names of the classes in the order of their labels.

    Raises:
        ConfigError: they do not.
    """
    bare = model.module if is_model_wrapper(model) else model
    for part, name in _COUNTS:
        count = getattr(getattr(bare, part, None), name, None)
        if count is None:
            continue
        for stage, names in classes.items():
            if len(names) != count:
                raise ConfigError(
                    f'model.{part}.{name} is {count}, but the {stage} data have {len(names)} classes '
                    f'({", ".join(names) or "none named"}): set the count of the model, or '
                    f'{stage}_dataloader.dataset.metainfo.classes'
                )
    stages = list(classes)
    for stage in stages[1:]:
        if classes[stage] != classes[stages[0]]:
            raise ConfigError(
                f'the {stages[0]} data have the classes {list(classes[stages[0]])}, the {stage} data '
                f'{list(classes[stage])}: name the same ones in the same order'
            )
