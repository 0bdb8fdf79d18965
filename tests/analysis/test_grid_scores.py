"""What a whole grid tells exactly: variance, noise, shorter trainings, sweeps stopped early."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.made import AXES, by_rate, grid_scores_of
from tuning import SweepSampler, TuningError
from tuning.analysis.fidelity import fidelities
from tuning.analysis.partial_sweep import log_spaced, stopped_early
from tuning.analysis.seed_noise import seed_noise
from tuning.analysis.variance import REST, functional_anova


def shares_of(values):
    table = functional_anova(values, [f"a{i}" for i in range(values.ndim)])
    return dict(zip(table["axes"], table["share"], strict=True))


@given(st.integers(0, 2**32 - 1), st.lists(st.integers(1, 4), min_size=1, max_size=4))
def test_the_shares_of_variance_sum_to_one(seed, shape):
    values = np.random.default_rng(seed).normal(size=shape)
    if values.size > 1:
        shares = shares_of(values)
        assert sum(shares.values()) == pytest.approx(1.0)
        assert min(shares.values()) > -1e-9
        if len(shape) <= 2:
            assert shares[REST] == pytest.approx(0.0, abs=1e-9)


def test_effects_are_where_they_were_put():
    a, b, c = np.meshgrid([0, 1], [-1, 0, 1], [-1, 1], indexing="ij")
    shares = shares_of(3.0 * a + b * c)
    assert shares["a0"] == pytest.approx(2.25 / (2.25 + 2 / 3))
    assert shares["a1 × a2"] == pytest.approx((2 / 3) / (2.25 + 2 / 3))
    three = shares_of((2.0 * a - 1) * b * c)
    assert three[REST] == pytest.approx(1.0)
    assert np.isnan(shares_of(np.ones((2, 3)))["a0"])


def test_each_configuration_is_there_once_in_grid_order(make_run):
    scores = grid_scores_of(make_run(trials=[9, 3, 5]))
    assert scores.trials.index.tolist() == [3, 5, 9]
    assert not scores.is_whole
    assert scores.ranks.tolist() == [3, 1, 2]
    assert grid_scores_of(make_run(name="all")).is_whole


def test_without_any_result_there_is_none(make_run):
    with pytest.raises(TuningError, match="no trial of run run has a result"):
        grid_scores_of(make_run(score=lambda *_: None, trials=range(3)))


@pytest.mark.parametrize("mode", ["max", "min"])
def test_a_sweep_stopped_early_is_what_its_sampler_gives(make_run, mode):
    scores = grid_scores_of(make_run(mode=mode))
    best = max if mode == "max" else min
    early = stopped_early(scores)
    assert early["trials"].tolist() == list(range(1, 25))
    for row in early.itertuples():
        assert row.grid == best(scores.values[: row.trials])
        spaced = SweepSampler(scores.grid, trials=row.trials).ask(24)
        assert row.spaced == best(scores.values[[trial.index for trial in spaced]])


@settings(max_examples=30)
@given(st.integers(1, 10**6))
def test_points_of_a_logarithmic_axis_are_distinct_and_reach_both_ends(size):
    points = log_spaced(size)
    assert (points[0], points[-1]) == (1, size)
    assert (np.diff(points) > 0).all()


def test_what_is_not_finite_is_no_result(make_run):
    scores = grid_scores_of(
        make_run(lambda c, t: float("inf") if t == 3 else by_rate(c, t), mode="max")
    )
    assert np.isnan(scores.values[3])
    assert (scores.without_result, scores.is_whole, scores.best) == (1, True, pytest.approx(0.9523))


def test_shorter_trainings_are_judged_by_the_longest(make_run):
    """After one epoch nothing counts but the rate, so that four are equally the best."""

    def score(configuration, trial):
        late = configuration["epochs"] == 2
        return by_rate(configuration, trial) if late else by_rate({**configuration, "width": 8}, 0)

    scores = grid_scores_of(make_run(score))
    (row,) = fidelities(scores).itertuples()
    assert (row.epochs, row.trajectories) == (1, 12)
    assert 0.8 < row.correlation < 0.999
    assert row.top_share == 0.25  # of the four, ordered at random
    assert row.regret == pytest.approx(scores.values[23] - scores.values[[5, 11, 17, 23]].mean())


def test_turned_about_shorter_trainings_mislead(make_run):
    def score(configuration, trial):
        value = by_rate(configuration, trial - trial % 2)
        return value if configuration["epochs"] == 2 else 1 - value

    (row,) = fidelities(grid_scores_of(make_run(score))).itertuples()
    assert row.correlation == pytest.approx(-1.0)
    assert row.top_share == 0.0
    assert row.regret == pytest.approx(0.0500 + 0.0022)


def test_without_shorter_trainings_there_is_nothing_to_say(make_run):
    alike = {"width": [8, 16], "rate": [0.1, 0.01, 0.001]}
    assert fidelities(grid_scores_of(make_run(axes=alike))).empty
    assert fidelities(grid_scores_of(make_run(name="odd", trials=range(0, 24, 2)))).empty


def seeds(make_run, deviation, n=3, spread=1.0, **given):
    generator = np.random.default_rng(0)
    axes = {**AXES, "rate": [0.1, 0.01, 0.001], "more": list(range(20))}

    def score(configuration, trial):
        true = 0.6 + spread * 0.1 * np.sin(trial)
        return float(true + generator.normal() * deviation)

    return [
        grid_scores_of(make_run(score, axes=axes, name=f"seed-{seed}", seed=seed, **given))
        for seed in range(n)
    ]


def test_noise_is_found_where_it_was_put(make_run):
    noise = seed_noise(seeds(make_run, deviation=0.02))
    assert noise.trials == 480
    assert noise.within == pytest.approx(0.02**2, rel=0.15)
    assert noise.between == pytest.approx(0.1**2 / 2, rel=0.1)  # of a sine
    assert noise.share == pytest.approx(0.005 / 0.0054, rel=0.05)
    assert noise.top_deviation == pytest.approx(0.02, rel=0.3)
    assert noise.resolution == pytest.approx(1.96 * np.sqrt(2) * noise.top_deviation)
    assert 0.8 < noise.correlation < 1.0
    assert noise.chosen > noise.chosen_again  # the winner's curse


def test_of_noise_alone_nothing_is_the_configurations(make_run):
    noise = seed_noise(seeds(make_run, deviation=0.02, spread=0.0))
    assert noise.share < 0.1
    assert abs(noise.correlation) < 0.15


def test_two_seeds_are_enough_and_one_twice_is_not(make_run):
    one, other = seeds(make_run, deviation=0.02, n=2)
    noise = seed_noise([one, other])
    assert noise.within == pytest.approx(0.02**2, rel=0.2)
    assert np.isnan(noise.top_correlation)
    with pytest.raises(TuningError, match=r"runs .* both have seed 0"):
        seed_noise([one, one])


def test_seeds_of_another_problem_are_refused(make_run):
    runs = [
        grid_scores_of(make_run(name="one")),
        grid_scores_of(make_run(name="other", seed=1, metric="val_loss")),
    ]
    with pytest.raises(
        TuningError, match="run other cannot tell the noise of run one: its metric is val_loss"
    ):
        seed_noise(runs)
