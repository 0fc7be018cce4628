"""From an acoustic map to a gray image: speckle, beam width, attenuation, compression, gain."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from ultrasam.simulation.canvas import Canvas
from ultrasam.simulation.noise import smooth_curve, smooth_noise

_DB_TO_AMPLITUDE = np.log(10) / 20
_DB_TO_POWER = np.log(10) / 10


@dataclass(frozen=True, kw_only=True)
class Machine:
    """Settings of the scanner.

    Attributes:
        axial_px: Standard deviation of the pulse along the beam, in samples.
        focus_px: Standard deviation of the beam at the focus, in beams.
        defocus_px: The same far from the focus.
        focus_depth: Depth of the focus, 0 to 1.
        looks: Number of independent speckle patterns averaged (spatial compounding).
        clutter_db: Level of side-lobe haze below the local echo.
        reverberation_db: Level of repeated near-field echoes below the first ones.
        ring_db: Brightness of the near-field rings above tissue.
        noise_db: Electronic noise relative to tissue at the face of the probe.
        tgc_db: Standard deviation of the error of the depth compensation.
        fade_db: Loss from the face to full depth that the compensation misses.
        dynamic_range_db: Range of echoes from black to white.
        gamma: Exponent of the gray curve.
        smoothing: Share of speckle reduction, 0 to 1.
        mean_gray: Aim for the mean gray value of the field of view, 0 to 255.
    """

    axial_px: float
    focus_px: float
    defocus_px: float
    focus_depth: float
    looks: int
    clutter_db: float
    reverberation_db: float
    ring_db: float
    noise_db: float
    tgc_db: float
    fade_db: float
    dynamic_range_db: float
    gamma: float
    smoothing: float
    mean_gray: float


def draw_machine(rng: np.random.Generator, num_samples: int) -> Machine:
    """Draw scanner settings; larger frames come from finer beams, so blur grows less than the frame."""
    fineness = max(num_samples / 256, 0.5) ** 0.75
    axial = rng.uniform(0.55, 1.0) * fineness
    lateral = axial * rng.uniform(1.3, 3.0)
    return Machine(
        axial_px=axial,
        focus_px=lateral,
        defocus_px=lateral * rng.uniform(1.3, 2.4),
        focus_depth=rng.uniform(0.2, 0.75),
        looks=2 if rng.random() < 0.3 else 1,
        clutter_db=rng.uniform(22, 40),
        reverberation_db=rng.uniform(22, 45),
        ring_db=rng.uniform(-6, 11),
        noise_db=rng.uniform(-55, -30),
        tgc_db=rng.uniform(0.5, 3.0),
        fade_db=rng.uniform(-3, 12),
        dynamic_range_db=rng.uniform(40, 66),
        gamma=rng.uniform(0.85, 1.35),
        smoothing=rng.uniform(0.1, 0.95),
        mean_gray=float(np.clip(rng.normal(57, 14), 28, 100)),
    )


def form_image(rng: np.random.Generator, canvas: Canvas, machine: Machine) -> tuple[np.ndarray, float]:
    """Image a scene.

    Args:
        rng: Source of randomness for scatterers and noise.
        canvas: What is imaged.
        machine: How it is imaged.

    Returns:
        ``(samples, beams)`` gray values from 0 to 1, and the gain in dB that was needed.
    """
    power = np.mean([_echo_power(rng, canvas, machine) for _ in range(machine.looks)], axis=0)
    power = _add_artefacts(rng, canvas, machine, power)
    depth = canvas.grid.depth
    loss_db = np.cumsum(canvas.attenuation, axis=0) * (1 / canvas.grid.shape[0])
    # A beam is wide: shadows and bright bands have soft sides.
    loss_db = cv2.blur(loss_db, (max(3, canvas.grid.shape[1] // 36) | 1, 1))
    compensation_db = machine.tgc_db * smooth_curve(rng, len(depth), 5).T - machine.fade_db * depth
    shading_db = (
        2.0 * smooth_noise(rng, canvas.grid.shape, (2, 3)) - rng.uniform(0, 6) * canvas.grid.lateral**4
    )
    shading_db += rng.uniform(0, 3) * smooth_curve(rng, canvas.grid.shape[1], rng.uniform(10, 40)) * depth
    power *= np.exp(_DB_TO_POWER * (compensation_db + shading_db - np.clip(loss_db, -14, 60)))
    floor = np.exp(_DB_TO_POWER * (machine.noise_db + 12 * depth))
    noise = rng.standard_exponential(canvas.grid.shape, dtype=np.float32)
    level_db = np.log(power + floor * noise) * (1 / _DB_TO_POWER)
    level_db = _reduce_speckle(level_db, machine)
    white_db = _white_level(canvas, level_db, machine)
    gray = np.clip((level_db - white_db) / machine.dynamic_range_db + 1, 0, 1) ** machine.gamma
    return gray, -white_db


def _echo_power(rng: np.random.Generator, canvas: Canvas, machine: Machine) -> np.ndarray:
    """Envelope power of random scatterers and mirrors seen through a beam that widens off focus."""
    num_samples, num_beams = canvas.grid.shape
    field = rng.standard_normal((num_samples, num_beams, 2), dtype=np.float32).astype(np.float64)
    # Interfaces are rough: part of their echo has the random phase of scatterers.
    field *= (np.exp(_DB_TO_AMPLITUDE * canvas.echo_db) + 0.9 * canvas.mirror)[..., None]
    field[..., 0] += 0.6 * canvas.mirror
    axial = _gaussian(machine.axial_px)
    narrow, wide = _gaussian(machine.focus_px), _gaussian(machine.defocus_px)
    focused = cv2.sepFilter2D(field, -1, narrow, axial, borderType=cv2.BORDER_REFLECT)
    spread = cv2.sepFilter2D(field, -1, wide, axial, borderType=cv2.BORDER_REFLECT)
    share = np.clip(np.abs(canvas.grid.depth - machine.focus_depth) / 0.6, 0, 1)
    padded = np.zeros_like(wide)
    margin = (len(wide) - len(narrow)) // 2
    padded[margin : len(wide) - margin] = narrow
    energy = np.sum((padded.T * (1 - share) + wide.T * share) ** 2, axis=1, keepdims=True) * np.sum(axial**2)
    spread -= focused
    spread *= share[..., None]
    spread += focused
    spread *= spread
    return (spread[..., 0] + spread[..., 1]) * (0.5 / energy)


def _gaussian(sigma: float) -> np.ndarray:
    """A column of Gaussian weights of sum 1, out to three standard deviations."""
    reach = max(1, int(np.ceil(3 * sigma)))
    offset = np.arange(-reach, reach + 1)
    weights = np.exp(-0.5 * (offset / sigma) ** 2)
    return (weights / weights.sum())[:, None]


def _add_artefacts(
    rng: np.random.Generator, canvas: Canvas, machine: Machine, power: np.ndarray
) -> np.ndarray:
    """Add side-lobe haze, repeated near-field echoes and rings at the probe face."""
    num_samples, num_beams = canvas.grid.shape
    width = max(3, num_beams // 8) | 1
    haze = cv2.blur(power, (width, max(3, num_samples // 60) | 1))
    power = power + haze * np.exp(-_DB_TO_POWER * machine.clutter_db)
    delay = round(rng.uniform(0.04, 0.15) * num_samples)
    repeated = np.exp(-_DB_TO_POWER * machine.reverberation_db)
    for echo in (1, 2):
        reach = min(2 * delay, num_samples - echo * delay)
        power[echo * delay : echo * delay + reach] += repeated**echo * power[:reach]
    depth = canvas.grid.depth
    period, decay = rng.uniform(0.012, 0.03), rng.uniform(0.006, 0.02)
    rings = np.cos(np.pi * depth / period + rng.uniform(0, np.pi)) ** 4 * np.exp(-depth / decay)
    along = np.exp(0.4 * smooth_noise(rng, canvas.grid.shape, (10, 12)))
    return power + np.exp(_DB_TO_POWER * machine.ring_db) * rings * along


def _reduce_speckle(level_db: np.ndarray, machine: Machine) -> np.ndarray:
    """Blend in a smoothed copy, as speckle reduction filters do."""
    if machine.smoothing < 0.05:
        return level_db
    across, along = _gaussian(0.9 * machine.focus_px), _gaussian(0.9 * machine.axial_px)
    smooth = cv2.sepFilter2D(level_db, -1, across, along, borderType=cv2.BORDER_REFLECT)
    return level_db + machine.smoothing * (smooth - level_db)


def _white_level(canvas: Canvas, level_db: np.ndarray, machine: Machine) -> float:
    """Find the level shown as white that gives the wanted mean gray (the operator's gain knob)."""
    part = level_db[::5, ::3]
    radius = canvas.grid.depth[::5] + canvas.grid.view.face_radius
    weight = np.ones_like(radius) if canvas.grid.view.is_flat else radius
    weight = weight / (weight.sum() * part.shape[1])
    low, high = -60.0, 90.0
    for _ in range(14):
        middle = (low + high) / 2
        gray = np.clip((part - middle) / machine.dynamic_range_db + 1, 0, 1) ** machine.gamma
        if float((gray * weight).sum()) * 255 > machine.mean_gray:
            low = middle
        else:
            high = middle
    return (low + high) / 2
