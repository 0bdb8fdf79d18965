"""Trainings that are paused, go on, and are stopped: the same as without a pause."""

from __future__ import annotations

import dataclasses
import pickle
import subprocess
import sys
import time
from collections.abc import Hashable, Sequence

import keras
import pytest

from tests.conftest import DIVERGING, PROBLEMS, REPOSITORY, changed, packing_of
from tuning.engines.batches import row_order
from tuning.engines.keeping import Keep
from tuning.execution.worker import Job, look, train_prepared
from tuning.problem.file import load_problem
from tuning.problem.problem import load_data
from tuning.space.grid import Grid
from tuning.trial import Outcome, Paused, Trial

pytestmark = pytest.mark.usefixtures("worker")

ZOO = REPOSITORY / "tests" / "zoo"
KINDS = (  # optimizers, noise, averages, schedules, states of layers and of metrics, own steps
    "dense_dropout_l2",
    "batchnorm_options",
    "ema_overwrite",
    "schedule_cosine_warmup",
)
MORE_KINDS = (
    "adam_options",
    "adafactor_factored",
    "adamax_nadam",
    "augment_flip_rotate",
    "ema_momentum",
    "ftrl_strengths",
    "gradient_accumulation",
    "lamb_betas",
    "lion_decay",
    "loss_scale_float16",
    "lstm_dropouts",
    "metrics_many",
    "muon_kernels",
    "optimizer_own_ratio",
    "own_train_step",
    "rmsprop_options",
    "schedule_free",
    "sgd_momentum",
    "spectral_norm",
    "stateful_lstm",
    "zero_columns_dense",
)
LOW = {"loss_scale_float16": 3e-3}


@dataclasses.dataclass
class Trained:
    """What came of some trials: outcomes by key, the time of each epoch trained, and states."""

    outcomes: dict[Hashable, Outcome]
    trained: list[float]
    paused: dict[Hashable, Paused]

    @property
    def epochs(self) -> int:
        return len(self.trained)


def trained(problem, data, trials, job, **options):
    """Train some trials; the states go through a pickle."""
    reports = list(train_prepared(problem, data, trials, job, **options))
    assert not any(report.paused for report in reports[:-1])
    outcomes = {each.trial.key: each for report in reports for each in report.outcomes}
    return Trained(
        {trial.key: outcomes.pop(trial.key) for trial in trials},
        [seconds for report in reports for seconds in report.epoch_seconds],
        pickle.loads(pickle.dumps(reports[-1].paused)),
    )


def stretched(problem, epochs, seeds=(0,), most=3):
    """Trials of the grid's first configurations, meant for so many epochs."""
    chosen = {}
    for index in range(problem.grid.size):
        configuration = {**problem.grid[index], "epochs": epochs}
        chosen.setdefault(str(configuration), configuration)
    several = list(chosen.values())[:most]
    pairs = [(each, seed) for seed in seeds for each in several]
    return [Trial(i, each, seed, epochs) for i, (each, seed) in enumerate(pairs)]


def of_zoo(kind):
    """A problem of the zoo with an axis of epochs, its data, and how it packs."""
    problem = load_problem(str(ZOO / f"{kind}.py"))
    axes = {**problem.grid.axes, "epochs": [2, 6]}
    problem = dataclasses.replace(problem, space=Grid(axes))
    data = load_data(problem)
    on_jax = keras.backend.backend() == "jax"
    found = look(problem, data, Job(0, "jax"), on_jax).packing
    return problem, data, Job(0, "jax", packing=found)


def cut(trials: Sequence[Trial], epochs: int, since: int = 0) -> list[Trial]:
    return [dataclasses.replace(trial, epochs=epochs, since=since) for trial in trials]


def same(one: Outcome, other: Outcome, rel: float = 2e-4) -> bool:
    assert (one.status, one.engine, len(one.curve)) == (
        other.status,
        other.engine,
        len(other.curve),
    )
    assert set(one.metrics) == set(other.metrics)
    for name, value in one.metrics.items():
        assert other.metrics[name] == pytest.approx(value, rel=rel, abs=1e-6), name
    for logs, others in zip(one.curve, other.curve, strict=True):
        assert logs == pytest.approx(others, rel=rel, abs=1e-6)
    return True


