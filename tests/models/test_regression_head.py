from __future__ import annotations

import pytest
import torch
from mmengine.registry import init_default_scope
from mmpretrain.structures import DataSample

from ultrasam.errors import ConfigError, InputError
from ultrasam.openmmlab.models.regression_head import MeasurementHead

WIDTH = 4


@pytest.fixture(autouse=True)
def scope():
    init_default_scope('mmpretrain')
    yield
    init_default_scope('mmdet')


def head(**options) -> MeasurementHead:
    options = {'mean': [100.0], 'std': [20.0], **options}
    made = MeasurementHead(in_channels=WIDTH, **options)
    made.init_weights()
    return made


def sample(*values: float, scale: tuple[float, float] | None = None) -> DataSample:
    made = DataSample().set_gt_score(torch.tensor(values))
    if scale is not None:
        made.set_metainfo({'scale_factor': scale, 'img_path': 'a.png'})
    return made


def test_begins_at_the_mean_and_learns_in_units_of_the_spread():
    model = head()
    feats = (torch.zeros(2, WIDTH),)
    assert [one.pred_score.tolist() for one in model.predict(feats)] == [[100.0], [100.0]]
    # smooth L1 of 0 and 2 spreads: 0 and 2 - 0.5
    loss = model.loss(feats, [sample(100.0), sample(140.0)])['loss']
    assert loss.item() == pytest.approx((0 + 1.5) / 2)


def test_what_was_learned_is_predicted():
    torch.manual_seed(0)
    model = head(mean=[100.0, -5.0], std=[20.0, 0.5])
    feats = (torch.randn(32, WIDTH),)
    truth = torch.stack([100 + 20 * feats[0][:, 0], -5 + 0.5 * feats[0][:, 1] * 0.3], 1)
    samples = [sample(*row.tolist()) for row in truth]
    solver = torch.optim.Adam(model.parameters(), lr=0.05)
    for _ in range(300):
        solver.zero_grad()
        model.loss(feats, samples)['loss'].backward()
        solver.step()
    predicted = torch.stack([one.pred_score for one in model.predict(feats, samples)])
    assert torch.allclose(predicted, truth, atol=0.2)


def test_lengths_are_learned_in_pixels_of_the_input_and_given_in_pixels_of_the_file():
    plain, lengths = head(), head(is_length=True)
    lengths.load_state_dict(plain.state_dict())
    feats = (torch.randn(2, WIDTH),)
    scaled = [sample(50.0, scale=(2.0, 2.0)), sample(200.0, scale=(0.5, 0.5))]
    same = [sample(100.0), sample(100.0)]
    assert lengths.loss(feats, scaled)['loss'] == plain.loss(feats, same)['loss']
    in_input = [one.pred_score.item() for one in plain.predict(feats, same)]
    in_file = [one.pred_score.item() for one in lengths.predict(feats, scaled)]
    assert in_file == pytest.approx([in_input[0] / 2, in_input[1] * 2])


def test_mean_and_spread_come_with_the_weights():
    trained, other = head(), head(mean=[1.0], std=[1.0])
    other.load_state_dict(trained.state_dict())
    assert other.predict((torch.zeros(1, WIDTH),))[0].pred_score.tolist() == [100.0]


@pytest.mark.parametrize(
    'options', [{'mean': [], 'std': []}, {'mean': [1.0, 2.0]}, {'std': [0.0]}, {'std': [-1.0]}]
)
def test_numbers_that_do_not_fit(options: dict):
    with pytest.raises(ConfigError, match=r'of model\.head'):
        head(**options)


def test_data_that_do_not_fit():
    feats = (torch.zeros(1, WIDTH),)
    with pytest.raises(ConfigError, match='have 2 values an image'):
        head().loss(feats, [sample(1.0, 2.0)])
    with pytest.raises(InputError, match=r'a\.png: scaled by 2\.0000 across and 1\.0000 down'):
        head(is_length=True).loss(feats, [sample(1.0, scale=(2.0, 1.0))])
    with pytest.raises(ConfigError, match='need data_samples'):
        head(is_length=True).predict(feats)
