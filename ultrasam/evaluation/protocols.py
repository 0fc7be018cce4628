"""The ways in which the suite prompts a model, by name."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ultrasam.errors import ConfigError
from ultrasam.prompts.users import (
    PromptRule,
    box_rule,
    centre_rule,
    point_rule,
    random_rule,
)

PUBLISHED, CLICKS, ELLIPSE = 'published', 'clicks', 'ellipse'
JITTERS = (0.0, 0.05, 0.1, 0.15)


def inscribed_ellipse(box: np.ndarray, size_hw: tuple[int, int]) -> np.ndarray:
    """The ellipse that touches the sides of a box, (H, W), bool: what a box tells without any model."""
    x1, y1, x2, y2 = box
    ys, xs = np.mgrid[: size_hw[0], : size_hw[1]] + 0.5
    return ((2 * xs - x1 - x2) / (x2 - x1)) ** 2 + ((2 * ys - y1 - y2) / (y2 - y1)) ** 2 <= 1


@dataclass(frozen=True)
class Protocol:
    """One prompt for each object, one mask for each prompt.

    Args:
        title: in reports.
        rule: makes the prompt; None: no model is asked, the ellipse inscribed in the box is the answer.
        jitter: share of its size by which the sides of the box move at most; None without box.
        swapped: the model sees the image of another frame: what it then reaches, it reads off the prompt alone.
        on_empty_frames: it can also be tried where there is no object.
    """

    title: str
    rule: PromptRule | None
    jitter: float | None = None
    swapped: bool = False
    on_empty_frames: bool = False

    @property
    def is_control(self) -> bool:
        """Whether it tells what is reached without model, or without the right image."""
        return self.rule is None or self.swapped


SINGLE_PROMPTS: dict[str, Protocol] = {
    'centre': Protocol('centre point', centre_rule, on_empty_frames=True),
    'random': Protocol('random point', random_rule, on_empty_frames=True),
    'inner': Protocol('innermost point', point_rule(1)),
    '3-points': Protocol('innermost and 2 random points', point_rule(3)),
    'box': Protocol('box', box_rule(), jitter=0.0),
    **{
        f'box-jitter-{share * 100:.0f}': Protocol(
            f'box, sides moved up to {share:.0%}', box_rule(share), share
        )
        for share in JITTERS[1:]
    },
    'box+point': Protocol('box and innermost point', box_rule(point=True)),
    ELLIPSE: Protocol('no model: ellipse in the box', None),
    'inner-swapped': Protocol('innermost point, image of another frame', point_rule(1), swapped=True),
    'box-swapped': Protocol('box, image of another frame', box_rule(), swapped=True),
}
PROTOCOLS = (PUBLISHED, CLICKS, *SINGLE_PROMPTS)


def choose_protocols(names: Sequence[str] | None) -> tuple[str, ...]:
    """The protocols asked for, each once, in the order of ``PROTOCOLS``; all without any name.

    Raises:
        ConfigError: one that does not exist.
    """
    if not names:
        return PROTOCOLS
    unknown = [name for name in names if name not in PROTOCOLS]
    if unknown:
        raise ConfigError(f'no protocol {", ".join(unknown)}: choose from {", ".join(PROTOCOLS)}')
    return tuple(name for name in PROTOCOLS if name in names)
