"""What the names in a file cannot tell: who trained it, under which licence, and how images were prepared."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Profile:
    """One family of weights.

    Args:
        title: what it is.
        layouts: names of the kinds of file that it comes as.
        licence: of the weights, as their publisher states it.
        preprocessing: how images are prepared: ``'imagenet'``, minus the mean and over the standard deviation of
            ImageNet; ``'min_max'``, from 0 to 1 in each image.
        remark: what else a user should know.
    """

    title: str
    layouts: tuple[str, ...]
    licence: str
    preprocessing: str = 'imagenet'
    remark: str | None = None


PROFILES: dict[str, Profile] = {
    'sam': Profile(
        title='Segment Anything',
        layouts=('segment-anything', 'transformers', 'vit-sam'),
        licence='Apache-2.0',
    ),
    'medsam': Profile(
        title='MedSAM',
        layouts=('segment-anything', 'transformers', 'vit-sam'),
        licence='Apache-2.0',
        preprocessing='min_max',
        remark='MedSAM was trained on boxes, and on images squeezed to a square; '
        'here the longer side is resized and the shorter one padded',
    ),
    'ultrasam': Profile(
        title='UltraSam, the published checkpoint',
        layouts=('ultrasam',),
        licence='CC BY-NC-SA 4.0',
    ),
}
"""By the name that ``--as`` takes."""
