"""Which files of weights a predictor is given, told without loading them."""

from __future__ import annotations

from pathlib import Path

from ultrasam.errors import CheckpointError, ConfigError
from ultrasam.structures.onnx_pair import DECODER_SUFFIX, ENCODER_SUFFIX, OnnxPair

SHIPPED = 'ultrasam_nano_256'
# how files of torch and safetensors begin: zip, old pickle, and JSON after eight bytes of length
_TORCH_STARTS = (b'PK\x03\x04', b'\x80')


def shipped_file(name: str) -> Path:
    """Return a file that ships with the package, from the checkout or the installation.

    Raises:
        ConfigError: It is not where an installation puts it.
    """
    package = Path(__file__).resolve().parents[1]
    places = (package.parent / 'weights' / name, package / '.mim' / 'weights' / name)
    for place in places:
        if place.is_file():
            return place
    raise ConfigError(
        f'the shipped weights {name} are in neither {" nor ".join(map(str, places))}: install again'
    )


def shipped_checkpoint() -> Path:
    """Return the small checkpoint that ships, for torch."""
    return shipped_file(f'{SHIPPED}.pth')


def shipped_pair() -> OnnxPair:
    """Return the same model as ONNX files."""
    return OnnxPair(shipped_file(SHIPPED + ENCODER_SUFFIX), shipped_file(SHIPPED + DECODER_SUFFIX))


def find_weights(path: str | Path) -> OnnxPair | Path:
    """Return the ONNX pair that a path means, or the checkpoint that it is.

    Args:
        path: A checkpoint; or either file of an ONNX pair, or the folder that holds one.

    Raises:
        ConfigError: Nothing is there.
        CheckpointError: A folder without a pair or with several, one file of a pair, or a file that only calls
            itself ONNX.
    """
    path = Path(path)
    if path.is_dir():
        return _pair_in(path)
    if not path.is_file():
        raise ConfigError(f'{path}: no such file. Check the path of the weights')
    if path.suffix.lower() != '.onnx':
        return path
    with path.open('rb') as file:
        head = file.read(9)
    if head.startswith(_TORCH_STARTS) or head[8:9] == b'{':
        raise CheckpointError(
            f'{path}: a checkpoint under the name of an ONNX file. Give it a name that ends in .pth, or make the '
            f'ONNX pair with `ultrasam weights export {path} OUT`'
        )
    for suffix, other in ((ENCODER_SUFFIX, DECODER_SUFFIX), (DECODER_SUFFIX, ENCODER_SUFFIX)):
        if path.name.endswith(suffix):
            partner = path.with_name(path.name.removesuffix(suffix) + other)
            if not partner.is_file():
                raise CheckpointError(
                    f'{path}: one file of a pair; {partner.name} is not beside it. Copy it there, or write both '
                    'with `ultrasam weights export`'
                )
            return OnnxPair(*((path, partner) if suffix == ENCODER_SUFFIX else (partner, path)))
    raise CheckpointError(
        f'{path}: the predictor takes a pair, NAME{ENCODER_SUFFIX} and NAME{DECODER_SUFFIX}. Write it with '
        '`ultrasam weights export CHECKPOINT OUT`'
    )


def _pair_in(folder: Path) -> OnnxPair:
    encoders = sorted(folder.glob(f'*{ENCODER_SUFFIX}'))
    if len(encoders) == 1:
        pair = find_weights(encoders[0])
        if isinstance(pair, OnnxPair):
            return pair
    raise CheckpointError(
        f'{folder}: a folder with {len(encoders)} files *{ENCODER_SUFFIX}; name the file of the weights itself'
    )
