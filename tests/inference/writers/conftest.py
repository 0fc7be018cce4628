"""Frames with masks, and their volumes."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from ultrasam.structures import Frame, ObjectPrompt, Segmentation, VolumeGeometry

# a volume that is turned, with another spacing along each axis
GEOMETRY = VolumeGeometry(
    size_xyz=(40, 32, 5),
    spacing_xyz=(0.25, 0.5, 1.5),
    origin_xyz=(-12.0, 7.5, 30.0),
    direction=(0.0, -1.0, 0.0, 1.0, 0.0, 0.0, 0.0, 0.0, 1.0),
    axis=0,
)


def make_frame(source: str | Path, size_hw=(60, 80), *, index=0, seed=0, **options) -> Frame:
    """Speckle in three slightly different channels."""
    image = np.random.default_rng(seed).integers(20, 120, (*size_hw, 3), np.uint8)
    return Frame(image=image, source=Path(source), index=index, **options)


def make_segmentation(size_hw=(60, 80), *, num_objects=2, seed=0, scores=None) -> Segmentation:
    """Discs, partly on top of each other, prompted with a box, a click, or both."""
    rng = np.random.default_rng(seed)
    height, width = size_hw
    masks, prompts = [], []
    for index in range(num_objects):
        radius = int(min(size_hw) * rng.uniform(0.1, 0.22))
        x, y = (int(rng.uniform(radius + 1, side - radius - 1)) for side in (width, height))
        masks.append(cv2.circle(np.zeros(size_hw, np.uint8), (x, y), radius, 1, cv2.FILLED).astype(bool))
        box = [x - radius, y - radius, x + radius, y + radius] if index % 3 != 1 else None
        points, labels = ([[x, y], [x + radius, y + radius]], [1, 0]) if index % 3 else ([], [])
        prompts.append(ObjectPrompt(points_xy=points, point_labels=labels, box_xyxy=box))
    scores = rng.uniform(0.5, 1, num_objects) if scores is None else np.array(scores)
    return Segmentation(
        masks=np.array(masks, bool).reshape(-1, *size_hw),
        scores=scores.astype(np.float32),
        prompts=tuple(prompts),
        logits=np.zeros((num_objects, 16, 16), np.float32),
    )


def files_in(folder: Path) -> list[str]:
    """Every file below a folder, hidden ones too."""
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob('*') if path.is_file())
