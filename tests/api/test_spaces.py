"""Searches of spaces with any values, through `tuning.search`, with real small models."""

import functools
import json

import numpy as np
import pytest

import tuning
from tests.made import write_run
from tuning import Choice, Float, Grid, Int, Space, TuningError
from tuning.api.explain import explanation_tables
from tuning.api.search import _sharded
from tuning.api.settings import Request, settle
from tuning.execution import worker
from tuning.packing.axes import completed, having
from tuning.problem.functions import problem_of
from tuning.problem.problem import load_data
from tuning.report.analyse import analyse
from tuning.report.terminal import Output
from tuning.runs.publish import publish
from tuning.runs.run import Run

RANDOM = np.random.default_rng(0)
X = RANDOM.normal(size=(64, 4)).astype("float32")
PART = X, (X[:, :1] > 0).astype("float32")
DATA = {"train": PART, "validation": PART, "test": PART}


def softer(x):
    import keras

    return keras.ops.tanh(x / 2)


class Wide:
    """A class whose instances say how wide a layer is."""

    units = 6


def build(config):
    """A model that fails if a value is not what it was in the space."""
    import keras

    model = keras.Sequential([keras.Input((4,))])
    widths = config["widths"]
    assert type(widths) in (tuple, list)
    while widths:  # the configuration is its own
        model.add(keras.layers.Dense(widths[0], activation=config["activation"]))
        widths = widths[1:]
        if isinstance(config["widths"], list):
            config["widths"].pop(0)
    if config["flag"] is True:
        model.add(keras.layers.LayerNormalization())
    wide = config["wide"]
    model.add(keras.layers.Dense(wide["units"] if isinstance(wide, dict) else wide.units))
    model.add(keras.layers.Dense(1, activation="sigmoid"))
    model.compile(keras.optimizers.SGD(0.1), "binary_crossentropy", metrics=["accuracy"])
    return model


ANY = {
    "widths": [(3, 2), [3], (2,)],
    "activation": [softer, None, "relu"],
    "flag": [True, False],
    "wide": [{"units": 5}, Wide],
}

START = [
    {"widths": (3, 2), "activation": softer, "flag": True, "wide": Wide},
    {"widths": [3], "activation": None, "flag": False, "wide": {"units": 5}},
]


def search(build_model=build, space=ANY, **options):
    options = {"workers": 0, "trials": 6, "backend": "jax", "cache": False, **options}
    return tuning.search(build_model, space, DATA, **options)


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    return search(out=tmp_path_factory.mktemp("any") / "run", trials=3, start=START)


def test_values_may_be_anything_and_are_labels_in_the_table(found):
    trials = found.trials
    assert trials["status"].tolist() == ["ok"] * 3, trials["error"].tolist()
    assert trials["widths"].tolist()[:2] == ["(3, 2)", "[3]"]
    assert trials["activation"].tolist()[0] == "softer"
    assert trials["activation"].isna()[1]
    assert trials["flag"].tolist()[:2] == [True, False]
    assert trials["wide"].tolist()[:2] == ["Wide", "{'units': 5}"]
    assert trials["index"].notna().all()


def test_results_give_the_values_back(found):
    assert found.configuration(0) == {
        "widths": (3, 2), "activation": softer, "flag": True, "wide": Wide,
    }  # fmt: skip
    assert found.configuration(found.trials.iloc[1])["widths"] == [3]
    said = found.how_to_repeat(0)
    assert "{'widths': (3, 2), 'activation': softer, 'flag': True, 'wide': Wide}" in said
    assert found.best_model().count_params() > 0


def test_a_run_that_is_opened_has_the_values_that_json_can_carry(found):
    opened = tuning.open(found.path)
    assert opened.configuration(1) == found.configuration(1)
    with pytest.warns(UserWarning, match=r"only names are known of activation \(softer\), wide"):
        configuration = opened.configuration(0)
    assert configuration == {
        "widths": (3, 2), "activation": "softer", "flag": True, "wide": "Wide",
    }  # fmt: skip


def test_a_resume_knows_the_values_again(found):
    before = found.trials.iloc[:3]
    longer = search(out=found.path, trials=4, start=START)
    assert len(longer.trials) == 4
    assert longer.trials.iloc[:3].equals(before)
    with pytest.raises(TuningError, match=r"its axis 'widths' has .* not "):
        search(out=found.path, space={**ANY, "widths": [(3, 2), [4], (2,)]})

    def another(x):
        return x / 3

    another.__qualname__ = another.__name__ = "softer"
    with pytest.raises(TuningError, match="its function softer has changed"):
        search(
            out=found.path,
            space={**ANY, "activation": [another, None, "relu"]},
            trials=4,
            start=[{**START[0], "activation": another}, START[1]],
        )


