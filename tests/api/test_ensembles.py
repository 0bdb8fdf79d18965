"""The ensemble of a run: made of the models that it keeps, and shown beside the best of them."""

import io
import json

import numpy as np
import pytest
from rich.console import Console

import tuning
from tests.conftest import TINY, evaluated_apart
from tuning import TuningError, load_problem
from tuning.cli.commands import main
from tuning.report.analyse import analyse

pytestmark = pytest.mark.usefixtures("worker")

PROBLEM = load_problem(str(TINY))
DATA = PROBLEM.load_data()
METRICS = ["loss", "accuracy"]
SPACE = {  # of one program
    "batch_size": 16,
    "units": 8,
    "activation": "tanh",
    "learning_rate": [0.003, 0.01, 0.03, 0.1, 0.3],
    "epochs": [1, 2],
}


def searched(path, data=DATA, **options):
    options = {"trials": 8, "keep": 4, **options}
    return tuning.search(
        PROBLEM.build_model, SPACE, data, out=path, workers=0, cache=False, **options
    )


@pytest.fixture(scope="module")
def results(tmp_path_factory, worker):
    return searched(tmp_path_factory.mktemp("results") / "run")


def test_the_mean_of_the_best_is_a_plain_file_whose_scores_are_told(results):
    models = results.best_models(3)
    model = results.ensemble(3)
    x = DATA["test"][0]
    expected = np.mean([each.predict(x, verbose=0) for each in models], axis=0)
    np.testing.assert_allclose(model.predict(x, verbose=0), expected, rtol=1e-5)
    scores = results.ensemble_scores()
    assert list(scores) == [f"{split}_{name}" for split in ("val", "test") for name in METRICS]
    assert model.evaluate(*DATA["validation"], verbose=0) == pytest.approx(
        scores.loc["ensemble", ["val_loss", "val_accuracy"]].tolist()
    )
    best = results.best().iloc[0]
    for name in scores:
        assert scores.loc["best", name] == pytest.approx(best[name], rel=1e-5)
    file = results.path / "ensemble.keras"
    given = {file: ({"val": DATA["validation"], "test": DATA["test"]}, 32)}
    apart = evaluated_apart(given)[file]
    file.with_suffix(".pickle").unlink()
    assert apart == pytest.approx(scores.loc["ensemble"].to_dict(), rel=1e-5)


def test_a_greedy_selection_is_told_with_its_weights(results):
    results.ensemble(4, "greedy", bags=2)
    about = json.loads((results.path / "ensemble.json").read_text())
    assert (about["selection"], about["asked"]) == ("greedy", 4)
    kept = results.best(4)[["strategy", "trial"]].to_numpy().tolist()
    assert all([each["strategy"], each["trial"]] in kept for each in about["parts"])
    assert all(each["taken"] > 0 for each in about["parts"])
    results.ensemble(4, "greedy")
    scores = results.ensemble_scores()["val_accuracy"]
    assert scores["ensemble"] >= scores["best"]


def test_the_report_has_it_beside_the_best_single_one(results):
    results.ensemble(2)
    own, best = results.ensemble_scores()[["val_accuracy", "test_accuracy"]].to_numpy()
    said = (
        f"The mean of the 2 best models (ensemble.keras) has val_accuracy {own[0]:.4f}, "
        f"test_accuracy {own[1]:.4f}; the best single model has val_accuracy {best[0]:.4f}"
    )
    assert said in str(results.report())
    analyse(results.path, [], Console(file=io.StringIO(), width=200))
    assert said in (results.path / "report.html").read_text()


def test_models_of_all_strategies_are_taken_each_configuration_once(tmp_path):
    results = searched(tmp_path / "run", trials=5, sweep=5, keep=2)
    results.ensemble(3)
    about = json.loads((results.path / "ensemble.json").read_text())
    names = {(each["strategy"], each["trial"]) for each in about["parts"]}
    rows = [
        row for row in results.trials.to_dict("records") if (row["strategy"], row["trial"]) in names
    ]
    assert len({row["index"] for row in rows}) == 3
    assert {row["strategy"] for row in rows} == {"random", "sweep"}


def test_what_cannot_be_made_is_refused(results, make_run):
    with pytest.raises(TuningError, match=r"an ensemble of 9 takes .* keeps 4: search with keep=9"):
        results.ensemble(9)
    with pytest.raises(TuningError, match="k takes a whole number from 1, not 0"):
        results.ensemble(0)
    with pytest.raises(TuningError, match="selection takes 'best' or 'greedy', not 'all'"):
        results.ensemble(2, "all")
    with pytest.raises(TuningError, match="bags are of the selection 'greedy'"):
        results.ensemble(2, bags=3)
    with pytest.raises(TuningError, match="the run was made by functions"):
        tuning.open(results.path).ensemble(2)
    with pytest.raises(TuningError, match=r"the run has no ensemble: results.ensemble"):
        tuning.open(make_run()).ensemble_scores()


def test_the_command_makes_one_of_a_run_of_a_file(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    search = f"run --problem {TINY} --strategy random --trials 6 --keep 3 --workers 0 --out run"
    assert main(search.split()) == 0
    capsys.readouterr()
    assert main(["ensemble", "run", "--k", "3", "--selection", "greedy"]) == 0
    said = capsys.readouterr().out
    assert "of the 3 best models" in said.replace("\n", " ")
    assert said.endswith("wrote run/ensemble.keras\n")
    assert main(["ensemble", "run"]) == 2
    assert "and run keeps 3: search with keep=5" in capsys.readouterr().err
