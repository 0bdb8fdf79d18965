"""Training rows that weigh differently: packs and `fit` train as plain Keras does with weights."""

from dataclasses import replace

import keras
import numpy as np
import pytest
from sklearn.utils.class_weight import compute_class_weight

import tuning
from tests.conftest import PROBLEMS
from tuning.engines import vectorized
from tuning.engines.fit import fit_on
from tuning.engines.models import compiled_fast, compiled_model
from tuning.engines.row_weights import numbered
from tuning.engines.vectorized import Task, program_of, train_pack
from tuning.engines.vectorized import _once as once
from tuning.engines.vectorized import _programs as programs_of
from tuning.execution.worker import Job, probe
from tuning.packing.axes import UNPACKED
from tuning.problem.file import load_problem
from tuning.problem.functions import problem_of
from tuning.problem.problem import load_data
from tuning.trial import Trial

pytestmark = pytest.mark.usefixtures("worker")

WEIGHED = PROBLEMS / "weighed.py"
FILE = load_problem(str(WEIGHED))
SPLITS = FILE.load_data()
SPACE = {"learning_rate": [0.03], "batch_size": [16], "epochs": [2]}
FOLDS = [(np.arange(60, 200), np.arange(60)), (np.arange(0, 200, 2), np.arange(1, 200, 2))]


def near_or_far(x, y):
    return np.where(np.abs(x[:, 0]) > 1, 2.5, 0.25) + (y[: len(x)] == 2)


def single(config, last, loss):
    hidden = keras.layers.Dense(5, activation="tanh")
    model = keras.Sequential([keras.Input((6,)), hidden, last])
    model.compile(
        keras.optimizers.Adam(config["learning_rate"]), loss, metrics=["accuracy"],
        weighted_metrics=["accuracy"],
    )  # fmt: skip
    return model


def classes(config):
    last = keras.layers.Dense(3, activation="softmax")
    return single(config, last, "sparse_categorical_crossentropy")


def columns(config):
    last = keras.layers.Dense(3, activation="softmax")
    return single(config, last, "categorical_crossentropy")


def binary(config):
    return single(config, keras.layers.Dense(1, activation="sigmoid"), "binary_crossentropy")


def with_target(function):
    return {name: (x, function(y)) for name, (x, y) in SPLITS.items()}


TARGETS = {
    "classes": (classes, SPLITS),
    "one-hot": (columns, with_target(lambda y: np.eye(3, dtype="float32")[y])),
    "column": (binary, with_target(lambda y: (y > 0).astype("float32")[:, None])),
}


def made(kind="classes", space=None, **options):
    build, data = TARGETS[kind]
    problem = problem_of(build, SPACE | (space or {}), data, **options)
    return problem, load_data(problem)


def trials_of(problem, fold=None):
    return [
        Trial(i, each, 3, each["epochs"], i, fold)
        for i, each in enumerate(problem.grid[i] for i in range(problem.grid.size))
    ]


def packed(problem, data, trials):
    """The outcomes of a pack, by the number of the trial."""
    packing = probe(problem, data, Job(3, "jax"), pack=True).packing
    reports = train_pack(problem, data, trials, packing)
    every = [outcome for report in reports for outcome in report.outcomes]
    ended = {(each.engine, each.status, each.error) for each in every}
    assert ended == {("vectorized", "ok", "")}
    told = {(each.trial.number, each.trial.fold): each for each in every}
    return [told[trial.number, trial.fold] for trial in trials]


def plainly(problem, data, trial, *, size=16, rows=None, validation=None, **weights):
    """The curve and test scores of plain Keras: its own `fit`, an epoch a call."""
    model = compiled_model(problem, trial.configuration, trial.seed)
    with compiled_fast():
        return _plainly(model, data, trial, size, rows, validation, weights)


def _plainly(model, data, trial, size, rows, validation, weights):
    x, y = data["train"][:2] if rows is None else [part[rows] for part in data["train"][:2]]
    held = data["validation"] if validation is None else [p[validation] for p in data["train"][:2]]
    curve = []
    for epoch in range(trial.epochs):
        order = tuning.row_order(trial.seed, epoch, len(x))
        options = {name: w[order] if name == "sample_weight" else w for name, w in weights.items()}
        logs = model.fit(
            x[order], y[order], batch_size=size, shuffle=False, verbose=0, **options,
            validation_data=tuple(held),
        ).history  # fmt: skip
        curve.append({name: values[0] for name, values in logs.items()})
    return curve, model.evaluate(*data["test"], verbose=0, return_dict=True)