@pytest.mark.parametrize(
    "kind", [*KINDS, *(pytest.param(kind, marks=pytest.mark.slow) for kind in MORE_KINDS)]
)
@pytest.mark.filterwarnings("ignore")
def test_what_goes_on_ends_as_if_it_had_not_been_paused(kind):
    problem, data, job = of_zoo(kind)
    trials = stretched(problem, 6)
    whole = trained(problem, data, trials, job)
    assert {(each.status, each.engine) for each in whole.outcomes.values()} == {
        ("ok", "vectorized")
    }
    states = {}
    for since, epochs in ((0, 1), (1, 3), (3, 6)):
        asked = cut(trials, epochs, since)
        part = trained(problem, data, asked, job, going_on=states, pauses=True)
        states = part.paused
        assert part.epochs * 6 == whole.epochs * (epochs - since)
        assert {len(paused.curve) for paused in states.values()} == {epochs}
        for trial in asked if epochs < 6 else ():
            outcome = part.outcomes[trial.key]
            assert (outcome.status, len(outcome.epoch_seconds)) == ("stopped", epochs)
            assert not any(name.startswith("test_") for name in outcome.metrics)
            assert outcome.metrics["val_loss"] == outcome.curve[-1]["val_loss"]
    for trial in trials:
        assert same(whole.outcomes[trial.key], part.outcomes[trial.key], LOW.get(kind, 2e-4))


@pytest.fixture(scope="module")
def dense():
    problem, packing = packing_of(PROBLEMS / "dense.py")
    return problem, load_data(problem), Job(0, "jax", packing=packing)


def test_members_of_one_program_go_on_from_different_epochs_and_seeds(dense):
    problem, data, job = dense
    trials = stretched(problem, 4, seeds=(0, 3))
    whole = trained(problem, data, trials, job)
    first = trained(problem, data, cut(trials[:2], 1), job, pauses=True)
    second = trained(problem, data, cut(trials[2:4], 3), job, pauses=True)
    states = first.paused | second.paused
    rest = trained(problem, data, cut(trials, 4, since=1), job, going_on=states)
    assert rest.epochs == 2 * 3 + 2 * 1 + 2 * 4
    for trial in trials:
        assert same(whole.outcomes[trial.key], rest.outcomes[trial.key])
        assert rest.outcomes[trial.key].seconds > 0


def test_a_state_of_something_else_is_not_gone_on_from(dense):
    problem, data, job = dense
    trials = stretched(problem, 3)
    first = trained(problem, data, cut(trials, 1), job, pauses=True)
    whole = trained(problem, data, trials, job)
    keys = list(first.paused)
    foreign = dict(zip(keys, [first.paused[key] for key in [*keys[1:], keys[0]]], strict=True))
    later = trained(problem, data, cut(trials, 3), job, pauses=True).paused
    for states in ({}, foreign, later):
        again = trained(problem, data, cut(trials, 3, since=1), job, going_on=states)
        assert again.epochs == whole.epochs
        assert all(same(whole.outcomes[t.key], again.outcomes[t.key]) for t in trials)


def test_what_shorter_and_longer_trials_share_is_stopped_once_and_tested_at_its_end(dense):
    problem, data, job = dense
    (trial,) = stretched(problem, 3, most=1)
    both = trained(problem, data, [*cut([trial], 1), trial], job)
    short, long = both.outcomes.values()
    assert (short.status, long.status, both.epochs) == ("stopped", "ok", 3)
    assert short.curve == long.curve[:1]
    assert long.seconds == pytest.approx(sum(long.epoch_seconds[1:]))


@pytest.mark.parametrize("engine", ["vectorized", "fit"])
def test_when_time_is_over_all_stop_after_their_epoch_and_can_go_on(engine, dense, monkeypatch):
    problem, data, job = dense
    if engine == "fit":
        job = Job(0, "jax")
    trials = stretched(problem, 4)
    whole = trained(problem, data, trials, job)
    clock = Clock()
    monkeypatch.setattr("time.perf_counter", clock)
    monkeypatch.setattr("tuning.engines.batches.row_order", clock.rings(row_order))
    monkeypatch.setattr("tuning.engines.vectorized.row_order", clock.rings(row_order))
    cut_short = trained(problem, data, trials, job, seconds=60.0, pauses=True)
    monkeypatch.undo()
    lengths = [len(each.curve) for each in cut_short.outcomes.values()]
    assert lengths == ([1, 1, 1] if engine == "vectorized" else [2, 0, 0])
    for outcome in cut_short.outcomes.values():
        assert outcome.status == "stopped"
        assert bool(outcome.metrics) == bool(outcome.curve)
        assert not any(name.startswith("test_") for name in outcome.metrics)
    rest = trained(problem, data, trials, job, going_on=cut_short.paused)
    assert rest.epochs == whole.epochs - sum(lengths)
    assert all(same(whole.outcomes[t.key], rest.outcomes[t.key]) for t in trials)


