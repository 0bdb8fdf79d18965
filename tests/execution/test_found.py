"""What a look has found is kept for the next search of the same problem, and used if it holds."""

import dataclasses

import pytest

from tests.conftest import TINY
from tuning.execution.found import Found
from tuning.execution.local import LocalExecutor
from tuning.execution.worker import Job
from tuning.packing.axes import Axis, Packing
from tuning.problem.data import data_fingerprint
from tuning.problem.file import load_problem
from tuning.problem.problem import load_data

HELPED = """
import numpy as np

grid = {"units": [2, 4], "learning_rate": [0.1, 0.2], "epochs": [1, 2], "batch_size": [8]}
metric = "val_loss"


def load_data():
    x = np.arange(64, dtype="float32").reshape(16, 4) / 64
    return {name: (x, x[:, :1]) for name in ("train", "validation", "test")}


def build_model(configuration):
    import keras
    from beside_model import layer

    model = keras.Sequential([keras.Input((4,)), layer(configuration), keras.layers.Dense(1)])
    model.compile(keras.optimizers.SGD(configuration["learning_rate"]), "mse")
    return model
"""
BESIDE = """
def layer(configuration):
    import keras

    return keras.layers.Dense(configuration["units"])
"""


@pytest.fixture(scope="module")
def tiny():
    problem = load_problem(str(TINY))
    return problem, load_data(problem)


def found_of(problem, data, cache, seed=0):
    return Found.of(problem, data_fingerprint(data), Job(seed, "jax", str(cache)))


def probed(problem, data, known=None):
    executor = LocalExecutor(problem, Job(0, "jax"), engine="auto")
    executor.load(data)
    return executor.probe(known)


def looks(monkeypatch):
    """The configurations that are looked at."""
    from tuning.engines import vectorized

    seen, look_at = [], vectorized.look_at

    def noted(problem, data, configuration, *arguments, **options):
        seen.append(dict(configuration))
        return look_at(problem, data, configuration, *arguments, **options)

    monkeypatch.setattr(vectorized, "look_at", noted)
    return seen


def test_what_was_found_is_read_again_as_it_was_and_spares_the_look(tiny, tmp_path, monkeypatch):
    first = probed(*tiny)
    found_of(*tiny, tmp_path).write(first.packing)
    known = found_of(*tiny, tmp_path).read()
    assert known == first.packing
    seen = looks(monkeypatch)
    assert probed(*tiny, known) == first
    spared = len(seen)
    seen.clear()
    probed(*tiny)
    assert 0 < spared < len(seen)


@pytest.mark.parametrize("wrong", ["step", "longer trainings"])
def test_what_no_longer_holds_is_found_again(tiny, wrong):
    first = probed(*tiny)
    stale = dataclasses.replace(first.packing, step="of another model")
    if wrong == "longer trainings":
        name = next(name for name, axis in first.packing.axes.items() if axis.kind == "structural")
        axes = {**first.packing.axes, name: Axis("fidelity", "wrong")}
        stale = dataclasses.replace(first.packing, axes=axes)
    assert probed(*tiny, stale) == first


def test_another_seed_data_variable_package_or_module_is_another_problem(
    tiny, tmp_path, monkeypatch
):
    problem, data = tiny
    paths = [found_of(problem, data, tmp_path).path]
    assert found_of(problem, data, tmp_path).path == paths[0]
    paths.append(found_of(problem, data, tmp_path, seed=1).path)
    paths.append(Found.of(problem, "other data", Job(0, "jax", str(tmp_path))).path)
    paths.append(Found.of(problem, data_fingerprint(data), Job(0, "torch", str(tmp_path))).path)
    with monkeypatch.context() as patch:
        patch.setenv("JAX_ENABLE_X64", "1")
        paths.append(found_of(problem, data, tmp_path).path)
    (tmp_path / "a_package-1.0.dist-info").mkdir()
    with monkeypatch.context() as patch:
        patch.syspath_prepend(tmp_path)
        paths.append(found_of(problem, data, tmp_path).path)
    assert len(set(paths)) == len(paths)
    assert Found.of(problem, "", Job(0, "jax")) is None


def test_a_module_beside_the_file_that_changes_makes_another_problem(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "helped.py").write_text(HELPED)
    (tmp_path / "beside_model.py").write_text(BESIDE)
    problem = load_problem(str(tmp_path / "helped.py"))
    before = found_of(problem, load_data(problem), tmp_path).path
    (tmp_path / "beside_model.py").write_text(BESIDE.replace('units"]', 'units"] + 1'))
    assert found_of(problem, load_data(problem), tmp_path).path != before


@pytest.mark.parametrize("text", ["", "{'axes': {", "{'axes': 3}", "{'axes': {}, 'other': 1}"])
def test_what_cannot_be_read_is_not_known(tmp_path, text):
    found = Found(tmp_path / "found-0")
    assert found.read() is None
    found.path.write_text(text)
    assert found.read() is None


def test_only_what_a_text_holds_is_kept(tmp_path):
    found = Found(tmp_path / "folder" / "found-0")
    found.write(Packing(reason="it cannot be packed"))
    found.write(Packing({"rate": Axis("structural", "why", {float("inf"): 0})}))
    assert not found.path.parent.exists()
    packing = Packing({"rate": Axis("structural", "why", {0.1: 0, None: 1})}, doubtful=("sort",))
    found.write(packing)
    assert found.read() == packing
