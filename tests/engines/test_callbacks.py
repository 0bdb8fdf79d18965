"""Callbacks: packs and the engine `fit` do with them what plain Keras does, epoch by epoch."""

from __future__ import annotations

import contextlib
import csv
import dataclasses
import os
import pickle
import subprocess

import keras
import numpy as np
import pytest
from keras.callbacks import (
    CSVLogger,
    EarlyStopping,
    LambdaCallback,
    LearningRateScheduler,
    ModelCheckpoint,
    ReduceLROnPlateau,
    TerminateOnNaN,
)

import tuning
from tests.conftest import TINY, command
from tuning.engines.batches import row_order
from tuning.engines.keeping import Keep
from tuning.engines.models import compiled_fast, compiled_model
from tuning.execution.worker import Job, look, train_prepared
from tuning.problem.functions import problem_of
from tuning.problem.problem import load_data
from tuning.trial import Trial

pytestmark = pytest.mark.usefixtures("worker")

EPOCHS = 12


def rows(n, seed):
    random = np.random.default_rng(seed)
    x = random.normal(size=(n, 5)).astype("float32")
    y = (x[:, 0] + random.normal(size=n) > 0).astype("int32")
    return x, y


DATA = {"train": rows(90, 0), "validation": rows(40, 1), "test": rows(40, 2)}


def build_model(config):
    layers = [keras.Input((5,)), keras.layers.Dense(8, "tanh"), keras.layers.Dense(2, "softmax")]
    model = keras.Sequential(layers)
    average = config.get("average", False)
    model.compile(
        keras.optimizers.SGD(config.get("learning_rate", 0.8), momentum=0.9, use_ema=average),
        "sparse_categorical_crossentropy",
        metrics=["accuracy"],
    )
    return model


def halved(epoch, rate):
    return rate * 0.7 if epoch % 3 == 2 else rate


STOPPING = [
    {},
    {"patience": 2},
    {"patience": 3, "restore_best_weights": True},
    {"monitor": "val_accuracy", "patience": 1, "restore_best_weights": True},
    {"monitor": "val_accuracy", "mode": "min", "patience": 3},
    {"monitor": "loss", "patience": 1, "min_delta": 0.05},
    {"monitor": "accuracy", "mode": "max", "patience": 1, "min_delta": 0.02},
    {"patience": 4, "baseline": 0.1, "restore_best_weights": True},
    {"patience": 2, "baseline": 5.0},
    {"patience": 1, "start_from_epoch": 5, "restore_best_weights": True},
    {"patience": 50, "restore_best_weights": True},
    {"monitor": "no_such_score", "mode": "min"},
]
REDUCING = [
    {"patience": 1},
    {"patience": 2, "factor": 0.5},
    {"patience": 1, "monitor": "val_accuracy", "factor": 0.3},
    {"patience": 1, "monitor": "accuracy", "mode": "max"},
    {"patience": 1, "monitor": "val_loss", "mode": "max", "factor": 0.9},
    {"patience": 1, "cooldown": 3, "factor": 0.5},
    {"patience": 1, "min_lr": 0.3, "factor": 0.5},
    {"patience": 1, "min_delta": 0.3, "factor": 0.8},
]
OTHERS = [
    lambda: [],
    lambda: [LearningRateScheduler(halved)],
    lambda: [LearningRateScheduler(lambda epoch: 0.5 / (epoch + 1))],
    lambda: [TerminateOnNaN()],
    lambda: [EarlyStopping(patience=3), ReduceLROnPlateau(patience=1, factor=0.5)],
    lambda: [
        EarlyStopping("val_accuracy", patience=2, restore_best_weights=True),
        EarlyStopping(patience=4, restore_best_weights=True),
        LearningRateScheduler(halved),
    ],
]
CASES = [
    *[lambda given=given: [EarlyStopping(**given)] for given in STOPPING],
    *[lambda given=given: [ReduceLROnPlateau(**given)] for given in REDUCING],
    *OTHERS,
]


def of_case(config):
    return CASES[config["case"]]()


def made(callbacks, **axes):
    """A problem with callbacks, its data, and a job with what was found of it."""
    problem = problem_of(build_model, axes, DATA, callbacks=callbacks, metric="val_loss")
    data = load_data(problem)
    probe = look(problem, data, Job(0, "jax"), True)
    assert probe.error == ""
    return problem, data, Job(0, "jax", packing=probe.packing)