class Clock:
    """Stands still, until the rows of the second epoch are asked for."""

    def __init__(self):
        self.now = time.perf_counter()

    def __call__(self):
        self.now += 1e-6
        return self.now

    def rings(self, order):
        def ordered(seed, epoch, n):
            self.now += 3600.0 * (epoch == 1)
            return order(seed, epoch, n)

        return ordered


def test_when_time_is_over_before_the_first_epoch_there_are_no_scores(dense):
    problem, data, job = dense
    trials = stretched(problem, 2)
    for each in (job, Job(0, "jax")):
        none = trained(problem, data, trials, each, seconds=0.0, pauses=True)
        for outcome in none.outcomes.values():
            assert (outcome.status, outcome.curve, outcome.metrics) == ("stopped", [], {})
        assert none.paused == {}


def test_what_diverges_leaves_no_state(tmp_path):
    path = changed(tmp_path, *DIVERGING)
    problem, packing = packing_of(path)
    data, job = load_data(problem), Job(0, "jax", packing=packing)
    base = problem.grid[0] | {"epochs": 4}
    trials = [
        Trial(i, base | {"learning_rate": rate}, 0, 2) for i, rate in enumerate((0.001, 1e38))
    ]
    for each in (job, Job(0, "jax")):
        part = trained(problem, data, trials, each, pauses=True)
        assert [o.status for o in part.outcomes.values()] == ["stopped", "diverged"]
        assert list(part.paused) == [each.packing.trajectory_of(trials[0])]


def test_a_model_is_kept_only_of_what_was_trained_to_its_end(dense):
    problem, data, job = dense
    trials = stretched(problem, 2)
    asked = [*cut(trials[:2], 1), trials[2]]
    keep = Keep("val_loss", "min", n=3, wanted={t.key: (("all", t.number),) for t in asked})
    for each in (job, Job(0, "jax")):
        reports = list(train_prepared(problem, data, asked, each, keep))
        kept = [model.trial for report in reports for model in report.models]
        assert kept == trials[2:]


OTHERS = """
import sys
from tuning.execution.worker import Job, prepare
backend = sys.argv[1]
prepare(backend)
from tests.engines.test_going_on import cut, of_zoo, same, stretched, trained
for kind in ("dense_dropout_l2", "batchnorm_options", "ema_overwrite"):
    problem, data, _ = of_zoo(kind)
    job = Job(0, backend)
    trials = stretched(problem, 4, most=1)
    whole = trained(problem, data, trials, job)
    part = trained(problem, data, cut(trials, 1), job, pauses=True)
    rest = trained(problem, data, cut(trials, 4, 1), job, going_on=part.paused)
    (one,), (short,), (other,) = (each.outcomes.values() for each in (whole, part, rest))
    assert (short.status, short.curve) == ("stopped", one.curve[:1])
    assert len(rest.trained) == 3, rest
    assert same(one, other)
print("same")
"""


@pytest.mark.slow
@pytest.mark.parametrize("backend", ["jax", "tensorflow"])
def test_keras_own_fit_goes_on_with_the_same_end(backend):
    done = subprocess.run(
        [sys.executable, "-c", OTHERS, backend],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout == "same\n", done.stderr


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("kind", ["fit_count_at_trace", "fit_pure_callback"])
def test_what_is_not_proven_to_be_its_variables_alone_begins_anew(kind):
    problem, data, job = of_zoo(kind)
    trials = stretched(problem, 2, most=1)
    part = trained(problem, data, cut(trials, 1), job, pauses=True)
    assert [o.status for o in part.outcomes.values()] == ["stopped"]
    assert part.paused == {}