def test_programs_are_told_apart_by_labels_of_values_that_have_no_hash():
    space = {**ANY, "activation": ["relu", "tanh"]}
    problem = problem_of(build, space, DATA, name="lists", metric="val_loss", mode="min")
    packing = worker.probe(problem, load_data(problem), worker.Job(0, "jax"), pack=True).packing
    assert not packing.reason
    programs = {packing.program(problem.space[i]) for i in range(problem.space.size)}
    of_widths = {packing.axes["widths"].class_of(label) for label in ("(3, 2)", "[3]", "(2,)")}
    assert len(of_widths) == 3
    assert len(programs) > 3


def test_workers_get_the_values(tmp_path):
    results = search(workers=1, trials=2, out=tmp_path / "run", start=START)
    assert results.trials["status"].tolist() == ["ok"] * 2, results.trials["error"].tolist()


def build_layers(config):
    import keras

    model = keras.Sequential([keras.Input((4,))])
    for i in range(1, config["layers"] + 1):
        model.add(keras.layers.Dense(config[f"units_{i}"], activation=config["activation"]))
    model.add(keras.layers.Dropout(config["dropout"]))
    model.add(keras.layers.Dense(1, activation="sigmoid"))
    optimizer = keras.optimizers.Adam(config["rate"])
    model.compile(optimizer, "binary_crossentropy", metrics=["accuracy"])
    return model


LAYERS = {
    "layers": [1, 2],
    "units_1": Int(2, 40, log=True),
    "units_2": Choice([3, 4]).when(layers=2),
    "activation": Choice(["relu", softer, None]),
    "dropout": Float(0.0, 0.5),
    "rate": Float(1e-4, 1e-1, log=True),
    "epochs": Int(1, 3),
    "batch_size": 32,
}


@pytest.fixture(scope="module")
def layered(tmp_path_factory):
    return search(build_layers, LAYERS, out=tmp_path_factory.mktemp("layers") / "run")


def test_a_space_without_an_index(layered):
    trials = layered.trials
    assert trials["status"].tolist() == ["ok"] * 6, trials["error"].tolist()
    assert trials["index"].isna().all()
    assert (trials["units_2"].isna() == (trials["layers"] == 1)).all()
    assert trials["activation"].notna().all()  # None is a value, and has a label
    assert tuning.load_results(layered.path).equals(trials)
    assert len(layered.best(4)) == 4
    assert layered.best_model().count_params() > 0
    packing = layered.manifest.packing
    assert packing == {
        "layers": "structural", "units_1": "structural", "units_2": "structural",
        "activation": "structural", "dropout": "lifted", "rate": "lifted",
        "epochs": "fidelity", "batch_size": "structural",
    }  # fmt: skip


def test_a_longer_search_of_a_space_begins_with_the_shorter(layered):
    before = layered.trials
    after = search(build_layers, LAYERS, out=layered.path, trials=8).trials
    assert after.iloc[:6].drop(columns="units_2").equals(before.drop(columns="units_2"))
    assert len(after) == 8
    changed = {**LAYERS, "rate": Float(1e-4, 1.0, log=True)}
    says = r"its axis 'rate' has 0.0001 to 0.1, log, not 0.0001 to 1, log"
    with pytest.raises(TuningError, match=says):
        search(build_layers, changed, out=layered.path)


def test_the_report_and_the_published_tables_of_a_space(layered, tmp_path, capsys):
    analyse(layered.path, [], Output())
    said = capsys.readouterr().out
    assert "with the configuration of trial" in said
    assert "0.001 to 0.00316" in said
    page = (layered.path / "report.html").read_text()
    assert "configurations that were trained, and says nothing of the others" in page
    assert "of any number of configurations" in page
    publish(layered.path, tmp_path / "small")
    small, whole = tuning.load_results(tmp_path / "small"), tuning.load_results(layered.path)
    for name in LAYERS:
        assert small[name].tolist() == whole[name].tolist() or small[name].equals(whole[name])


def test_any_numbers_of_a_range_share_a_program(tmp_path):
    space = {"rate": Float(1e-4, 1e-1, log=True), "dropout": Float(0.0, 0.5), "epochs": Int(1, 4)}
    fixed = {"layers": 1, "units_1": 4, "activation": "relu"}
    results = search(build_layers, {**space, **fixed}, trials=8, out=tmp_path / "run")
    packs = results.trials.groupby("worker")["engine"].unique()
    assert [list(each) for each in packs] == [["vectorized"]]
    problem = problem_of(build_layers, {**space, **fixed}, DATA)
    found = worker.look(problem, load_data(problem), worker.Job(0, "jax"), True).packing
    space = problem.space
    some = [trial.configuration for trial in tuning.RandomSampler(space, 50, 0).ask(50)]
    programs, trajectories, epochs = found.count_of(some)
    assert (programs, trajectories) == (1, 50)
    assert epochs == sum(each["epochs"] for each in some)
    kinds, sums = explanation_tables(found, space)
    assert sums.row_count == 3
    assert kinds.row_count == len(space.parameters)


