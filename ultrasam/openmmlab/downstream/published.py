"""Figures that others published for downstream tasks, with what is known of how they were made."""

from __future__ import annotations

from dataclasses import dataclass

# The rows of the paper's tables. Their figures are in the paper alone, and are not repeated here from memory.
PAPER_ROWS = {
    'segmentation': ('ResNet-50', 'SAM', 'MedSAM', 'UltraSam'),
    'classification': (
        'ResNet-50',
        'ViT-B (MAE)',
        'SAM',
        'MedSAM',
        'SAM, LoRA',
        'SAM, Med-SA',
        'UltraSam',
        'UltraSam, prompted',
    ),
}
PAPER_DATASETS = ('BUS-BRA', 'MMOTU-2D', 'GIST514-DB')


@dataclass(frozen=True)
class PeerFigure:
    """A figure of another work, in percent.

    Args:
        task: ``'segmentation'`` or ``'classification'``.
        model: as the source names it.
        dataset: as tables call it.
        metric: the key that a run logs for the same.
        percent: as published.
        protocol: how it was made, as far as the source says.
        source: where it stands.
    """

    task: str
    model: str
    dataset: str
    metric: str
    percent: float
    protocol: str
    source: str


_MAE = ('fine-tuned; how the classes were averaged is not stated', 'arXiv 2510.22990')
_JEPA = 'linear probe on frozen features'
_JEPA_SOURCE = 'arXiv 2602.19322'

PEERS = (
    PeerFigure('classification', 'USF-MAE', 'BUS-BRA', 'f1', 81.6, *_MAE),
    PeerFigure('classification', 'USF-MAE', 'MMOTU-2D', 'f1', 79.6, *_MAE),
    PeerFigure('classification', 'USF-MAE', 'GIST514-DB', 'f1', 82.4, *_MAE),
    PeerFigure('segmentation', 'USF-MAE', 'MMOTU-2D', 'segm_mAP', 51.0, 'fine-tuned', 'arXiv 2510.22990'),
    PeerFigure('segmentation', 'USF-MAE', 'MMOTU-2D', 'segm_mAP_50', 77.9, 'fine-tuned', 'arXiv 2510.22990'),
    PeerFigure('classification', 'US-JEPA', 'BUS-BRA', 'f1', 76.0, f'{_JEPA}, split unknown', _JEPA_SOURCE),
    PeerFigure('classification', 'US-JEPA', 'MMOTU-2D', 'f1', 52.2, _JEPA, _JEPA_SOURCE),
    PeerFigure('classification', 'US-JEPA', 'Fatty liver', 'f1', 89.2, _JEPA, _JEPA_SOURCE),
    PeerFigure('classification', 'US-JEPA', 'POCUS', 'f1', 93.1, f'{_JEPA}; its split leaks', _JEPA_SOURCE),
)