def trials_of(problem, seed=0):
    """A trial of each configuration of the grid."""
    return [
        Trial(i, config, seed, config.get("epochs", 1), i)
        for i, config in ((i, problem.grid[i]) for i in range(problem.grid.size))
    ]


def trained(problem, data, trials, job, **options):
    """The outcomes in the order of the trials, the epochs trained, and the states, pickled once."""
    reports = list(train_prepared(problem, data, trials, job, **options))
    told = {each.trial.key: each for report in reports for each in report.outcomes}
    epochs = sum(len(report.epoch_seconds) for report in reports)
    return [told[t.key] for t in trials], epochs, pickle.loads(pickle.dumps(reports[-1].paused))


def plainly(problem, data, trial, callbacks):
    """Keras' history of a trial, and its scores of the three splits when training has ended."""
    model = compiled_model(problem, trial.configuration, trial.seed)
    size, n = trial.batch_size, len(data["train"][0])

    def batches():
        for epoch in range(trial.epochs):
            order = row_order(trial.seed, epoch, n)
            for i in range(0, n, size):
                yield tuple(array[order[i : i + size]] for array in data["train"])

    with compiled_fast() if keras.backend.backend() == "jax" else contextlib.nullcontext():
        history = model.fit(
            batches(), steps_per_epoch=-(-n // size), epochs=trial.epochs, verbose=0,
            validation_data=data["validation"], validation_batch_size=size, callbacks=callbacks,
        ).history  # fmt: skip
    scores = {
        f"{prefix}_{name}": value
        for prefix, split in (("val", "validation"), ("test", "test"))
        for name, value in model.evaluate(
            *data[split], batch_size=size, verbose=0, return_dict=True
        ).items()
    }
    return history, scores, model


def agree(outcome, history, scores, *, averaged=False, rel=2e-4):
    """An outcome is what Keras' `fit` made, epoch by epoch and at the end."""
    assert outcome.status == "ok"
    assert len(outcome.curve) == len(history["loss"])
    for epoch, logs in enumerate(outcome.curve):
        assert set(logs) == set(history)
        expected = {name: values[epoch] for name, values in history.items()}
        assert logs == pytest.approx(expected, rel=rel, abs=1e-6), epoch
    for name, value in scores.items():
        if not (averaged and name.startswith("val_")):
            assert outcome.metrics[name] == pytest.approx(value, rel=rel, abs=1e-6), name


def test_a_pack_does_what_fit_does_with_every_argument():
    problem, data, job = made(of_case, case=list(range(len(CASES))), epochs=[EPOCHS])
    assert job.packing.axes["case"].kind == "lifted"
    assert job.packing.axes["case"].why == "an argument of callbacks"
    trials = trials_of(problem)
    outcomes, epochs, _ = trained(problem, data, trials, job)
    lengths = []
    for outcome, case in zip(outcomes, CASES, strict=True):
        assert outcome.engine == "vectorized"
        history, scores, _ = plainly(problem, data, outcome.trial, case())
        agree(outcome, history, scores)
        lengths.append(len(outcome.curve))
    assert len(set(lengths[: len(STOPPING)])) > 4  # each with its own patience
    assert epochs == sum(lengths)


@pytest.mark.parametrize("backend_packs", [True, False])
def test_fit_does_the_same(backend_packs):
    cases = [2, 5, 9, 13, len(CASES) - 1]
    problem, data, job = made(of_case, case=cases, epochs=[EPOCHS])
    by_fit = Job(0, "jax") if not backend_packs else job
    outcomes, _, _ = trained(problem, data, trials_of(problem), by_fit)
    for outcome, case in zip(outcomes, cases, strict=True):
        history, scores, _ = plainly(problem, data, outcome.trial, CASES[case]())
        agree(outcome, history, scores)


def test_restored_weights_are_not_averaged():
    def callbacks(config):
        return [EarlyStopping(patience=config["patience"], restore_best_weights=True)]

    problem, data, job = made(callbacks, patience=[1, 2], average=[True], epochs=[EPOCHS])
    outcomes, _, _ = trained(problem, data, trials_of(problem), job)
    for outcome in outcomes:
        assert outcome.engine == "vectorized"
        agree(
            outcome,
            *plainly(problem, data, outcome.trial, callbacks(outcome.trial.configuration))[:2],
        )


def test_shorter_trainings_are_what_fit_leaves_after_their_epochs():
    def callbacks(config):
        return [EarlyStopping(patience=config["patience"], restore_best_weights=True)]

    problem, data, job = made(callbacks, patience=[1, 3, 20], epochs=[2, 5, EPOCHS])
    assert job.packing.axes["epochs"].kind == "fidelity"
    outcomes, epochs, _ = trained(problem, data, trials_of(problem), job)
    for outcome in outcomes:
        history, scores, _ = plainly(
            problem, data, outcome.trial, callbacks(outcome.trial.configuration)
        )
        agree(outcome, history, scores)
    longest = [each for each in outcomes if each.trial.epochs == EPOCHS]
    assert epochs == sum(len(each.curve) for each in longest)


def test_callbacks_that_read_epochs_share_no_trajectory():
    def callbacks(config):
        return [LearningRateScheduler(lambda epoch, rate: 0.8 * (1 - epoch / config["epochs"]))]

    problem, data, job = made(callbacks, epochs=[3, 6])
    assert job.packing.axes["epochs"].kind == "lifted"
    for outcome in trained(problem, data, trials_of(problem), job)[0]:
        history, scores, _ = plainly(
            problem, data, outcome.trial, callbacks(outcome.trial.configuration)
        )
        agree(outcome, history, scores)


@pytest.mark.parametrize("packs", [True, False])
def test_a_pause_changes_nothing(packs, tmp_path):
    def callbacks(config):
        return [
            EarlyStopping(patience=config["patience"], restore_best_weights=True),
            ReduceLROnPlateau(patience=1, factor=0.6),
            CSVLogger(str(tmp_path / f"{config['patience']}.csv")),
        ]

    problem, data, job = made(callbacks, patience=[1, 3, 6], epochs=[EPOCHS])
    job = job if packs else Job(0, "jax")
    trials = trials_of(problem)
    whole, _, _ = trained(problem, data, trials, job)
    logged = {p.name: p.read_text() for p in tmp_path.iterdir()}
    states, told, total = {}, {}, 0
    for epochs in (2, 4, 9, EPOCHS):
        asked = [dataclasses.replace(trial, epochs=epochs) for trial in trials]
        outcomes, epochs_trained, states = trained(
            problem, data, asked, job, going_on=states, pauses=True
        )
        told[epochs] = outcomes
        total += epochs_trained
    assert total == sum(len(each.curve) for each in whole)
    for one, other in zip(told[EPOCHS], whole, strict=True):
        assert one.status == "ok"
        assert len(one.curve) == len(other.curve)
        assert one.metrics == pytest.approx(other.metrics, rel=2e-4, abs=1e-6)
    early = [each.status for each in told[4]]
    assert "ok" in early
    assert "stopped" in early
    for name, text in logged.items():
        again = list(csv.reader((tmp_path / name).read_text().splitlines()))
        assert [row[0] for row in again] == [row[0] for row in csv.reader(text.splitlines())]


def test_the_kept_model_has_the_restored_weights(tmp_path):
    def callbacks(config):
        return [EarlyStopping(patience=config["patience"], restore_best_weights=True)]

    problem, data, job = made(callbacks, patience=[2, 3], epochs=[EPOCHS])
    trials = trials_of(problem)
    wanted = {trial.key: (("random", trial.number),) for trial in trials}
    keep = Keep("val_loss", "min", n=2, wanted=wanted)
    reports = list(train_prepared(problem, data, trials, job, keep))
    outcomes = {each.trial.key: each for report in reports for each in report.outcomes}
    models = [each for report in reports for each in report.models]
    assert models
    for kept in models:
        path = tmp_path / "kept.keras"
        path.write_bytes(kept.content)
        scores = keras.models.load_model(path).evaluate(
            *data["validation"], verbose=0, return_dict=True
        )
        metrics = outcomes[kept.trial.key].metrics
        assert metrics["val_loss"] == pytest.approx(scores["loss"], rel=1e-4)


def test_files_are_each_trials_own(tmp_path):
    def callbacks(config):
        best = ModelCheckpoint("best.keras", save_best_only=True)
        every = ModelCheckpoint("at-{epoch:02d}.weights.h5", save_weights_only=True)
        return [ReduceLROnPlateau(patience=config["patience"]), best, every, CSVLogger("log.csv")]

    problem, data, job = made(callbacks, patience=[1, 2], epochs=[4])
    for each in (job, Job(0, "jax")):
        run = tmp_path / ("packs" if each is job else "fit")
        run.mkdir()
        own = dataclasses.replace(each, folder=str(run))
        outcomes, _, _ = trained(problem, data, trials_of(problem), own)
        folders = sorted((run / "callbacks").iterdir())
        assert [folder.name.rpartition("-")[0] for folder in folders] == ["0-0", "0-1"]
        for outcome, folder in zip(outcomes, folders, strict=True):
            assert sorted(path.name for path in folder.iterdir()) == [
                *(f"at-{epoch:02d}.weights.h5" for epoch in range(1, 5)), "best.keras", "log.csv",
            ]  # fmt: skip
            best = min(logs["val_loss"] for logs in outcome.curve)
            model = keras.models.load_model(folder / "best.keras")
            assert model.evaluate(*data["validation"], batch_size=32, verbose=0)[0] == (
                pytest.approx(best, rel=1e-4)
            )
            logged = list(csv.DictReader((folder / "log.csv").open()))
            assert [float(row["val_loss"]) for row in logged] == pytest.approx(
                [logs["val_loss"] for logs in outcome.curve], rel=1e-5
            )
            model.load_weights(folder / "at-04.weights.h5")
            assert model.evaluate(*data["validation"], batch_size=32, verbose=0)[0] == (
                pytest.approx(outcome.curve[-1]["val_loss"], rel=1e-4)
            )


class Counting(EarlyStopping):
    """A subclass, which may do anything."""


@pytest.mark.parametrize(
    ("other", "named"),
    [
        (lambda: LambdaCallback(on_epoch_end=lambda epoch, logs: None), "LambdaCallback"),
        (lambda: Counting(patience=1), "Counting"),
        (lambda: TerminateOnNaN(raise_error=True), "TerminateOnNaN"),
        (lambda: ModelCheckpoint("x.keras", save_freq=2), "ModelCheckpoint"),
    ],
)
def test_others_go_through_fit_and_the_row_says_why(other, named, tmp_path):
    def callbacks(config):
        return [other()] if config["with"] else [EarlyStopping(patience=1)]

    problem, data, job = made(callbacks, **{"with": [0, 1]}, epochs=[3])
    job = dataclasses.replace(job, folder=str(tmp_path))
    outcomes, _, _ = trained(problem, data, trials_of(problem), job)
    assert outcomes[0].engine == "vectorized"
    assert outcomes[1].engine.startswith(f"fit: its callback {named} may look")
    assert named in job.packing.axes["with"].why
    assert outcomes[1].status == "ok"


def test_a_schedule_of_the_optimizers_own_cannot_be_set():
    def build(config):
        model = build_model(config)
        rate = keras.optimizers.schedules.ExponentialDecay(0.1, 5, 0.9)
        model.compile(keras.optimizers.SGD(rate), "sparse_categorical_crossentropy")
        return model

    problem = problem_of(
        build, {"epochs": [2]}, DATA, callbacks=[ReduceLROnPlateau()], metric="val_loss"
    )
    found = look(problem, load_data(problem), Job(0, "jax"), True).packing
    assert found.reason == (
        "its callback ReduceLROnPlateau sets a learning rate that is no single variable"
    )


def test_instances_in_a_list_are_not_shared():
    given = [EarlyStopping(patience=1, restore_best_weights=True)]
    problem, data, job = made(given, learning_rate=[0.8, 0.05, 0.3], epochs=[EPOCHS])
    for own in (job, Job(0, "jax")):
        outcomes, _, _ = trained(problem, data, trials_of(problem), own)
        for outcome in outcomes:
            expected = [EarlyStopping(patience=1, restore_best_weights=True)]
            agree(outcome, *plainly(problem, data, outcome.trial, expected)[:2])
    assert given[0].best_weights is None
    assert given[0].model is None


def test_members_whose_callbacks_differ_are_not_one():
    def callbacks(config):
        return [EarlyStopping(patience=config["patience"])]

    problem, data, job = made(callbacks, patience=[0, 8], epochs=[EPOCHS])
    short, long = trained(problem, data, trials_of(problem), job)[0]
    assert len(short.curve) < len(long.curve)


def test_what_diverges_is_a_diverged_trial():
    def callbacks(config):
        return [TerminateOnNaN(), EarlyStopping(patience=3, restore_best_weights=True)]

    def build(config):
        model = keras.Sequential([keras.Input((5,)), keras.layers.Dense(1)])
        model.compile(keras.optimizers.SGD(config["learning_rate"]), "mse")
        return model

    axes = {"learning_rate": [0.01, 1e38], "epochs": [EPOCHS]}
    problem = problem_of(build, axes, DATA, callbacks=callbacks, metric="val_loss")
    data = load_data(problem)
    job = Job(0, "jax", packing=look(problem, data, Job(0, "jax"), True).packing)
    for own in (job, Job(0, "jax")):
        fine, diverged = trained(problem, data, trials_of(problem), own)[0]
        assert (fine.status, diverged.status) == ("ok", "diverged")
        assert len(diverged.curve) == 1
        assert not diverged.metrics


def test_a_callback_that_raises_fails_its_own_trial():
    def schedule(epoch, rate):
        raise ValueError("no rate")

    def callbacks(config):
        return [LearningRateScheduler(schedule)] if config["with"] else []

    problem, data, job = made(callbacks, **{"with": [0, 1]}, epochs=[2])
    fine, failed = trained(problem, data, trials_of(problem), job)[0]
    assert (fine.status, failed.status) == ("ok", "failed")
    assert "no rate" in failed.error


def test_a_search_from_python(tmp_path):
    def search(**options):
        return tuning.search(
            build_model, {"learning_rate": [0.8, 0.1], "patience": [1, 4], "epochs": [EPOCHS]},
            DATA, sweep="all", strategy=None, metric="val_loss", mode="min", workers=1,
            out=tmp_path / "run", **options,
        )  # fmt: skip

    def callbacks(config):
        return [EarlyStopping(patience=config["patience"], restore_best_weights=True)]

    results = search(callbacks=callbacks)
    table = results.trials
    assert set(table.engine) == {"vectorized"}
    assert set(table.status) == {"ok"}
    assert table.trained_epochs.nunique() > 1
    assert (table.epochs == EPOCHS).all()
    lowest = results.curves.groupby("trial").val_loss.min()
    assert np.allclose(table.set_index("trial").val_loss, lowest)
    scores = results.best_model().evaluate(*DATA["validation"], verbose=0, return_dict=True)
    assert scores["loss"] == pytest.approx(table.val_loss.min(), rel=1e-4)
    assert "callbacks=callbacks(config)," in results.how_to_repeat(results.best().iloc[0])
    with pytest.raises(tuning.TuningError, match="callbacks"):
        search(callbacks=[EarlyStopping(patience=2)])
    assert len(search(callbacks=callbacks).trials) == len(table)


def test_each_fold_has_callbacks_of_its_own(tmp_path):
    results = tuning.search(
        build_model, {"learning_rate": [0.8], "epochs": [EPOCHS]},
        DATA["train"], sweep="all", strategy=None, metric="val_loss", mode="min", workers=0,
        folds=3, backend="jax", out=tmp_path / "run",
        callbacks=[EarlyStopping(patience=1, restore_best_weights=True)],
    )  # fmt: skip
    assert set(results.parts.status) == {"ok"}
    assert (results.trials.status == "ok").all()
    assert (results.parts.trained_epochs < EPOCHS).any()


def test_a_list_with_other_arguments_is_another_problem():
    def of(callbacks):
        return problem_of(build_model, {"epochs": [2]}, DATA, callbacks=callbacks).fingerprint

    assert of([EarlyStopping(patience=1)]) == of([EarlyStopping(patience=1)])
    one, other = of([EarlyStopping(patience=1)]), of([EarlyStopping(patience=2)])
    differing = {name for name in one if one[name] != other[name]}
    assert differing == {"code", "value callbacks[0].EarlyStopping.patience"}


def test_a_progress_among_callbacks_is_refused():
    with pytest.raises(tuning.TuningError, match="progress="):
        tuning.search(build_model, {"epochs": [1]}, DATA, callbacks=[tuning.Progress()])


@pytest.mark.slow
def test_the_command_with_a_problem_file(tmp_path):
    path = tmp_path / "stopping.py"
    path.write_text(
        TINY.read_text().replace('"epochs": [1, 2]', '"patience": [0, 1], "epochs": [3]')
        + "\n\ndef callbacks(config):\n"
        "    from keras.callbacks import EarlyStopping\n\n"
        '    return [EarlyStopping("loss", min_delta=9, patience=config["patience"])]\n'
    )
    explained = subprocess.run(
        command("tuning", "explain", "--problem", path), capture_output=True, text=True, check=True,
        env={**os.environ, "COLUMNS": "200"},
    ).stdout  # fmt: skip
    assert "an argument of callbacks" in explained
    out = tmp_path / "run"
    asked = ("--problem", path, "--random", 0, "--sweep", "all", "--workers", 1, "--out", out)
    subprocess.run(command("tuning", "run", *asked), check=True, capture_output=True)
    table = tuning.open(out).trials
    assert set(table.status) == {"ok"}
    assert set(table.engine) == {"vectorized"}
    assert (table.trained_epochs == table.patience.clip(lower=1) + 1).all()
