"""Prompts of training: a random draw that knows no image, and its exact application to an instance."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from ultrasam.errors import ConfigError
from ultrasam.masks.cropped import CroppedMask
from ultrasam.masks.foreground import foreground_pixel
from ultrasam.prompts.users import moved_box
from ultrasam.structures import Prompt

PROMPT_KINDS = ('point', 'box', 'point_box')
POINT_RULES = ('random', 'centre', 'centre_inside', 'box_centre')
STAGES = ('train', 'test')

# Up to the published jitter a box may leave the image, as it did when the published weights were trained.
PUBLISHED_BOX_JITTER = 0.05


@dataclass(frozen=True)
class PromptDraw:
    """The random choices behind one prompt; the same draw on the same instance gives the same prompt.

    Args:
        kind: one of ``PROMPT_KINDS``.
        num_points: clicks, 0 for a box alone.
        pixels: ``num_points`` uniforms in [0, 1), which foreground pixel each
            click takes; empty where the recipe chooses no pixel at random.
        shifts: ``num_points`` uniforms in [0, 1), how far each click moves
            right and down from the corner of its pixel; empty in the test stage.
        corners: uniforms in [0, 1) of the box sides x1, y1, x2, y2; empty
            without jitter.
    """

    kind: str
    num_points: int
    pixels: tuple[float, ...] = ()
    shifts: tuple[float, ...] = ()
    corners: tuple[float, ...] = ()


@dataclass(frozen=True, kw_only=True)
class PromptRecipe:
    """How instances are prompted.

    Args:
        probabilities: chance of each prompt kind, e.g. ``dict(point=0.5, box=0.5)``.
        point: where a click goes: on a ``'random'`` foreground pixel, on the
            ``'centre'`` (mean of the foreground, possibly off a concave object),
            on the foreground pixel next to that centre (``'centre_inside'``), or
            on the ``'box_centre'``.
        num_points: clicks an instance, a number or an inclusive range (a, b).
        box_jitter: largest shift of a box side as a share of the box's size.
        stage: ``'train'``: annotations were resized with the image; a click moves
            from the corner of its pixel by one uniform shared by x and y.
            ``'test'``: annotations have the original resolution and are scaled
            here; a click is the centre of its pixel (+0.5). Boxes get +0.5 in
            both, as the published model expects.

    Raises:
        ConfigError: a value that has no meaning.
    """

    probabilities: Mapping[str, float]
    point: str = 'random'
    num_points: int | tuple[int, int] = 1
    box_jitter: float = 0.0
    stage: str = 'train'

    def __post_init__(self) -> None:
        unknown = sorted(set(self.probabilities) - set(PROMPT_KINDS))
        if unknown:
            raise ConfigError(f'prompt kinds {unknown}: choose from {list(PROMPT_KINDS)}')
        shares = list(self.probabilities.values())
        if not shares or min(shares) < 0 or not np.isclose(sum(shares), 1.0):
            raise ConfigError(
                f'prompt_probabilities={dict(self.probabilities)}: give shares >= 0 that sum to 1'
            )
        if self.point not in POINT_RULES:
            raise ConfigError(f'point={self.point!r}: choose from {list(POINT_RULES)}')
        if self.stage not in STAGES:
            raise ConfigError(f'stage={self.stage!r}: choose from {list(STAGES)}')
        low, high = self.point_range
        if not 1 <= low <= high:
            raise ConfigError(
                f'num_points={self.num_points}: give a number >= 1 or a range (a, b), 1 <= a <= b'
            )
        if self.point != 'random' and high > 1:
            raise ConfigError(
                f"num_points={self.num_points} with point={self.point!r}: only 'random' gives more than 1"
            )
        if not 0 <= self.box_jitter < np.inf:
            raise ConfigError(f'box_jitter={self.box_jitter}: give a share of the box size, 0 or more')

    @cached_property
    def point_range(self) -> tuple[int, int]:
        """Fewest and most clicks an instance.

        Raises:
            ConfigError: ``num_points`` is neither an integer nor a pair of them.
        """
        pair = self.num_points if isinstance(self.num_points, (tuple, list)) else (self.num_points,) * 2
        if len(pair) != 2 or not all(isinstance(count, int) for count in pair):
            raise ConfigError(f'num_points={self.num_points}: give an integer or a range (a, b)')
        return pair[0], pair[1]

    @cached_property
    def kinds(self) -> tuple[str, ...]:
        """Prompt kinds that can occur, in the order of ``PROMPT_KINDS``."""
        return tuple(kind for kind in PROMPT_KINDS if self.probabilities.get(kind, 0) > 0)

    @property
    def has_points(self) -> bool:
        """Whether any prompt holds clicks."""
        return self.kinds != ('box',)

    @property
    def has_boxes(self) -> bool:
        """Whether any prompt holds a box."""
        return self.kinds != ('point',)

    @property
    def needs_masks(self) -> bool:
        """Whether a click cannot be placed without the mask."""
        return self.has_points and self.point != 'box_centre'

    @cached_property
    def is_random(self) -> bool:
        """Whether two draws can differ."""
        random_points = self.has_points and (self.point == 'random' or self.stage == 'train')
        return len(self.kinds) > 1 or random_points or (self.has_boxes and self.box_jitter > 0)


def draw_prompt(recipe: PromptRecipe, rng: np.random.Generator | None) -> PromptDraw:
    """Draw the random choices of one prompt.

    Args:
        recipe: what may be drawn.
        rng: source of every choice; may be None if ``recipe.is_random`` is False.

    Returns:
        The draw, which holds no uniform that the prompt does not use.

    Raises:
        ConfigError: a random recipe without generator.
    """
    kind = recipe.kinds[0]
    low, high = recipe.point_range
    if not recipe.is_random:
        return PromptDraw(kind, 0 if kind == 'box' else low)
    if rng is None:
        raise ConfigError(f'{recipe} is random: give draw_prompt a generator')
    if len(recipe.kinds) > 1:
        edges = np.cumsum([recipe.probabilities[k] for k in recipe.kinds])
        # The last edge may fall short of 1 by rounding.
        kind = recipe.kinds[min(int(np.searchsorted(edges, rng.random(), side='right')), len(edges) - 1)]
    if kind == 'box':
        low = high = 0
    num_points = low if low == high else int(rng.integers(low, high, endpoint=True))
    pixels = rng.random(num_points) if num_points and recipe.point == 'random' else ()
    shifts = rng.random(num_points) if num_points and recipe.stage == 'train' else ()
    corners = rng.random(4) if kind != 'point' and recipe.box_jitter > 0 else ()
    return PromptDraw(kind, num_points, *(tuple(map(float, part)) for part in (pixels, shifts, corners)))


def apply_draw(
    draw: PromptDraw,
    recipe: PromptRecipe,
    *,
    mask: CroppedMask | np.ndarray | None,
    box: np.ndarray,
    size_hw: tuple[int, int],
    scale_xy: tuple[float, float] = (1.0, 1.0),
) -> Prompt:
    """Turn a draw into the prompt of one instance; nothing here is random.

    Args:
        draw: the choices made by :func:`draw_prompt` with the same recipe.
        recipe: how instances are prompted.
        mask: a cropped mask, or (H, W), foreground where not zero, in the
            frame of the annotations. None or without foreground: clicks go to the box centre.
        box: (4,), float, xyxy in the frame of the annotations.
        size_hw: height and width of the resized image, without padding.
        scale_xy: factors from the annotations' frame to the resized image,
            (1, 1) in the train stage.

    Returns:
        The prompt, in pixels of the padded network input.
    """
    scale = np.asarray(scale_xy, np.float64)
    box = np.asarray(box, np.float64)
    if draw.kind == 'box':
        return Prompt(box=_box_prompt(draw, recipe, box, size_hw, scale))
    corner = _click_pixels(draw, recipe, mask, box) * scale
    points = corner + (np.asarray(draw.shifts)[:, None] if draw.shifts else 0.5)
    labels = np.ones(draw.num_points, np.int64)
    if draw.kind == 'point':
        return Prompt(points=points, point_labels=labels)
    return Prompt(points=points, point_labels=labels, box=_box_prompt(draw, recipe, box, size_hw, scale))


def _click_pixels(
    draw: PromptDraw, recipe: PromptRecipe, mask: CroppedMask | np.ndarray | None, box: np.ndarray
) -> np.ndarray:
    """Clicked positions (P, 2), xy, before scale and shift."""
    box_centre = np.tile((box[:2] + box[2:]) / 2, (draw.num_points, 1))
    if mask is None or not recipe.needs_masks:
        return box_centre
    mask = CroppedMask.of_mask(mask) if isinstance(mask, np.ndarray) else mask
    rows = mask.row_counts()
    if not rows.any():
        return box_centre
    if recipe.point == 'random':
        return np.array([foreground_pixel(mask, rows, uniform) for uniform in draw.pixels], np.float64)
    centre = mask.centre()
    return (mask.nearest(centre) if recipe.point == 'centre_inside' else centre)[None]


def _box_prompt(
    draw: PromptDraw, recipe: PromptRecipe, box: np.ndarray, size_hw: tuple[int, int], scale: np.ndarray
) -> np.ndarray:
    """Jittered box (4,), xyxy pixels of the network input, never inverted."""
    exact = box * np.tile(scale, 2) + 0.5
    if not draw.corners:
        return exact
    sides = moved_box(exact, 2 * np.asarray(draw.corners) - 1, recipe.box_jitter).reshape(2, 2)
    sides = np.sort(sides, axis=0)
    if recipe.box_jitter > PUBLISHED_BOX_JITTER:
        sides = sides.clip(0, size_hw[::-1])
        # A jitter that pushes a box against the border must not flatten it.
        flat = sides[1] - sides[0] < 1
        sides[:, flat] = exact.reshape(2, 2)[:, flat]
    return sides.reshape(4)
