"""The weights of the best: exact, of the right trial, and no more of them than asked for."""

import io
import math
import os
import pickle
import subprocess
import sys
import zipfile

import numpy as np
import pytest

from tests.conftest import (
    REPOSITORY,
    TINY,
    changed,
    evaluated_apart,
    packing_of,
    trial_at,
)
from tuning import load_problem
from tuning.engines import reports, vectorized
from tuning.engines.batches import Split
from tuning.engines.fit import evaluated
from tuning.engines.keeping import Keep, Keeper
from tuning.engines.models import compiled_model
from tuning.engines.saving import build
from tuning.engines.weights import Weights, weights_of
from tuning.execution.worker import Job, train
from tuning.packing.axes import UNPACKED
from tuning.problem.problem import load_data
from tuning.trial import Outcome, Trial

pytestmark = pytest.mark.usefixtures("worker")

BORDER = (
    'y = (x.sum(axis=1) > 0).astype("float32")\n',
    'y = (x.sum(axis=1) > 0).astype("float32")\n    x = np.pad(x, ((0, 0), (0, 4)))\n',
)
WIDE = ("keras.Input((4,))", "keras.Input((8,))")
OWN = (
    "    model = keras",
    "    class Double(keras.layers.Layer):\n"
    "        def call(self, x):\n"
    "            return 2 * x\n"
    "    model = keras",
)
COMPILE = "    model.compile("


@pytest.fixture(scope="module")
def tiny():
    problem, packing = packing_of(TINY)
    return problem, load_data(problem), packing


def asked(problem, **values):
    """The trials with these values."""
    chosen = [i for i in range(problem.grid.size) if values.items() <= problem.grid[i].items()]
    return [trial_at(problem, i) for i in chosen]


def wanted(trials, *strategies):
    return {trial.key: tuple((name, trial.number) for name in strategies) for trial in trials}


def kept(problem, data, trials, packing, keep):
    """Outcomes, and the models of all reports."""
    found = list(train(problem, data, trials, Job(0, "jax", packing=packing), keep=keep))
    return [o for r in found for o in r.outcomes], [m for r in found for m in r.models]


def scores(problem, data, model, folder, backend="jax"):
    """What a plain file evaluates to in a process of its own."""
    assert model.plain, model.why
    file = folder / f"{model.trial.number}.keras"
    file.write_bytes(model.content)
    splits = {"val": data["validation"], "test": data["test"]}
    return evaluated_apart({file: (splits, model.trial.batch_size)}, backend)[file]


def value_of(outcomes, trial):
    return next(o for o in outcomes if o.trial.key == trial.key).metrics


@pytest.mark.parametrize("engine", ["pack", "fit"])
def test_the_best_is_kept_and_evaluates_to_its_row_without_tuning(tiny, engine, tmp_path):
    problem, data, packing = tiny
    trials = asked(problem, batch_size=16, units=8, activation="relu")
    keep = Keep("val_loss", "min", wanted=wanted(trials, "all"))
    outcomes, models = kept(problem, data, trials, packing if engine == "pack" else UNPACKED, keep)
    best = min(outcomes, key=lambda outcome: outcome.metrics["val_loss"])
    assert models[-1].trial == best.trial
    assert [name for name, _ in models[-1].wanted] == ["all"]
    found = scores(problem, data, models[-1], tmp_path)
    rounding = {"rel": 1e-5} if engine == "pack" else {"abs": 0, "rel": 1e-7}  # to float32's digits
    assert found == pytest.approx({name: best.metrics[name] for name in found}, **rounding)


def test_an_epoch_in_the_midst_of_a_longer_training_is_kept(tmp_path):
    path = changed(
        tmp_path,
        ('"epochs": [1, 2]', '"epochs": [1, 5]'),
        ('"learning_rate": [0.001, 0.1]', '"learning_rate": [0.01]'),
        ("y[:192])", "y[:192][::-1])"),  # the longer it trains on this the worse it does
    )
    problem, packing = packing_of(path)
    data = load_data(problem)
    trials = asked(problem, batch_size=16, units=8, activation="tanh")
    keep = Keep("val_loss", "min", wanted=wanted(trials, "all"))
    outcomes, models = kept(problem, data, trials, packing, keep)
    assert [model.trial.epochs for model in models] == [1]
    metrics = value_of(outcomes, models[0].trial)
    found = scores(problem, data, models[0], tmp_path)
    assert found == pytest.approx({name: metrics[name] for name in found}, rel=1e-5)


