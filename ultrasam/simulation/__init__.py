"""A B-mode simulator: annotated phantom frames for examples, tests and training, from a seed."""

from __future__ import annotations

from ultrasam.simulation.dataset import (
    FrameOrder,
    class_list,
    dataset_orders,
    frame_seed,
    write_coco_dataset,
    write_frames,
)
from ultrasam.simulation.frame import CATEGORIES, SCENES, SimulatedFrame, SimulationSettings
from ultrasam.simulation.lesion_classes import LESION_SETS, LesionClass
from ultrasam.simulation.sheet import contact_sheet
from ultrasam.simulation.simulator import simulate_frame

__all__ = [
    'CATEGORIES',
    'LESION_SETS',
    'SCENES',
    'FrameOrder',
    'LesionClass',
    'SimulatedFrame',
    'SimulationSettings',
    'class_list',
    'contact_sheet',
    'dataset_orders',
    'frame_seed',
    'simulate_frame',
    'write_coco_dataset',
    'write_frames',
]
