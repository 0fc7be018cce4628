"""Folders of ONNX files: for general use, for X-AnyLabeling and for CVAT."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from tqdm import tqdm

from ultrasam.errors import CheckpointError
from ultrasam.export import onnx_files
from ultrasam.export.layouts import refuse_min_max, registry_name, write_segment_anything
from ultrasam.export.onnx_files import Graph, write_graph
from ultrasam.export.record import Written
from ultrasam.export.source import ExportSource
from ultrasam.optional import optional_module
from ultrasam.structures.onnx_pair import DECODER_SUFFIX, ENCODER_SUFFIX

TOOL_SIDE = 1024
"""Input side in pixels that the labelling tools take for granted."""

# the tool scales an image into a canvas of 1024 x 684 pixels; it insists on these entries
_LABELLING = {'input_size': TOOL_SIDE, 'max_width': 1024, 'max_height': 682}


def write_onnx(source: ExportSource, folder: Path, *, opset: int) -> Written:
    """Write two encoders, with preprocessing inside and without, and two decoders, of one mask and of all four.

    Raises:
        CheckpointError: the model does not fit one file.
        ConfigError: the package onnx is missing.
    """
    name = file_stem(source)
    graphs = {
        f'{name}{ENCODER_SUFFIX}': onnx_files.pixel_encoder(source),
        f'{name}.encoder_plain.onnx': onnx_files.plain_encoder(source),
        f'{name}.decoder.onnx': onnx_files.decoder(source, single_mask=True),
        f'{name}{DECODER_SUFFIX}': onnx_files.decoder(source, single_mask=False),
    }
    return _write(graphs, folder, source, opset)


def write_predictor(source: ExportSource, folder: Path, *, opset: int) -> Written:
    """Write the pair that ``ultrasam predict`` runs without PyTorch: encoder of pixels, decoder of all masks.

    Raises:
        CheckpointError: the model does not fit one file.
        ConfigError: the package onnx is missing.
    """
    name = file_stem(source)
    graphs = {
        f'{name}{ENCODER_SUFFIX}': onnx_files.pixel_encoder(source),
        f'{name}{DECODER_SUFFIX}': onnx_files.decoder(source, single_mask=False),
    }
    return _write(graphs, folder, source, opset)


def write_x_anylabeling(source: ExportSource, folder: Path, *, opset: int) -> Written:
    """Write the encoder and the decoder that X-AnyLabeling and AnyLabeling load, and their YAML file.

    Raises:
        CheckpointError: the model takes images of another size, or does not fit one file.
        ConfigError: the package onnx is missing.
    """
    _refuse_other_sides(source, 'X-AnyLabeling scales every image into 1024 x 684 pixels')
    name = file_stem(source)
    encoder, decoder = f'{name}.encoder.onnx', f'{name}.decoder.onnx'
    graphs = {
        encoder: onnx_files.pixel_encoder(source),
        decoder: onnx_files.decoder(source, single_mask=True, drop_padding_beside_box=True),
    }
    written = _write(graphs, folder, source, opset)
    entries = {
        'type': 'segment_anything',
        'name': name,
        'provider': 'UltraSam',
        'display_name': f'UltraSam ({name})',
        'encoder_model_path': encoder,
        'decoder_model_path': decoder,
        **_LABELLING,
    }
    (folder / f'{name}.yaml').write_text(
        optional_module('yaml', need='this export', extra='export').safe_dump(entries, sort_keys=False),
        encoding='utf-8',
    )
    written.notes.append(
        f'Load {name}.yaml with "Load Custom Model"; paths in it are relative to its folder.'
    )
    return written


def write_cvat(source: ExportSource, folder: Path, *, opset: int) -> Written:
    """Write the two halves that CVAT needs: weights for its server, a decoder for the browser.

    Raises:
        CheckpointError: segment-anything's code cannot encode with this model, or it takes images of another size.
        ConfigError: the package onnx is missing.
    """
    _refuse_other_sides(source, 'CVAT reads embeddings of 1 x 256 x 64 x 64')
    name = registry_name(source)
    if name is None:
        raise CheckpointError(
            f'{source.path}: the server of CVAT builds its encoder with sam_model_registry, which has no entry of '
            'this size: only ViT-B, L and H can be used'
        )
    refuse_min_max(source, 'the server of CVAT')
    weights = f'{file_stem(source)}.sam.pth'
    on_server = write_segment_anything(source, folder / weights)
    written = _write({'decoder.onnx': onnx_files.cropping_decoder(source)}, folder, source, opset)
    written.decoder_skip = {weights: on_server.decoder_skip, 'decoder.onnx': written.decoder_skip}
    written.settings['registry_name'] = name
    written.notes += [
        f'In the server function, name {weights} and {name} in place of its own weights; in the user interface, put '
        'decoder.onnx in place of its decoder.onnx. Embedding and decoder must be of the same export.',
        *on_server.notes,
    ]
    return written


def file_stem(source: ExportSource) -> str:
    """What the files of an export are called, from the name of the checkpoint: letters, digits, and ``._-`` alone."""
    return re.sub(r'[^A-Za-z0-9._-]+', '_', source.path.stem) or 'ultrasam'


def _write(graphs: Mapping[str, Graph], folder: Path, source: ExportSource, opset: int) -> Written:
    onnx_files.check_opset(opset)
    optional_module('onnx', need='this export', extra='export')
    written = Written(
        decoder_skip={'skip': source.card.mlp_skip, 'folded': False},
        settings={'opset': opset},
    )
    for name, graph in tqdm(graphs.items(), desc='tracing', unit='file', disable=None):
        written.interface[name] = write_graph(graph, folder / name, source, opset=opset)
    return written


def _refuse_other_sides(source: ExportSource, why: str) -> None:
    if source.card.img_size != TOOL_SIDE:
        raise CheckpointError(
            f'{source.path}: this model takes images of {source.card.img_size} px, but {why}: '
            f'only models of {TOOL_SIDE} px can be used there'
        )