def test_no_more_are_kept_than_asked_for_by_each_strategy(tiny, monkeypatch):
    problem, data, packing = tiny
    trials = asked(problem, batch_size=64, units=2)
    first, second = trials[:4], trials[2:]
    both = wanted(first, "a")
    for trial in second:
        both[trial.key] = (*both.get(trial.key, ()), ("b", trial.number + 100))
    keep = Keep("val_loss", "min", n=2, wanted=both)
    copied = []
    weights = vectorized._weights_of
    monkeypatch.setattr(vectorized, "_weights_of", lambda *a: copied.append(a) or weights(*a))
    outcomes, models = kept(problem, data, trials, packing, keep)
    for name, group in (("a", first), ("b", second)):
        ranked = sorted(group, key=lambda t: (value_of(outcomes, t)["val_loss"], t.number))
        told = {model.trial.key for model in models if name in dict(model.wanted)}
        assert {trial.key for trial in ranked[:2]} <= told
    assert len(models) <= len(copied) <= len(trials)


def test_only_what_still_leads_at_a_report_becomes_a_model(tiny):
    problem, data, _ = tiny
    trials = [Trial(i, problem.grid[0], i) for i in range(6)]
    keeper = Keeper(Keep("val_loss", "min", wanted=wanted(trials, "all")), problem, data)
    model = compiled_model(problem, problem.grid[0], 0)
    build(model, data, trials[0])
    copies = []
    assert keeper.models() == []
    for trial, value in zip(trials, [0.5, 0.4, 0.6, math.nan, 0.4, 0.3], strict=True):
        outcome = Outcome(trial, "ok", "fit", "jax", {"val_loss": value})
        keeper.offer(outcome, lambda: copies.append(1) or weights_of(model))
        if trial.number == 4:
            assert [each.trial.number for each in keeper.models()] == [1]  # the first of two equals
            assert keeper.models() == []
    assert [each.trial.number for each in keeper.models()] == [5]
    assert len(copies) == 3


@pytest.mark.parametrize("mode", ["min", "max"])
def test_what_is_kept_already_is_the_bar(tiny, mode):
    problem, data, _ = tiny
    sign = 1 if mode == "min" else -1
    trials = [Trial(i, problem.grid[0], i) for i in range(5)]
    bars = {"all": ((sign * 0.3, 7), (sign * 0.5, 2))}
    keep = Keep("val_x", mode, n=2, wanted=wanted(trials, "all"), bars=bars)
    keeper = Keeper(keep, problem, data)

    def takes(number, value, status="ok"):
        taken = []
        outcome = Outcome(trials[number], status, "fit", "jax", {"val_x": sign * value})
        keeper.offer(outcome, lambda: taken.append(1) or Weights([], [], [], ()))
        return bool(taken)

    assert not takes(3, 0.5)  # equal, and asked for later
    assert not takes(2, 0.5)  # it is the one that is kept
    assert not takes(4, 0.1, "diverged")
    assert takes(1, 0.5)  # equal, and asked for earlier
    assert takes(0, 0.4)
    assert not takes(4, 0.45)
    assert not keeper.wants(Trial(9, problem.grid[1], 0))


def test_twins_and_seeds_are_each_their_own(tmp_path):
    """Twins are trials that train the same; each is kept under its own name."""
    path = changed(tmp_path, ('"epochs": [1, 2]', '"unused": [0, 1], "epochs": [1]'))
    path.write_text(
        path.read_text().replace("import keras\n", 'import keras\n    config["unused"]\n')
    )
    problem, packing = packing_of(path)
    data = load_data(problem)
    same = {"batch_size": 16, "units": 8, "activation": "relu", "learning_rate": 0.1}
    twins = asked(problem, **same)
    assert len(twins) == 2
    seeds = [Trial(10 + seed, twins[0].configuration, seed, 1, twins[0].index) for seed in (1, 2)]
    trials = [*twins, *seeds]
    keep = Keep("val_loss", "min", n=4, wanted=wanted(trials, "all"))
    outcomes, models = kept(problem, data, trials, packing, keep)
    assert {model.trial.key for model in models} == {trial.key for trial in trials}
    for model in models:
        metrics = value_of(outcomes, model.trial)
        found = scores(problem, data, model, tmp_path)
        assert found == pytest.approx({name: metrics[name] for name in found}, rel=1e-5)


