"""Searches of problems whose training rows weigh: by call, by file and by the command."""

import numpy as np
import pytest

import tuning
from tests.conftest import PROBLEMS
from tuning.engines.scores import shortest_float32
from tuning.errors import TuningError
from tuning.problem.file import load_problem
from tuning.problem.problem import load_data
from tuning.trial import Trial

WEIGHED = PROBLEMS / "weighed.py"
FILE = load_problem(str(WEIGHED))
DATA = FILE.load_data()
SPACE = {"learning_rate": [0.03], "epochs": [1, 2]}


def rare_ones(config):
    return {0: 1.0, 2: config["rare"]}


def far_ones(x, y):
    return 1 + (np.abs(x[:, 0]) > 1)


def search(space=None, data=DATA, **options):
    asked = {"strategy": None, "sweep": "all", "workers": 0, "keep": 0, "cache": False} | options
    return tuning.search(FILE.build_model, SPACE | (space or {}), data, **asked)


def scores(results):
    trials = results.trials.sort_values("trial")
    assert (trials["status"] == "ok").all(), trials["error"].tolist()
    return trials[["val_loss", "test_loss", "train_loss"]].to_numpy()


def test_a_dict_a_function_and_an_axis_are_the_same():
    given = search(class_weight={0: 1, 2: 3.5})
    assert set(given.trials["engine"]) == {"vectorized"}
    assert given.manifest.problem.weighing == {"class_weight": {"items": [[0, 1.0], [2, 3.5]]}}
    for same in (
        search(space={"rare": [3.5]}, class_weight=rare_ones),
        search(space={"class_weight": [{0: 1, 2: 3.5}]}),
    ):
        np.testing.assert_allclose(scores(same), scores(given), rtol=1e-6)
    assert np.abs(scores(search()) - scores(given)).max() > 1e-3


@pytest.mark.slow
def test_workers_have_the_functions_by_value():
    """Also the engine `fit`, and a strategy that has trainings go on."""
    axes = {"rare": [1.0, 2.0, 4.0, 8.0], "epochs": [2]}
    every = search(axes, class_weight=rare_ones, workers=1)
    alone = search(axes, class_weight=rare_ones, engine="fit")
    np.testing.assert_allclose(scores(every), scores(alone), rtol=3e-5)
    halved = search(
        axes | {"epochs": [1, 2, 4]}, class_weight=rare_ones, workers=1,
        strategy="halving", sweep=None, trials=4,
    )  # fmt: skip
    trials = halved.trials
    assert set(trials["engine"]) == {"vectorized"}
    assert trials["trained_epochs"].nunique() > 1
    for row in trials[trials["trained_epochs"] == 2].itertuples():
        same = every.trials[every.trials["rare"] == row.rare].iloc[0]
        assert row.val_loss == pytest.approx(same["val_loss"], rel=3e-5)


def test_folds_have_weights_of_their_own():
    whole = {"train": tuple(np.concatenate([DATA[s][i] for s in ("train", "validation")])
                            for i in (0, 1))}  # fmt: skip
    options = {"space": {"epochs": [2]}, "data": whole, "folds": 2, "class_weight": "balanced"}
    packed, alone = search(**options, keep=1), search(**options, engine="fit")
    assert len(packed.parts) == 2
    assert set(packed.parts["engine"]) == {"vectorized"}
    columns = ["trial", "seed", "fold"]
    one, other = (each.parts.sort_values(columns)["val_loss"] for each in (packed, alone))
    np.testing.assert_allclose(one, other, rtol=3e-5)
    assert packed.best_model().count_params() > 0


def only_some(config):
    return {0: 2.0} if config["rare"] < 3 else 17


@pytest.mark.parametrize("engine", ["auto", "fit"])
def test_a_function_that_fails_for_a_configuration_fails_its_trials_alone(engine):
    trials = search({"rare": [1.0, 5.0], "epochs": [1]}, class_weight=only_some, engine=engine)
    trials = trials.trials.sort_values("trial")
    assert trials["status"].tolist() == ["ok", "failed"]
    assert "class_weight takes None, 'balanced' or a dict of classes" in trials["error"].iloc[1]


