"""Lesions whose class is to be told from the image: how those of a class look, and how often."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

Range = tuple[float, float]
"""Least and most of a uniform draw."""


@dataclass(frozen=True, kw_only=True)
class LesionClass:
    """What a class of lesions has of its own; place, size and elongation are drawn alike for all.

    Attributes:
        name: Name of the class, a COCO category.
        margins: Odds of each margin, names as in ``MARGIN_WAVES``.
        echo_db: Echogenicity, of tissue relative to what lies around it, of fluid by itself.
        is_fluid: Whether it is filled with fluid.
        texture_db: Standard deviation of slow changes of echogenicity inside.
        patches: Number of such changes across the lesion.
        shadow: Odds of a shadow behind it.
        enhancement: Odds of a brighter region behind it.
        specks: Odds of small calcifications.
        septa: Odds of thin bright sheets inside.
        nodules: Odds of parts of the other kind, solid in fluid and fluid in tissue.
        capsule: Odds of a bright wall.
    """

    name: str
    margins: Mapping[str, float]
    echo_db: Range
    is_fluid: bool = False
    texture_db: Range = (0.5, 2.5)
    patches: Range = (3, 7)
    shadow: float = 0.0
    enhancement: float = 0.0
    specks: float = 0.0
    septa: float = 0.0
    nodules: float = 0.0
    capsule: float = 0.0


# Both are tissue of the same echogenicity; every sign occurs in both, so that none decides alone.
_DIAGNOSIS = (
    LesionClass(
        name='benign_lesion',
        margins={
            'smooth': 0.50,
            'lobulated': 0.28,
            'irregular': 0.10,
            'spiculated': 0.02,
            'indistinct': 0.10,
        },
        echo_db=(-15, -6),
        texture_db=(0.4, 2.6),
        patches=(3, 7),
        shadow=0.12,
        enhancement=0.35,
        specks=0.08,
        septa=0.12,
        capsule=0.50,
    ),
    LesionClass(
        name='malignant_lesion',
        margins={
            'smooth': 0.06,
            'lobulated': 0.16,
            'irregular': 0.34,
            'spiculated': 0.28,
            'indistinct': 0.16,
        },
        echo_db=(-15, -6),
        texture_db=(1.6, 5.0),
        patches=(4, 10),
        shadow=0.55,
        enhancement=0.08,
        specks=0.32,
        septa=0.12,
        capsule=0.08,
    ),
)
_KINDS = (
    LesionClass(
        name='simple_cyst',
        margins={'smooth': 0.85, 'lobulated': 0.15},
        echo_db=(-45, -24),
        is_fluid=True,
        enhancement=0.85,
        capsule=0.4,
    ),
    LesionClass(
        name='hazy_cyst',
        margins={'smooth': 0.75, 'lobulated': 0.25},
        echo_db=(-19, -9),
        is_fluid=True,
        texture_db=(0.2, 1.2),
        enhancement=0.6,
        specks=0.15,
        capsule=0.7,
    ),
    LesionClass(
        name='septated_cyst',
        margins={'smooth': 0.5, 'lobulated': 0.4, 'irregular': 0.1},
        echo_db=(-42, -16),
        is_fluid=True,
        enhancement=0.6,
        septa=0.95,
        nodules=0.1,
        capsule=0.4,
    ),
    LesionClass(
        name='mixed_mass',
        margins={'smooth': 0.4, 'lobulated': 0.3, 'irregular': 0.3},
        echo_db=(-40, -14),
        is_fluid=True,
        texture_db=(1, 3),
        enhancement=0.3,
        septa=0.3,
        nodules=0.95,
        capsule=0.4,
    ),
    LesionClass(
        name='fatty_mass',
        margins={'smooth': 0.4, 'lobulated': 0.3, 'indistinct': 0.3},
        echo_db=(1, 10),
        texture_db=(1, 4),
        shadow=0.6,
        specks=0.4,
        septa=0.4,
    ),
    LesionClass(
        name='solid_mass',
        margins={'smooth': 0.25, 'lobulated': 0.25, 'irregular': 0.3, 'indistinct': 0.2},
        echo_db=(-14, -4),
        texture_db=(1, 4),
        patches=(3, 9),
        shadow=0.3,
        enhancement=0.1,
        specks=0.15,
    ),
)
LESION_SETS: dict[str, tuple[LesionClass, ...]] = {'diagnosis': _DIAGNOSIS, 'kinds': _KINDS}
"""By name, the classes that lesions of a frame are drawn from, each as often as another."""
