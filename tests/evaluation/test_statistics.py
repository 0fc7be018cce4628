"""Intervals on known distributions, calibration of perfect and shifted predictions, groups, comparison."""

from __future__ import annotations

import numpy as np
import pytest

from tests.evaluation.shapes import chosen_results
from ultrasam.errors import ConfigError, InputError
from ultrasam.evaluation.bootstrap import SubjectBootstrap
from ultrasam.evaluation.calibration import reliability, risk_coverage
from ultrasam.evaluation.comparison import compare
from ultrasam.evaluation.results import Results
from ultrasam.evaluation.summary import number_of_clicks, size_quartiles, summarise


def test_the_interval_of_a_normal_mean():
    values = np.random.default_rng(0).normal(0.7, 0.1, 400)
    found = SubjectBootstrap([str(i) for i in range(400)], samples=4000, seed=1).interval(values)
    half = 1.96 * values.std() / 20
    assert found.mean == pytest.approx(values.mean())
    assert found.low == pytest.approx(values.mean() - half, abs=0.1 * half)
    assert found.high == pytest.approx(values.mean() + half, abs=0.1 * half)
    assert (found.count, found.subjects) == (400, 400)


def test_more_frames_of_the_same_patients_do_not_narrow_the_interval():
    rng = np.random.default_rng(0)
    of_patient = rng.normal(0.7, 0.1, 50)
    values = np.repeat(of_patient, 20)
    by_patient = SubjectBootstrap([str(i // 20) for i in range(1000)], seed=0).interval(values)
    alone = SubjectBootstrap([str(i) for i in range(50)], seed=0).interval(of_patient)
    by_frame = SubjectBootstrap([str(i) for i in range(1000)], seed=0).interval(values)
    assert (by_patient.low, by_patient.high) == pytest.approx((alone.low, alone.high))
    assert by_frame.high - by_frame.low < 0.4 * (by_patient.high - by_patient.low)


def test_intervals_hold_the_truth_as_often_as_they_say():
    rng, hits = np.random.default_rng(3), 0
    for trial in range(150):
        patients = rng.normal(0.5, 0.1, 40)
        values = np.repeat(patients, 5) + rng.normal(0, 0.02, 200)
        found = SubjectBootstrap([str(i // 5) for i in range(200)], samples=300, seed=trial).interval(values)
        hits += found.low <= 0.5 <= found.high
    assert 0.87 <= hits / 150 <= 0.99


def test_intervals_of_one_subject_of_none_and_of_a_group():
    bootstrap = SubjectBootstrap(['a', 'a', 'b'], samples=100, seed=0)
    found = bootstrap.interval([1.0, 0.0, np.nan])
    assert (found.mean, found.low, found.high, found.subjects) == (0.5, None, None, 1)
    assert bootstrap.interval([np.nan] * 3) is None
    chosen = bootstrap.interval([1.0, 0.0, 0.25], np.array([False, True, True]))
    assert (chosen.mean, chosen.count, chosen.low, chosen.high) == (0.125, 2, 0, 0.25)
    assert bootstrap.interval([1, 0, 0.5]) == SubjectBootstrap(['a', 'a', 'b'], samples=100, seed=0).interval(
        [1, 0, 0.5]
    )
    with pytest.raises(ConfigError, match='at least 10'):
        SubjectBootstrap([], samples=100)


def test_a_perfectly_calibrated_model():
    predicted = np.random.default_rng(0).uniform(0, 1, 20000)
    true = np.random.default_rng(1).binomial(20, predicted) / 20
    found = reliability(predicted, true)
    assert found.ece < 0.005
    assert abs(found.bias) < 0.003
    assert found.counts.sum() == 20000
    np.testing.assert_allclose(found.predicted, found.true, atol=0.01)


def test_a_model_that_is_too_sure():
    true = np.random.default_rng(0).uniform(0, 0.75, 5000)
    found = reliability(true + 0.2, true)
    assert found.ece == pytest.approx(0.2)
    assert found.bias == pytest.approx(0.2)
    assert reliability(np.array([1.4, -0.3]), np.array([1.0, 0.0])).ece == 0


def test_bins_without_masks_do_not_count():
    found = reliability(np.array([0.05, 0.95]), np.array([0.15, 0.95]))
    assert found.ece == pytest.approx(0.05)
    assert np.isnan(found.true[5])


def test_risk_and_coverage():
    rng = np.random.default_rng(0)
    true = rng.uniform(0, 1, 1000)
    ideal, blind = risk_coverage(true, true), risk_coverage(np.full(1000, 0.5), true)
    assert ideal.aurc == pytest.approx(ideal.ideal)
    assert ideal.aurc == pytest.approx(0.25, abs=0.02)  # of a uniform IoU: the mean of coverage / 2
    assert blind.aurc == pytest.approx(blind.random)
    assert risk_coverage(-true, true).aurc == pytest.approx(0.75, abs=0.02)
    assert ideal.risk[-1] == pytest.approx((1 - true).mean())
    assert len(ideal.coverage) == 101
    assert ideal.coverage[-1] == 1
    with pytest.raises(ConfigError, match='one or more'):
        risk_coverage(np.zeros(0), np.zeros(0))


def test_number_of_clicks():
    curve = np.array([[0.9, 0.2, 0.95], [0.1, 0.2, 0.3], [0.1, 0.85, 0.8]])
    assert number_of_clicks(curve, 0.85).tolist() == [1, 3, 2]


def test_quartiles_of_size():
    quarter, names = size_quartiles(np.arange(1, 101) / 1000)
    assert np.bincount(quarter).tolist() == [25, 25, 25, 25]
    assert names[0].startswith('Q1, 0.10%')
    assert set(size_quartiles([0.2] * 5)[0]) == {0}


def test_summary():
    summary = summarise(chosen_results(), samples=200)
    box = summary['protocols']['box']
    assert (box['dice']['count'], box['iou']['count']) == (47, 48)
    assert box['dice']['low'] < box['dice']['mean'] < box['dice']['high']
    assert summary['clicks']['noc_85']['mean'] == 2
    assert summary['clicks']['noc_90']['mean'] == 3
    assert summary['groups']['box']['category']['cyst']['iou']['count'] == 24
    assert summary['groups']['box']['category']['cyst']['iou']['subjects'] == 12
    assert sum(group['iou']['count'] for group in summary['groups']['box']['size'].values()) == 48
    assert summary['calibration']['box']['ece'] < 1e-9
    assert 'ellipse' not in summary['calibration']
    assert summary['upsampling']['box']['other_minus_own']['iou']['mean'] == 0
    assert summary['united']['box']['dice_with_empty_frames'] == pytest.approx((24 * 0.75 + 1) / 25)
    assert summary['empty_frames']['centre']['rate'] == 1
    with pytest.raises(ConfigError, match='without objects'):
        summarise(Results())


def test_a_paired_comparison_finds_what_intervals_hide():
    better, worse = chosen_results(gain=0.01), chosen_results()
    found = compare(better, worse, samples=500)
    interval = found.differences['centre']['dice']
    assert interval.mean == pytest.approx(0.01, abs=1e-9)
    assert interval.low > 0
    ours, theirs = (summarise(one, samples=200)['protocols']['centre']['dice'] for one in (better, worse))
    assert ours['low'] < theirs['high']  # each alone could be the better one
    assert found.differences['clicks']['noc_85'].mean == 0
    assert found.remarks == []
    assert compare(worse, worse).differences['centre']['dice'].low == 0


def test_a_comparison_names_what_differs():
    here, there = chosen_results(), chosen_results(subjects=10)
    there.about['annotations'] = {'path': 'other.json', 'sha256': 'c' * 64}
    there.about['settings'] = {**there.about['settings'], 'seed': 5}
    found = compare(here, there, samples=100)
    assert (found.pairs, found.only_here, found.only_there) == (40, 8, 0)
    assert found.remarks == ['the annotation files differ', 'seed differs: 0 here, 5 there']
    for one in there.frames:
        assert one.image
    there.objects = [type(one)(**{**vars(one), 'image': 'x' + one.image}) for one in there.objects]
    with pytest.raises(InputError, match='in common'):
        compare(here, there)