def test_finalists_are_trained_with_weights():
    found = search(space={"rare": [1.0, 5.0]}, class_weight=rare_ones, finalists=1, repeats=1)
    row = found.finalists().iloc[0]
    again = search(space={"rare": [row["rare"]]}, class_weight=rare_ones, seed=1)
    same = again.trials[again.trials["epochs"] == row["epochs"]].iloc[0]
    assert row["test_accuracy_mean"] == pytest.approx(same["test_accuracy"])
    assert row["val_accuracy_mean"] == pytest.approx(same["val_accuracy"])


def test_other_weights_are_another_run(tmp_path):
    search(class_weight={0: 1, 2: 3.5}, out=tmp_path / "run")
    again = search(class_weight={0: 1, 2: 3.5}, out=tmp_path / "run")
    assert len(again.trials) == 2
    with pytest.raises(TuningError, match="value class_weight has changed"):
        search(class_weight={0: 1, 2: 3}, out=tmp_path / "run")
    with pytest.raises(TuningError, match="class_weight is only in the run"):
        search(out=tmp_path / "run")


REPEATED = {
    "dict": ({}, {"class_weight": {0: 1, 2: 3.5}}, "(y, {0: 1.0, 2: 3.5})"),
    "function": ({"rare": [3.5]}, {"class_weight": rare_ones}, "(y, class_weight(config))"),
    "axis": ({"class_weight": [None, {0: 1, 2: 3.5}]}, {}, '(y, config["class_weight"])'),
    "balanced": ({}, {"sample_weight": "balanced"}, "(y, 'balanced')"),
    "rows": ({}, {"sample_weight": far_ones}, "train = x, y, sample_weight(x, y)\n"),
    "strategies": (
        {"sample_weight": ["balanced", None, far_ones]}, {}, 'config["sample_weight"](x, y)\n',
    ),
}  # fmt: skip


@pytest.mark.parametrize(
    "kind",
    ["function", "strategies"]
    + [pytest.param(e, marks=pytest.mark.slow) for e in ("dict", "axis", "balanced", "rows")],
)
def test_the_printed_lines_train_with_the_same_weights(kind):
    space, options, says = REPEATED[kind]
    results = search({"epochs": [2]} | space, **options, engine="fit")
    row = results.trials.sort_values("trial").iloc[-1]
    text = results.how_to_repeat(row)
    assert says in text
    if callable(given := options.get("class_weight", options.get("sample_weight"))):
        assert "# build_model and " in text
    names = {
        "build_model": FILE.build_model, "load_data": lambda: DATA, "rare_ones": rare_ones,
        "far_ones": far_ones, "class_weight": given, "sample_weight": given,
    }  # fmt: skip
    exec(text, names)
    history = {name: values[-1] for name, values in names["history"].history.items()}
    for name in ("val_loss", "val_accuracy"):
        assert shortest_float32(history[name]) == row[name]
    assert shortest_float32(names["scores"]["loss"]) == row["test_loss"]
    if kind == "strategies":
        plain = results.how_to_repeat(1)
        assert 'array[rows], data["train"])' in plain
        assert "x, y" not in plain


def test_a_file_has_weights_for_the_command(run, tmp_path):
    done = run("tuning", "run", "--problem", WEIGHED, "--random", "4", "--out", "own")
    assert done.returncode == 0, done.stderr
    results = tuning.open(tmp_path / "own")
    assert results.manifest.packing["rare"] == "lifted"
    trials = results.trials
    assert set(trials["engine"]) == {"vectorized"}
    row = trials.iloc[2]
    config = {name: row[name] for name in FILE.space.parameters}
    trial = Trial(0, config | {"epochs": 2}, int(row["seed"]), 2)
    alone = fit_of(trial)
    assert row["val_loss"] == pytest.approx(alone.metrics["val_loss"], rel=3e-5)
    text = results.how_to_repeat(row)
    assert "build_model, load_data, class_weight = problem.build_model, problem.load_data, " in text
    assert "tuning.row_weights(y, class_weight(config))" in text


def fit_of(trial):
    from tuning.engines.fit import fit_on

    return fit_on(FILE, load_data(FILE), trial).outcome