@pytest.mark.parametrize("optimizer", ["Adam", "AdamW", "Ftrl", "RMSprop"])
def test_rows_of_columns_left_out_are_as_keras_leaves_them(tmp_path, optimizer):
    quiet = ("keras.layers.Dropout(0.1),", "")
    path = changed(tmp_path, BORDER, WIDE, quiet, ("Adam", optimizer))
    problem, packing = packing_of(path)
    data = load_data(problem)
    trials = asked(problem, batch_size=16, units=8, activation="relu", learning_rate=0.1, epochs=2)
    keep = Keep("val_loss", "min", optimizer=True, wanted=wanted(trials, "all"))
    files = []
    for packed in (packing, UNPACKED):
        _, (model,) = kept(problem, data, trials, packed, keep)
        assert model.plain
        file = tmp_path / "model.keras"
        file.write_bytes(model.content)
        import keras

        loaded = keras.saving.load_model(file)
        files.append([v.numpy() for v in (*loaded.variables, *loaded.optimizer.variables)])
    kernel = files[0][0]
    if optimizer in ("Adam", "RMSprop"):  # they were left out, and did not move
        np.testing.assert_array_equal(kernel[4:], files[1][0][4:])
    assert kernel.shape == (8, 8)
    for one, other in zip(*files, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("optimizer", [False, True])
def test_the_optimizer_goes_on_where_it_ended_if_asked(tiny, optimizer, tmp_path):
    import keras

    problem, data, packing = tiny
    trials = asked(problem, batch_size=64, units=2, activation="relu", epochs=2)
    keep = Keep("val_loss", "min", optimizer=optimizer, wanted=wanted(trials, "all"))
    _, models = kept(problem, data, trials, packing, keep)
    file = tmp_path / "model.keras"
    file.write_bytes(models[-1].content)
    steps = int(keras.saving.load_model(file).optimizer.iterations.numpy())
    assert steps == (6 if optimizer else 0)


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ([OWN, ("keras.layers.Dropout(0.1)", "Double()")], "Double is not registered"),
        (
            [("keras.layers.Dropout(0.1)", "keras.layers.Lambda(lambda x: x)")],
            "it has a Lambda layer",
        ),
        (
            [
                OWN,
                ("return 2 * x", "return 2 * x\n        def get_config(self):\n            1 / 0"),
                ("keras.layers.Dropout(0.1)", "Double()"),
            ],
            "Double does not tell how it was made",
        ),
        (
            [
                ("def build_model", "def halved(x):\n    return x / 2\n\n\ndef build_model"),
                (COMPILE, f"    model.layers[0].activation = halved\n{COMPILE}"),
            ],
            "halved is not registered",
        ),
        (
            [(COMPILE, f"    model.layers[1].call = lambda x, training=False: 3 * x\n{COMPILE}")],
            "a get_config of its parts leaves out",
        ),
    ],
)
def test_what_keras_cannot_load_is_kept_as_weights(tmp_path, changes, why):
    path = changed(tmp_path, *changes[:1])
    for i, change in enumerate(changes[1:]):
        (tmp_path / str(i)).mkdir()
        path = changed(tmp_path / str(i), change, source=path)
    problem, packing = packing_of(path)
    data = load_data(problem)
    trials = asked(problem, batch_size=64, units=2, activation="relu", epochs=2)
    keep = Keep("val_loss", "min", wanted=wanted(trials, "all"))
    outcomes, models = kept(problem, data, trials, packing, keep)
    best = models[-1]
    assert not best.plain
    assert why in best.why
    file = tmp_path / "best.weights.h5"
    file.write_bytes(best.content)
    model = compiled_model(problem, best.trial.configuration, 0)
    build(model, data, best.trial)
    model.load_weights(file)
    metrics = value_of(outcomes, best.trial)
    found = evaluated(model, Split(data["test"]).batches(64))
    assert found == pytest.approx({name: metrics[f"test_{name}"] for name in found}, rel=1e-5)


def test_a_registered_class_is_plain_and_the_file_says_what_it_needs(tmp_path):
    registered = "    @keras.saving.register_keras_serializable()\n    class Double"
    own = (OWN[0], OWN[1].replace("    class Double", registered))
    problem = load_problem(str(changed(tmp_path, own, ("keras.layers.Dropout(0.1)", "Double()"))))
    data = load_data(problem)
    trials = [trial_at(problem, 0)]
    _, (model,) = kept(
        problem, data, trials, UNPACKED, Keep("val_loss", "min", wanted=wanted(trials, "a"))
    )
    assert model.plain
    assert "your code registers" in model.why
    assert "config.json" in zipfile.ZipFile(io.BytesIO(model.content)).namelist()


