"""The trainings of a trial on folds and with seeds, and what a strategy hears of them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tuning import Grid
from tuning.samplers import RandomSampler
from tuning.samplers.protocol import FINISHED
from tuning.samplers.repeated import Copies, RepeatedSampler, mean_of
from tuning.trial import Outcome, Trial

GRID = Grid({"a": [1, 2, 3], "epochs": [2]})
copies = st.builds(Copies, st.integers(0, 9), st.integers(0, 6), st.integers(1, 4))


@given(copies, st.integers(0, 10**6))
def test_a_training_is_known_by_its_trial_seed_and_fold(copies, number):
    own = copies.of(Trial(number, {"a": 1}, copies.seed))
    assert [each.number for each in own] == list(
        range(number * copies.size, (number + 1) * copies.size)
    )
    assert len({(each.seed, each.fold) for each in own}) == copies.size
    for each in own:
        assert copies.number(number, each.seed, each.fold) == each.number
        assert copies.trial(each.number) == number


def outcome(trial, value, status="ok", epochs=2):
    curve = [{"loss": value + i} for i in range(epochs)]
    metrics = {"val_loss": value} if status in ("ok", "stopped") else {}
    return Outcome(trial, status, "fit", "jax", metrics, curve, value, [value] * epochs)


def test_a_trial_is_the_mean_and_has_the_worst_status():
    trial = Trial(0, {"a": 1}, 0)
    found = mean_of(trial, [outcome(trial, 1.0), outcome(trial, 3.0)])
    assert (found.status, found.metrics, found.seconds) == ("ok", {"val_loss": 2.0}, 4.0)
    assert found.curve == [{"loss": 2.0}, {"loss": 3.0}]
    assert found.epoch_seconds == [4.0, 4.0]
    for status in ("stopped", "diverged", "timeout", "failed"):
        parts = [outcome(trial, 1.0), outcome(trial, 3.0, status, epochs=1)]
        found = mean_of(trial, parts)
        assert found.status == status
        assert found.metrics == ({"val_loss": 2.0} if status == "stopped" else {})
        assert len(found.curve) == 1


class Listening(RandomSampler):
    """Random search that learns, and notes what it hears."""

    learns = True

    def __init__(self, *given):
        super().__init__(*given)
        self.heard = []

    def tell(self, outcomes):
        self.heard += outcomes


@pytest.mark.parametrize("room", [1, 4, 100])
def test_a_strategy_hears_one_mean_a_trial(room):
    own = Listening(GRID, 3, 0)
    sampler = RepeatedSampler(own, Copies(0, 2, 2))
    assert sampler.n_trials == 12
    trials = []
    while (asked := sampler.ask(room)) is not FINISHED:
        assert len(asked) <= max(room, 4)
        trials += asked
    assert [trial.number for trial in trials] == list(range(12))
    sampler.tell([outcome(trial, float(trial.number)) for trial in trials[:7]])
    assert [(each.trial.number, each.metrics["val_loss"]) for each in own.heard] == [(0, 1.5)]
    sampler.tell([outcome(trial, float(trial.number)) for trial in trials[7:]])
    assert [each.metrics["val_loss"] for each in own.heard] == [1.5, 5.5, 9.5]
