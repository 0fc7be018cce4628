"""With the weights of segment-anything and the single skip, the model is segment-anything."""

from __future__ import annotations

import pytest
import torch
from mmdet.registry import MODELS

from tests.golden import model_config, needs_golden, read_json
from ultrasam.checkpoints.sources import from_source
from ultrasam.errors import CheckpointError
from ultrasam.models.mask_decoder import MULTI_MASK, SINGLE_MASK
from ultrasam.structures import Prompt, PromptBatch

pytest.importorskip('segment_anything', reason='segment-anything comes with the test extra')

SIZE = {True: 256, False: 1024}
POINTS = torch.tensor([[100.0, 80.0], [61.5, 130.25], [180.0, 40.0]])
BOX = torch.tensor([40.0, 30.0, 170.0, 150.0])

# name: points, their labels, box, mask prompt
PROMPTS = {
    'point': (POINTS[:1], [1], None, False),
    'several points': (POINTS, [1, 0, 1], None, False),
    'box': (POINTS[:0], [], BOX, False),
    'box and points': (POINTS, [1, 0, 0], BOX, False),
    'point and mask': (POINTS[:1], [1], None, True),
    'box and mask': (POINTS[:0], [], BOX, True),
}


def build_segment_anything(small: bool) -> torch.nn.Module:
    """Segment Anything with random weights that exercise every parameter."""
    from functools import partial

    from segment_anything.build_sam import sam_model_registry
    from segment_anything.modeling import ImageEncoderViT, PromptEncoder

    torch.manual_seed(0)
    sam = sam_model_registry['vit_b']()
    if small:
        sam.image_encoder = ImageEncoderViT(
            img_size=256, patch_size=16, embed_dim=96, depth=4, num_heads=4, mlp_ratio=4, out_chans=256,
            norm_layer=partial(torch.nn.LayerNorm, eps=1e-6), use_rel_pos=True, window_size=14,
            global_attn_indexes=[1, 3],
        )  # fmt: skip
        sam.prompt_encoder = PromptEncoder(256, (16, 16), (256, 256), 16)
    for name, parameter in sam.named_parameters():
        if 'rel_pos' in name or 'pos_embed' in name:
            torch.nn.init.normal_(parameter, std=0.05)
        elif parameter.ndim == 1:
            parameter.data.add_(0.1 * torch.randn_like(parameter))
    return sam.eval()


@pytest.fixture(
    scope='module', params=[True, pytest.param(False, marks=pytest.mark.slow)], ids=['small', 'vit_b']
)
@torch.no_grad()
def pair(request):
    """Both models with the same weights, and the embedding of one image by each."""
    small = request.param
    sam = build_segment_anything(small)
    config = model_config(small=small, **{'decoder.mlp_skip': 'single'})
    ours = MODELS.build(config).eval()
    ours.load_state_dict(from_source(sam.state_dict(), 'segment-anything'), strict=True)
    image = torch.randn(1, 3, SIZE[small], SIZE[small])
    return sam, ours, sam.image_encoder(image), ours.extract_feat(image), SIZE[small]


def test_image_embedding(pair):
    _, _, theirs, ours, _ = pair
    assert torch.allclose(theirs, ours, atol=1e-4)


@torch.no_grad()
@pytest.mark.parametrize('multimask', [False, True])
@pytest.mark.parametrize('kind', PROMPTS)
def test_masks_and_iou(pair, kind, multimask):
    sam, model, embedding, _, size = pair
    points, labels, box, with_mask = PROMPTS[kind]
    mask = (
        torch.randn(1, 1, size // 4, size // 4, generator=torch.Generator().manual_seed(1))
        if with_mask
        else None
    )
    sparse, dense = sam.prompt_encoder(
        points=(points[None], torch.tensor([labels])) if len(points) else None,
        boxes=None if box is None else box[None],
        masks=mask,
    )
    theirs, their_iou = sam.mask_decoder(
        image_embeddings=embedding,
        image_pe=sam.prompt_encoder.get_dense_pe(),
        sparse_prompt_embeddings=sparse,
        dense_prompt_embeddings=dense,
        multimask_output=multimask,
    )
    # segment-anything shifts prompts to pixel centres itself, here the pipeline does
    prompt = Prompt(
        points=points.numpy() + 0.5, point_labels=labels, box=None if box is None else box.numpy() + 0.5
    )
    batch = PromptBatch.from_prompts([[prompt]])
    ours, our_iou, _ = model.decode(embedding, batch, mask)
    masks = MULTI_MASK if multimask else SINGLE_MASK
    ours, our_iou = ours[:, masks], our_iou[:, masks]
    assert ours.shape == theirs.shape
    assert theirs.std() > 1e-3
    assert torch.allclose(ours, theirs, atol=1e-4)
    assert torch.allclose(our_iou, their_iou, atol=1e-4)


def test_doubled_skip_is_another_function(pair):
    _, model, embedding, _, _ = pair
    batch = PromptBatch.from_prompts([[Prompt(box=BOX.numpy())]])
    with torch.no_grad():
        single = model.decode(embedding, batch).logits[:, SINGLE_MASK]
        for layer in model.decoder.layers:
            layer.skip_scale = 2
        doubled = model.decode(embedding, batch).logits[:, SINGLE_MASK]
        for layer in model.decoder.layers:
            layer.skip_scale = 1
    assert (single - doubled).abs().max() > 0.01 * single.abs().max()


@needs_golden
def test_every_tensor_lands_where_the_published_conversion_puts_it():
    landings = read_json('sam_to_ultrasam.json')
    source = build_segment_anything(small=False).state_dict()
    converted = from_source(source, 'segment-anything')
    assert {name: list(t.shape) for name, t in converted.items()} == read_json('contract.json')[
        'vit_b_refine'
    ]
    assert set(landings) == set(source)
    for name, landing in landings.items():
        target = converted[landing['to']]
        assert torch.equal(
            target[slice(*landing.get('rows', (None,)))].reshape(source[name].shape), source[name]
        ), name


def test_foreign_names_are_refused():
    with pytest.raises(CheckpointError, match='unknown names'):
        from_source({'conv1.weight': torch.zeros(1)}, 'segment-anything')