def by_fit(problem, data, trial):
    """The outcome of the engine `fit`."""
    with compiled_fast():
        return fit_on(problem, data, trial).outcome


def balanced(y):
    """The weights of classes as scikit-learn has them."""
    found = np.unique(y)
    return dict(
        zip(found.tolist(), compute_class_weight("balanced", classes=found, y=y), strict=True)
    )


def same_as(outcome, curve, tests):
    assert len(outcome.curve) == len(curve)
    for own, other in zip(outcome.curve, curve, strict=True):
        assert own == pytest.approx(other, rel=3e-5, abs=3e-6)
    own = {name: value for name, value in outcome.metrics.items() if name.startswith("test_")}
    assert own == pytest.approx({f"test_{k}": v for k, v in tests.items()}, rel=3e-5, abs=3e-6)


@pytest.mark.parametrize(
    "kind", ["classes", *(pytest.param(each, marks=pytest.mark.slow) for each in list(TARGETS)[1:])]
)
def test_weights_of_classes_train_as_keras_fit_does(kind):
    values = [None, "balanced", {0: 0.5, 1: 3.0}, {1: 4, 7: 2}]
    problem, data = made(kind, {"class_weight": values})
    y = data["train"][1]
    of_classes = balanced(np.argmax(y, 1) if kind == "one-hot" else y.reshape(-1).astype(int))
    trials = trials_of(problem)
    for trial, outcome in zip(trials, packed(problem, data, trials), strict=True):
        weight = problem.space.values(trial.configuration)["class_weight"]
        if weight == "balanced":
            weight = of_classes
        expected = plainly(problem, data, trial, class_weight=weight)
        same_as(outcome, *expected)
        same_as(by_fit(problem, data, trial), *expected)


def test_balanced_counts_the_rows_of_each_fold():
    problem, data = made(folds=FOLDS, class_weight="balanced")
    trials = [replace(trials_of(problem)[0], fold=fold) for fold in (0, 1)]
    for trial, outcome in zip(trials, packed(problem, data, trials), strict=True):
        rows, validation = FOLDS[trial.fold]
        y = data["train"][1][rows]
        cut = {"rows": rows, "validation": validation}
        expected = plainly(problem, data, trial, **cut, class_weight=balanced(y))
        same_as(outcome, *expected)
        same_as(by_fit(problem, data, trial), *expected)


def test_a_function_of_the_configuration_shares_a_program_on_a_range():
    data = load_data(FILE)
    packing = probe(FILE, data, Job(3, "jax"), pack=True).packing
    assert packing.axes["rare"].kind == "lifted"
    assert packing.axes["rare"].why == "a number in row_weights"
    config = {"learning_rate": 0.02, "epochs": 2}
    trials = [Trial(i, config | {"rare": rare}, 0, 2) for i, rare in enumerate((1.5, 6.25))]
    (members,) = programs_of(Task(FILE, numbered(FILE, data), packing), trials)[0].values()
    assert len(members) == 2
    for trial, outcome in zip(trials, packed(FILE, data, trials), strict=True):
        weight = {0: 1.0, 2: trial.configuration["rare"]}
        same_as(outcome, *plainly(FILE, data, trial, size=32, class_weight=weight))


@pytest.mark.parametrize("fold", [None, 0])
def test_strategies_of_sample_weights_train_as_keras_fit_does(fold):
    values = [None, "balanced", near_or_far]
    folds = None if fold is None else FOLDS
    problem, data = made(space={"sample_weight": values}, folds=folds)
    trials = [replace(trial, fold=fold) for trial in trials_of(problem)]
    rows, validation = (None, None) if fold is None else FOLDS[fold]
    for trial, outcome in zip(trials, packed(problem, data, trials), strict=True):
        strategy = problem.space.values(trial.configuration)["sample_weight"]
        x, y = data["train"] if rows is None else (part[rows] for part in data["train"])
        given = strategy(x, y) if callable(strategy) else strategy
        given = tuning.row_weights(y, "balanced") if strategy == "balanced" else given
        weights = {} if given is None else {"sample_weight": given}
        expected = plainly(problem, data, trial, rows=rows, validation=validation, **weights)
        same_as(outcome, *expected)
        same_as(by_fit(problem, data, trial), *expected)


def two_outputs(config):
    x = keras.Input((6,))
    outputs = {name: keras.layers.Dense(1, name=name)(x) for name in ("a", "b")}
    model = keras.Model(x, outputs)
    model.compile(keras.optimizers.SGD(config["learning_rate"]), {"a": "mse", "b": "mae"})
    return model


