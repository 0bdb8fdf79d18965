"""What a search refuses before anything is trained, and the models that it keeps."""

from types import SimpleNamespace

import numpy as np
import pytest

import tuning
from tests.conftest import REPOSITORY
from tuning import TuningError, load_problem
from tuning.api.search import _probe
from tuning.execution.worker import Job, probe
from tuning.problem.problem import load_data

F1 = REPOSITORY / "tests" / "zoo" / "metric_f1_vector.py"


@pytest.mark.usefixtures("worker")
def test_an_array_does_not_judge_but_one_of_its_numbers_may(tmp_path):
    def probed(metric):
        path = tmp_path / f"by_{metric[-2]}.py"
        beside = f"import sys\nsys.path.append({str(F1.parent)!r})\n"
        path.write_text(f"{beside}{F1.read_text()}metric = {metric!r}\n")
        problem = load_problem(str(path))
        found = probe(problem, load_data(problem), Job(0, "jax"), pack=False)
        executor = SimpleNamespace(probe=lambda known: found)
        return _probe(problem, executor, ["train", "validation", "test"], None)

    assert probed("val_f1_score[1]").metrics == ["loss", "accuracy"] + [
        f"f1_score[{i}]" for i in range(3)
    ]
    says = r"which is an array: let its metric .*, one of val_f1_score\[0\] to val_f1_score\[2\]$"
    with pytest.raises(TuningError, match=says):
        probed("val_f1_score")


X, Y = np.linspace(-1, 1, 64).reshape(32, 2), np.arange(32.0) % 2
SPACE = {"units": [1, 2], "rate": [0.001, 0.01, 0.1], "epochs": [1, 2]}


def built(config):
    import keras

    layers = [keras.Input((2,)), keras.layers.Dense(config["units"]), keras.layers.Dense(1)]
    model = keras.Sequential(layers)
    model.compile(keras.optimizers.SGD(config["rate"]), "mse")
    return model


def searched(path, **options):
    splits = dict.fromkeys(("train", "validation", "test"), (X, Y))
    return tuning.search(
        built, SPACE, splits, metric="val_loss", out=path, workers=0, cache=False, **options
    )


def scores(results, n, strategy=None):
    """The rows' scores of the best, and those of their models."""
    rows = results.best(n, strategy)["val_loss"].tolist()
    models = results.best_models(n, strategy)
    return [model.evaluate(X, Y, verbose=0) for model in models], pytest.approx(rows, rel=1e-5)


@pytest.mark.usefixtures("worker")
def test_a_search_that_goes_on_keeps_as_many_models_as_it_is_asked_for(tmp_path):
    first, expected = scores(searched(tmp_path / "run", trials=4), 1)
    assert first == expected
    found, expected = scores(searched(tmp_path / "run", trials=4, keep=3), 3)
    assert found == expected
    assert found[0] == first[0]

    none = searched(tmp_path / "run", trials=4, keep=0)
    with pytest.raises(TuningError, match="was not kept"):
        none.best_model()


@pytest.mark.usefixtures("worker")
def test_each_strategy_has_the_models_of_its_best(tmp_path):
    searched(tmp_path / "run", strategy=None, sweep="all", keep=2)
    results = searched(tmp_path / "run", trials=5, sweep="all", keep=2)
    assert results.trials["strategy"].value_counts().to_dict() == {"sweep": 12, "random": 5}
    for strategy in ("random", "sweep"):
        found, expected = scores(results, 2, strategy)
        assert found == expected
        assert (tmp_path / "run" / "best" / f"{strategy}.keras").exists()
