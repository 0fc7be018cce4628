"""Engines run a model for the predictor; which one is chosen by the file and the options, before anything is loaded."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

from ultrasam.errors import ConfigError
from ultrasam.predict.engines.base import Engine
from ultrasam.predict.weights import find_weights, shipped_checkpoint, shipped_pair
from ultrasam.structures.onnx_pair import OnnxPair

ENGINES = ('auto', 'onnx', 'torch')
PRECISIONS = ('auto', 'fp32', 'bf16')
DEVICES = ('cpu', 'cuda', 'mps')


def open_engine(
    weights: str | Path | None,
    *,
    engine: str = 'auto',
    device: str | None = None,
    precision: str = 'auto',
    threads: int | None = None,
) -> Engine:
    """Load a model; arguments as for :class:`ultrasam.predict.Predictor`.

    Raises:
        CheckpointError: Weights that are unsafe, damaged, or of another model.
        ConfigError: Weights that do not exist, options that contradict each other, or PyTorch is needed and missing.
    """
    source = check_engine(weights, engine=engine, device=device, precision=precision)
    if isinstance(source, Path) and engine == 'onnx':
        from ultrasam.predict.engines.exported import exported_pair

        source = exported_pair(source)
    if isinstance(source, OnnxPair):
        from ultrasam.predict.engines.onnx import OnnxEngine

        return OnnxEngine(source, threads=threads)
    from ultrasam.predict.engines.torch import TorchEngine

    return TorchEngine.from_checkpoint(source, device=device, precision=precision)


def check_engine(
    weights: str | Path | None,
    *,
    engine: str = 'auto',
    device: str | None = None,
    precision: str = 'auto',
) -> OnnxPair | Path:
    """Check weights and options, loading nothing.

    Returns:
        The ONNX pair to run in onnxruntime, or the checkpoint to run in torch (or to export, for ``engine='onnx'``).

    Raises:
        CheckpointError: Files that cannot be used together.
        ConfigError: Weights that do not exist, options that contradict each other, or PyTorch is needed and missing.
    """
    for name, value, known in (('engine', engine, ENGINES), ('precision', precision, PRECISIONS)):
        if value not in known:
            raise ConfigError(f'{name} {value!r}: use one of {", ".join(known)}')
    kind, _, index = (device or 'cpu').partition(':')
    if kind not in DEVICES or (index and not index.isdecimal()):
        raise ConfigError(f'device {device!r}: use cpu, cuda, cuda:1 (the second GPU) or mps')
    for_torch = [
        name
        for name, is_set in (
            (f'device {device}', kind != 'cpu'),
            (f'precision {precision}', precision == 'bf16'),
        )
        if is_set
    ]
    if engine == 'onnx' and for_torch:
        raise ConfigError(
            f'the onnx engine has no {", ".join(for_torch)}: leave it out, or use the torch engine'
        )
    wants_torch = engine == 'torch' or bool(for_torch)
    if weights is None:
        source: OnnxPair | Path = shipped_checkpoint() if wants_torch else shipped_pair()
    else:
        source = find_weights(weights)
        if isinstance(source, OnnxPair) and wants_torch:
            reason = ', '.join(for_torch) or 'engine torch'
            raise ConfigError(
                f'{weights}: ONNX files run on the CPU as they are, without {reason}: give the .pth'
            )
    if isinstance(source, Path) and find_spec('torch') is None:
        raise ConfigError(
            f"{source}: needs PyTorch, which is not installed: pip install 'ultrasam[train]'. Or export it to ONNX "
            'where PyTorch is (`ultrasam weights export`) and give the pair'
        )
    return source