def of_outputs(x, y):
    return {"a": 1 + x[:, 0] ** 2, "b": np.where(y["b"][:, 0] > 0, 3.0, 0.5)}


@pytest.mark.parametrize("strategy", [of_outputs, lambda x, y: 1 + x[:, 0] ** 2])
def test_each_output_has_weights_of_its_own(strategy):
    data = {
        name: (x, {"a": x[:, :1], "b": x[:, 1:2] - x[:, 2:3]}) for name, (x, _) in SPLITS.items()
    }
    problem = problem_of(two_outputs, SPACE, data, sample_weight=strategy, metric="val_loss")
    (trial,) = trials_of(problem)
    (outcome,) = packed(problem, load_data(problem), [trial])
    alone = by_fit(problem, load_data(problem), trial)
    x, y = data["train"]
    weights = strategy(x, y)
    data["train"] = (x, y, weights if isinstance(weights, dict) else {"a": weights, "b": weights})
    given = problem_of(two_outputs, SPACE, data, metric="val_loss")
    known = by_fit(given, load_data(given), trial)
    assert alone.metrics == known.metrics
    assert outcome.metrics == pytest.approx(known.metrics, rel=3e-5)


def test_columns_of_zeros_are_left_out_beside_weights():
    data = {name: (x * (np.arange(6) != 2), y) for name, (x, y) in SPLITS.items()}
    for options in ({}, {"class_weight": "balanced"}):
        problem = problem_of(classes, SPACE, data, **options)
        own = numbered(problem, load_data(problem))
        (members,) = programs_of(Task(problem, own, UNPACKED), trials_of(problem))[0].values()
        program = program_of(Task(problem, own, UNPACKED), members)
        assert program.kept.tolist() == [0, 1, 3, 4, 5]
    (trial,) = trials_of(problem)
    (outcome,) = packed(problem, load_data(problem), [trial])
    same_as(outcome, *plainly(problem, data, trial, class_weight=balanced(data["train"][1])))


def test_members_of_other_weights_are_never_taken_for_each_other():
    problem, data = made(space={"class_weight": [None, {0: 1, 9: 3}, {0: 2}, "balanced"]})
    trials = trials_of(problem)
    task = Task(problem, numbered(problem, data), UNPACKED)
    (members,) = programs_of(task, trials)[0].values()
    assert len({member.steps.origin for member in members}) == 3  # nothing has the class 9
    assert [len(member.trials) for member in once(members)] == [2, 1, 1]


def test_a_weight_that_depends_on_the_epochs_makes_trainings_of_their_own():
    problem, data = made(
        space={"epochs": [1, 2]}, class_weight=lambda config: {0: config["epochs"] * 2.0}
    )
    trials = trials_of(problem)
    for trial, outcome in zip(trials, packed(problem, data, trials), strict=True):
        weight = {0: trial.epochs * 2.0}
        same_as(outcome, *plainly(problem, data, trial, class_weight=weight))


def test_a_step_of_keras_is_timed_with_weights(monkeypatch):
    problem, data = made(space={"epochs": [3]}, class_weight={0: 0.5, 1: 2})
    packing = probe(problem, data, Job(3, "jax"), pack=True).packing
    monkeypatch.setattr(vectorized, "COMPARED_SECONDS", -1.0)
    monkeypatch.setattr(vectorized, "FASTER", 0.0)
    monkeypatch.setattr(vectorized.Program, "doubtful", ("sort",))
    (trial,) = trials_of(problem)
    (report,) = train_pack(problem, data, [trial], packing)
    (outcome,) = report.outcomes
    assert outcome.engine.startswith("fit: it is faster")
    same_as(outcome, *plainly(problem, data, trial, class_weight={0: 0.5, 1: 2}))


def test_the_weights_of_classes_are_those_of_keras():
    from keras.src.trainers.data_adapters.data_adapter_utils import class_weight_to_sample_weights

    weight = {0: 0.25, 1: 3, 3: 0.0, -1: 2.0}
    random = np.random.default_rng(1)
    for y in (
        random.integers(-2, 5, 40),
        random.integers(0, 5, (40, 1)).astype("float32"),
        random.normal(size=40) * 3,
        random.normal(size=(40, 4)),
        random.integers(0, 2, 40) > 0,
    ):
        own = tuning.row_weights(y, weight)
        np.testing.assert_array_equal(
            own.astype("float32"), class_weight_to_sample_weights(y, weight)
        )
    np.testing.assert_array_equal(tuning.row_weights([0, 1, 1], None), [1, 1, 1])
    np.testing.assert_allclose(tuning.row_weights([0, 1, 1], "balanced"), [1.5, 0.75, 0.75])