def test_models_come_with_the_report_of_their_rows(tiny, monkeypatch):
    problem, data, packing = tiny
    monkeypatch.setattr(reports, "REPORT_SECONDS", 0)
    trials = asked(problem, batch_size=64, units=2, activation="relu")
    keep = Keep("val_loss", "min", wanted=wanted(trials, "all"))
    told = set()
    for report in train(problem, data, trials, Job(0, "jax", packing=packing), keep=keep):
        told |= {outcome.trial.key for outcome in report.outcomes}
        assert {model.trial.key for model in report.models} <= told


@pytest.mark.parametrize("backend", ["tensorflow", "torch"])
def test_what_a_pack_keeps_loads_on_other_backends(tiny, backend, tmp_path):
    pytest.importorskip(backend)
    problem, data, packing = tiny
    trials = asked(problem, batch_size=16, units=8, activation="tanh", learning_rate=0.001)
    keep = Keep("val_loss", "min", wanted=wanted(trials, "all"))
    outcomes, models = kept(problem, data, trials, packing, keep)
    metrics = value_of(outcomes, models[-1].trial)
    found = scores(problem, data, models[-1], tmp_path, backend)
    assert found == pytest.approx({name: metrics[name] for name in found}, rel=1e-5)


ELSEWHERE = """
import pickle, sys
from tuning.engines.keeping import Keep
from tuning.execution.worker import Job, train
from tuning.problem.file import load_problem
from tuning.problem.problem import load_data
from tuning.trial import Trial

problem = load_problem(sys.argv[1])
trials = [Trial(i, problem.grid[i], 0, problem.grid[i]["epochs"], i) for i in (3, 1)]
keep = Keep("val_loss", "min", wanted={trial.key: (("all", trial.number),) for trial in trials})
job = Job(0, sys.argv[2])
reports = list(train(problem, load_data(problem), trials, job, keep=keep))
outcomes = [outcome for report in reports for outcome in report.outcomes]
models = [model for report in reports for model in report.models]
with open(sys.argv[3], "wb") as file:
    pickle.dump((outcomes, models), file)
"""


@pytest.mark.slow
@pytest.mark.parametrize("backend", ["tensorflow", "torch"])
def test_fit_on_another_backend_keeps_its_best(tiny, backend, tmp_path):
    pytest.importorskip(backend)
    problem, data, _ = tiny
    told = tmp_path / "told.pickle"
    words = [sys.executable, "-c", ELSEWHERE, TINY, backend, told]
    environment = {**os.environ, "KERAS_BACKEND": backend}
    subprocess.run(words, check=True, env=environment, cwd=REPOSITORY)
    outcomes, models = pickle.loads(told.read_bytes())
    best = min(outcomes, key=lambda outcome: outcome.metrics["val_loss"])
    assert models[-1].trial == best.trial
    found = scores(problem, data, models[-1], tmp_path, backend)
    assert found == pytest.approx({name: best.metrics[name] for name in found}, rel=1e-6)


def test_a_model_of_other_variables_is_not_kept_and_says_so(tiny):
    problem, data, _ = tiny
    small, large = Trial(0, problem.grid[0], 0), Trial(1, problem.grid[problem.grid.size - 1], 0)
    assert small.configuration["units"] != large.configuration["units"]
    other = compiled_model(problem, large.configuration, 0)
    build(other, data, large)
    keeper = Keeper(Keep("val_loss", "min", wanted=wanted([small], "all")), problem, data)
    keeper.offer(Outcome(small, "ok", "fit", "jax", {"val_loss": 1.0}), lambda: weights_of(other))
    (model,) = keeper.models()
    assert (model.plain, model.content) == (False, b"")
    assert "build_model returned other variables" in model.why


def test_without_a_wish_nothing_is_kept(tiny):
    problem, data, packing = tiny
    trials = asked(problem, batch_size=64, units=2, activation="relu")
    assert kept(problem, data, trials, packing, None)[1] == []
    assert kept(problem, data, trials, packing, Keep("val_loss", "min"))[1] == []
