"""Masks with known answers, and results made of chosen numbers."""

from __future__ import annotations

import numpy as np

from ultrasam.evaluation.results import Results, ScoredFrame, ScoredObject


def square(top: int, left: int, side: int, shape: tuple[int, int] = (60, 80)) -> np.ndarray:
    mask = np.zeros(shape, bool)
    mask[top : top + side, left : left + side] = True
    return mask


def disc(x: float, y: float, radius: float, shape: tuple[int, int] = (160, 200)) -> np.ndarray:
    ys, xs = np.mgrid[: shape[0], : shape[1]]
    return (xs - x) ** 2 + (ys - y) ** 2 <= radius**2


def chosen_results(*, subjects: int = 12, frames_each: int = 2, gain: float = 0.0, seed: int = 0) -> Results:
    """Two objects a frame; Dice around 0.8 plus a gain, IoU as predicted, one frame without object."""
    rng = np.random.default_rng(seed)
    results = Results()
    for subject in range(subjects):
        for number in range(frames_each):
            name = f'frame_{subject}_{number}.png'
            results.frames.append(ScoredFrame(name, f's{subject}', 'made', 'liver', 2, (0.2, 0.2)))
            for i in range(2):
                area = int(rng.integers(100, 5000))
                category = ('cyst', 'mass')[i]
                results.objects.append(
                    ScoredObject(name, i, category, f's{subject}', 'made', 'liver', area, area / 40000)
                )
    results.frames.append(ScoredFrame('empty.png', 's0', 'made', 'liver', 0, None))
    number = len(results.objects)
    dice = (0.8 + gain + rng.normal(0, 0.05, number)).clip(0, 1)
    for name in ('centre', 'box', 'ellipse', 'box|binary', 'box-jitter-5'):
        results.scores[name] = {
            'dice': dice.tolist(),
            'iou': (dice / (2 - dice)).tolist(),
            'nsd_px': [0.5] * number,
            'hd95_px': [4.0] * number,
            'assd_px': [2.0] * number,
            'empty': [0.0] * number,
        }
        if '|' not in name:
            results.scores[name]['predicted_iou'] = (dice / (2 - dice)).tolist()
    results.scores['box']['dice'][0] = float('nan')
    results.clicks = {name: [[0.5, 0.86, 0.95]] * number for name in ('dice', 'iou')}
    results.united = {
        'box': {
            f'{metric}{suffix}': [0.75] * (subjects * frames_each)
            for metric in ('dice', 'iou', 'iou_with_background')
            for suffix in ('', '_256')
        }
    }
    results.empty_frames = {'centre': {'area_share': [0.25], 'predicted_iou': [0.6]}}
    results.published = {'coco/segm_mAP': 0.5}
    results.counts = {
        'images': len(results.frames),
        'images_without_object': 1,
        'images_with_spacing': len(results.frames) - 1,
        'objects': number,
        'subjects': subjects,
        'images_of_file': len(results.frames),
        'annotations_left_out': {'without mask': 3},
        'subject_is': {'subject': len(results.frames)},
    }
    results.about = {
        'checkpoint': {'path': 'model.pth', 'sha256': 'a' * 64},
        'annotations': {'path': 'test.json', 'sha256': 'b' * 64},
        'settings': {
            'clicks': 3,
            'seed': 0,
            'bootstrap_samples': 200,
            'tolerances': {'pixels': 2.0, 'mm': 1.0},
            'mask_upsampling': 'logits',
            'precision': 'fp32',
        },
        'device': 'cpu',
        'versions': {'ultrasam': '1'},
    }
    return results