def test_what_exists_beside_others_is_looked_at_where_it_exists():
    space = Space(
        {
            "layers": [1, 2, 3],
            "second": Int(4, 90).when(layers=[2, 3]),
            "third": Float(0, 1).when(second=[5, 6], layers=3),
        }
    )
    base = completed(space, {})
    assert base == {"layers": 1}
    assert having(space, base, "second") == {"layers": 2, "second": 47}
    assert having(space, base, "third") == {"layers": 3, "second": 5, "third": 0.5}


def test_trials_of_one_configuration_are_one_training_in_any_strategy(tmp_path):
    """A row of a space is known by its configuration, as that of a grid is by its index."""
    space = {"rate": Float(0.01, 0.1), "dropout": 0.1, "layers": 1, "units_1": 3, "epochs": 2}
    space |= {"activation": "relu"}
    results = search(build_layers, space, trials=3, out=tmp_path / "run")
    with Run.open(results.path) as run:
        (trial,) = tuning.RandomSampler(run.manifest.space, 1, 0).ask(1)
        assert run.has(trial)
        assert (
            run.point("random", 0) == trial.point == json.dumps(trial.configuration, sort_keys=True)
        )
        ((strategy, outcome),) = run.copy([("other", trial)])
        assert (strategy, outcome.status, len(outcome.curve)) == ("other", "ok", 2)
    assert len(tuning.load_results(results.path)) == 4


def test_a_partial_function_is_a_value(tmp_path):
    def scaled(x, by):
        return x * by

    space = {**ANY, "activation": [functools.partial(scaled, by=0.5)], "wide": [Wide]}
    results = search(space=space, trials=2, out=tmp_path / "run")
    assert results.trials["activation"].tolist() == ["scaled(by=0.5)"] * 2
    assert results.trials["status"].tolist() == ["ok"] * 2, results.trials["error"].tolist()
    other = {**space, "activation": [functools.partial(scaled, by=0.25)]}
    with pytest.raises(TuningError, match=r"'activation' has \['scaled\(by=0.5\)'\], not"):
        search(space=other, trials=2, out=tmp_path / "run")


def test_shorter_trainings_of_a_draw_are_trials_as_well():
    space = Space({"rate": Float(0.01, 0.1), "epochs": Int(1, 4)})
    sampler = tuning.RandomSampler(space, 3, seed=5, trajectories=True)
    trials = sampler.ask(100)
    assert [trial.epochs for trial in trials] == [4, 3, 2, 1] * 3
    assert len({trial.configuration["rate"] for trial in trials}) == 3
    assert [trial.number for trial in trials] == list(range(12))
    longer = tuning.RandomSampler(space, 4, seed=5, trajectories=True)
    assert longer.begins_with(sampler)
    assert longer.ask(12) == trials
    grid = Grid({"rate": [0.1, 0.2, 0.3], "epochs": [1, 5]})
    trials = tuning.RandomSampler(grid, 3, seed=0, trajectories=True).ask(10)
    assert sorted(trial.index for trial in trials) == list(range(6))
    with pytest.raises(TuningError, match="take a number from 0 to 3"):
        tuning.RandomSampler(grid, 4, seed=0, trajectories=True)


def test_a_row_of_a_problem_file_is_repeated_by_its_labels(tmp_path):
    """The lines take the value from the file, where a name alone would not be known."""
    facts = {"values": {"activation": {"relu": {"lost": "function"}}}, "source": "mine.py"}
    path = write_run(tmp_path, trials=[0], **facts)
    said = tuning.open(path).how_to_repeat(0)
    assert "problem = tuning.load_problem('mine.py')" in said
    assert "problem.space.values({'width': 8, 'activation': 'relu', " in said


def test_shards_of_a_random_search_of_a_space_are_apart_and_all_of_it(tmp_path):
    (tmp_path / "mine.py").write_text(
        "import tuning\nspace = {'a': [1, 2], 'b': tuning.Float(0, 1), 'epochs': tuning.Int(1, 3)}"
        "\ndef load_data(): ...\ndef build_model(config): ...\n"
    )
    source = str(tmp_path / "mine.py")
    kinds = {"a": "structural", "b": "lifted", "epochs": "fidelity"}
    parts = []
    for k in (1, 2, 3):
        settings = settle(Request(problem=source, random=60, shard=f"{k}/3", out=tmp_path / "r"))
        (sampler,) = _sharded(settings, kinds).samplers.values()
        parts.append({trial.number for trial in sampler.ask(100)})
    assert sorted(number for part in parts for number in part) == list(range(60))
    assert min(map(len, parts)) > 8
