"""The model card: what a file of weights is, as far as names and shapes tell it and as far as its note does.

The note is the entry ``ultrasam`` of a checkpoint's ``meta`` (JSON in the metadata of safetensors).
:meth:`ModelCard.note` writes it and :func:`read_card` reads it, for training, conversion, export and release alike.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor

from ultrasam.checkpoints.sources.kinds import kind_of
from ultrasam.errors import CheckpointError
from ultrasam.models.preprocessing import PREPROCESSINGS

NOTE_KEY = 'ultrasam'
"""Where our checkpoints keep, under ``meta``, what names and shapes cannot tell."""

IMAGENET_MEAN = (123.675, 116.28, 103.53)
IMAGENET_STD = (58.395, 57.12, 57.375)
CLASS_ACTIVATIONS = ('sigmoid', 'softmax')

_PATCH = 'backbone.patch_embed.projection.weight'
_POSITIONS = 'backbone.pos_embed'
# hidden and last layer of the head of a prompted classifier
_CLASS_LAYERS = tuple(f'bbox_head.cls_prediction_head.layers.{layer}.weight' for layer in (0, 1))
_ENCODER = (_PATCH, _POSITIONS, 'backbone.layers.0.ffn.layers.0.0.weight')
# kinds of file of which a part is missing, rather than other models
_OURS = ('ultrasam', 'prompted-classifier', 'vit-sam')
_REQUIRED = (
    *_ENCODER,
    'decoder.post_norm.weight',
    'bbox_head.iou_prediction_head.layers.0.weight',
    'prompt_encoder.label_encoder.label_embedding.weight',
)


@dataclass(frozen=True, kw_only=True)
class EncoderCard:
    """The architecture of an image encoder.

    Args:
        arch: Architecture dict of the image encoder.
        img_size: Side of the padded input in pixels.
        patch_size: Side of a patch in pixels.
        window_size: Side of an attention window in tokens.
    """

    arch: dict[str, Any]
    img_size: int
    patch_size: int
    window_size: int

    def encoder_options(self) -> dict[str, Any]:
        """Return the arguments of :class:`~ultrasam.models.SamImageEncoder`."""
        return dict(
            arch=dict(self.arch),
            img_size=self.img_size,
            patch_size=self.patch_size,
            window_size=self.window_size,
        )


@dataclass(frozen=True, kw_only=True)
class ModelCard(EncoderCard):
    """A promptable UltraSam model.

    Args:
        arch: Architecture dict of the image encoder.
        img_size: Side of the padded input in pixels.
        patch_size: Side of a patch in pixels.
        window_size: Side of an attention window in tokens.
        refines: True if it takes mask prompts, and so refines its masks.
        mlp_skip: ``'doubled'``, as in the published checkpoint and where the note does not say, or ``'single'``.
        point_refinement: Prompt of the refining pass for one click.
        box_mask: What stands in for the mask prompt of a box.
        inference_refinements: Passes after the first at inference; None for the usual one of a model that refines.
        preprocessing: ``'imagenet'``, minus a mean and over a standard deviation; ``'min_max'``, each image to 0..1.
        pixel_mean: Mean of 'imagenet', RGB, 0 to 255.
        pixel_std: Standard deviation of 'imagenet', RGB, 0 to 255.
        num_classes: Classes of the objects that a prompted classifier tells apart; 0 for masks alone.
        class_names: Their names, as many, where the file tells them; else none.
        class_activation: How its class logits become probabilities: ``'sigmoid'`` or ``'softmax'``.
        stated: The note of the file: the settings above that it states, and further facts such as its licence.
    """

    refines: bool
    mlp_skip: str = 'doubled'
    point_refinement: str = 'predicted_box'
    box_mask: str = 'none'
    inference_refinements: int | None = None
    preprocessing: str = 'imagenet'
    pixel_mean: tuple[float, ...] = IMAGENET_MEAN
    pixel_std: tuple[float, ...] = IMAGENET_STD
    num_classes: int = 0
    class_names: tuple[str, ...] = ()
    class_activation: str = 'sigmoid'
    stated: dict[str, Any] = field(default_factory=dict)

    def note(self) -> dict[str, Any]:
        """Return the note that says all this again, of plain values, with no setting left to a default."""
        settings = note_of_settings(
            mlp_skip=self.mlp_skip,
            point_refinement=self.point_refinement,
            box_mask=self.box_mask,
            inference_refinements=self.inference_refinements,
            preprocessing=self.preprocessing,
            pixel_mean=self.pixel_mean,
            pixel_std=self.pixel_std,
            class_activation=self.class_activation if self.num_classes else None,
        )
        classes = {'classes': list(self.class_names)} if self.class_names else {}
        return {**self.stated, **settings, **classes}


def note_of_settings(
    *,
    mlp_skip: str,
    point_refinement: str,
    box_mask: str,
    inference_refinements: int | None,
    preprocessing: str | None,
    pixel_mean: Sequence[float] = (),
    pixel_std: Sequence[float] = (),
    class_activation: str | None = None,
) -> dict[str, Any]:
    """Return what names and shapes of weights do not tell, as plain values; arguments as for :class:`ModelCard`."""
    note: dict[str, Any] = {
        'mlp_skip': mlp_skip,
        'point_refinement': point_refinement,
        'box_mask': box_mask,
        'inference_refinements': inference_refinements,
    }
    if preprocessing is not None:
        note['preprocessing'] = preprocessing
    if preprocessing == 'imagenet':
        # float32 buffers of a model and the numbers of its config become the same note
        note.update(pixel_mean=[round(x, 4) for x in pixel_mean], pixel_std=[round(x, 4) for x in pixel_std])
    if class_activation is not None:
        note['class_activation'] = class_activation
    return note


def note_of(meta: Any, source: str) -> dict[str, Any]:
    """What a checkpoint of ours says about itself; empty if it says nothing.

    Args:
        meta: the ``meta`` entry of the checkpoint. In a safetensors file the note is JSON.
        source: where it came from, for messages.

    Raises:
        CheckpointError: the note is no mapping of names.
    """
    note = meta.get(NOTE_KEY) if isinstance(meta, Mapping) else None
    if isinstance(note, str):
        try:
            note = json.loads(note)
        except ValueError as error:
            raise CheckpointError(f'{source}: its note is no JSON ({error}); write the file again') from error
    if note is not None and not isinstance(note, Mapping):
        raise CheckpointError(
            f'{source}: its note is a {type(note).__name__}, not a mapping; write the file again'
        )
    return dict(note or {})


def read_card(state_dict: Mapping[str, Tensor], meta: Mapping[str, Any] | None, source: str) -> ModelCard:
    """Read the card of a promptable model: its architecture from names and shapes, its settings from its note.

    Args:
        state_dict: under UltraSam's names.
        meta: the ``meta`` entry of the checkpoint, if it has one.
        source: where the weights came from, for messages.

    Raises:
        CheckpointError: it is no promptable UltraSam model; the message says what it looks like.
    """
    _require(state_dict, _REQUIRED, source)
    encoder = read_encoder_card(state_dict, source)
    note = note_of(meta, source)
    preprocessing = note.get('preprocessing', 'imagenet')
    if preprocessing not in PREPROCESSINGS:
        raise CheckpointError(
            f'{source}: its note asks for the preprocessing {preprocessing!r}; '
            f'this release knows {", ".join(PREPROCESSINGS)}: update the package, or give a config'
        )
    return ModelCard(
        **vars(encoder),
        refines=any(name.startswith('prompt_encoder.mask_downscaling.') for name in state_dict),
        mlp_skip=note.get('mlp_skip', 'doubled'),
        point_refinement=note.get('point_refinement', 'predicted_box'),
        box_mask=note.get('box_mask', 'none'),
        inference_refinements=_whole_number(note.get('inference_refinements'), source),
        preprocessing=preprocessing,
        pixel_mean=_channels(note, 'pixel_mean', IMAGENET_MEAN, source),
        pixel_std=_channels(note, 'pixel_std', IMAGENET_STD, source),
        stated=note,
        **_classes(state_dict, meta, note, source),
    )


def _classes(
    state_dict: Mapping[str, Tensor], meta: Mapping[str, Any] | None, note: Mapping[str, Any], source: str
) -> dict[str, Any]:
    """What the description says of classes; nothing for a model without them."""
    if not any(name in state_dict for name in _CLASS_LAYERS):
        return {}
    _require(state_dict, _CLASS_LAYERS, source)
    activation = note.get('class_activation', 'sigmoid')
    if activation not in CLASS_ACTIVATIONS:
        raise CheckpointError(
            f'{source}: its note says class_activation={activation!r}; this release knows '
            f'{", ".join(CLASS_ACTIVATIONS)}: update the package, or give a config'
        )
    count = len(state_dict[_CLASS_LAYERS[1]])
    return dict(
        num_classes=count, class_names=class_names_of_file(meta, note, count), class_activation=activation
    )


def class_names_of_file(
    meta: Mapping[str, Any] | None, note: Mapping[str, Any], count: int
) -> tuple[str, ...]:
    """Names of the classes, out of the note of a checkpoint or out of what a run writes there of its data.

    Args:
        meta: the ``meta`` entry of the checkpoint, if it has one.
        note: what it says about itself, see :func:`note_of`.
        count: classes of the model.

    Returns:
        ``count`` names, or none.
    """
    data = meta.get('dataset_meta') if isinstance(meta, Mapping) else None
    for names in (note.get('classes'), data.get('classes') if isinstance(data, Mapping) else None):
        if isinstance(names, list | tuple) and len(names) == count:
            return tuple(str(name) for name in names)
    return ()


def _channels(
    note: Mapping[str, Any], key: str, default: tuple[float, ...], source: str
) -> tuple[float, ...]:
    """Three numbers of the note, one a channel."""
    values = note.get(key, default)
    fit = isinstance(values, list | tuple) and len(values) == 3
    if not fit or not all(isinstance(value, int | float) for value in values):
        raise CheckpointError(
            f'{source}: {key} in its note is {values!r}, not three numbers; write the file again'
        )
    return tuple(float(value) for value in values)


def read_encoder_card(state_dict: Mapping[str, Tensor], source: str) -> EncoderCard:
    """Read the architecture of the image encoder from names and shapes.

    Args:
        state_dict: under UltraSam's names; only those under ``backbone.`` matter.
        source: where the weights came from, for messages.

    Raises:
        CheckpointError: there is no image encoder of ours in it.
    """
    _require(state_dict, _ENCODER, source)
    tables = _relative_tables(state_dict)
    if not tables:
        raise CheckpointError(
            f'{source}: an image encoder without relative positions: not a model of this package'
        )
    layers = max(tables) + 1
    if layers > len(state_dict):
        raise CheckpointError(
            f'{source}: names a layer {layers - 1}, but has {len(state_dict)} tensors in all'
        )
    if state_dict[_PATCH].dim() != 4 or state_dict[_POSITIONS].dim() != 4:
        raise CheckpointError(
            f'{source}: an image encoder of another kind: {_PATCH} has shape {list(state_dict[_PATCH].shape)}, '
            f'{_POSITIONS} {list(state_dict[_POSITIONS].shape)}'
        )
    width, _, patch_size, _ = state_dict[_PATCH].shape
    map_size = state_dict[_POSITIONS].shape[1]
    spans = {layer: (rows + 1) // 2 for layer, (rows, _) in tables.items()}
    windows = sorted({span for span in spans.values() if span != map_size})
    return EncoderCard(
        arch=dict(
            embed_dims=width,
            num_layers=layers,
            num_heads=width // next(iter(tables.values()))[1],
            feedforward_channels=state_dict['backbone.layers.0.ffn.layers.0.0.weight'].shape[0],
            global_attn_indexes=tuple(layer for layer, span in sorted(spans.items()) if span == map_size),
        ),
        img_size=map_size * patch_size,
        patch_size=patch_size,
        window_size=windows[0] if windows else 14,
    )


def _require(state_dict: Mapping[str, Tensor], names: tuple[str, ...], source: str) -> None:
    missing = [name for name in names if name not in state_dict]
    if not missing:
        return
    kind = kind_of(state_dict)
    if kind is not None and kind.name not in _OURS:
        looks = f'it looks like {kind.title}; {kind.advice.format(file=source)}'
    elif any(name.startswith('backbone.') for name in state_dict):
        looks = f'only a part of one: it lacks {", ".join(missing)}'
    else:
        looks = f'{len(state_dict)} tensors, the first of them {", ".join(list(state_dict)[:3])}'
    raise CheckpointError(f'{source}: no UltraSam model: {looks}')


def _whole_number(value: Any, source: str) -> int | None:
    """A number of passes out of a note, in which another writer may have put anything."""
    if value is None or (type(value) is int and value >= 0):
        return value
    raise CheckpointError(
        f'{source}: its note says inference_refinements={value!r}: a number of passes is wanted'
    )


def _relative_tables(state_dict: Mapping[str, Tensor]) -> dict[int, tuple[int, int]]:
    """Rows and width of the relative position table of each layer."""
    tables = {}
    for name, tensor in state_dict.items():
        match = re.fullmatch(r'backbone\.layers\.(\d+)\.attn\.rel_pos_h', name)
        if match and tensor.dim() == 2 and 0 not in tensor.shape:
            tables[int(match[1])] = (tensor.shape[0], tensor.shape[1])
    return tables
