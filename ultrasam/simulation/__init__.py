"""A B-mode simulator: annotated phantom frames for examples, tests and training, from a seed."""

from __future__ import annotations

from ultrasam.simulation.dataset import (
    FrameOrder,
    dataset_orders,
    frame_seed,
    write_coco_dataset,
    write_frames,
)
from ultrasam.simulation.frame import CATEGORIES, SCENES, SimulatedFrame, SimulationSettings
from ultrasam.simulation.sheet import contact_sheet
from ultrasam.simulation.simulator import simulate_frame

__all__ = [
    'CATEGORIES',
    'SCENES',
    'FrameOrder',
    'SimulatedFrame',
    'SimulationSettings',
    'contact_sheet',
    'dataset_orders',
    'frame_seed',
    'simulate_frame',
    'write_coco_dataset',
    'write_frames',
]
