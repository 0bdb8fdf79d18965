"""The data of a configuration: which axes are read, what is kept, what is known of it."""

from __future__ import annotations

import pickle

import numpy as np
import pytest

from tuning import Float, Grid, Space, TuningError
from tuning.execution.worker import Job, probe
from tuning.problem import variants
from tuning.problem.data import data_fingerprint
from tuning.problem.functions import problem_of
from tuning.problem.problem import takes_configuration
from tuning.problem.variants import axes_of_data, data_of, load_for, searched_data
from tuning.trial import Trial

CALLS: list[dict] = []


@pytest.fixture(autouse=True)
def _forgotten():
    CALLS.clear()
    variants._kept.clear()


def load_data(config):
    CALLS.append({name: config[name] for name in ("features", "noise")})
    x = np.random.default_rng(0).normal(size=(96, 4)).astype("float32")
    y = (x[:, 0] > 0).astype("float32")
    x = x[:, : config["features"]]
    if config["noise"] == "some":
        x = x + config["strength"]
    return {"train": (x[:64], y[:64]), "validation": (x[64:], y[64:])}


def build_model(config):
    import keras

    model = keras.Sequential([keras.Input((config["features"],)), keras.layers.Dense(1)])
    model.compile(keras.optimizers.SGD(config["rate"]), "mse", metrics=["accuracy"])
    return model


GRID = Grid(
    {
        "features": [2, 3, 4],
        "noise": ["none", "some"],
        "strength": [0.5, 1.0],
        "rate": [0.1, 0.01],
        "epochs": [1, 2],
    }
)


def problem(space=GRID, loader=load_data, **options):
    return problem_of(build_model, space, loader, **options)


def configuration(features=2, noise="none", strength=0.5, rate=0.1):
    return {"features": features, "noise": noise, "strength": strength, "rate": rate, "epochs": 1}


def test_one_parameter_without_default_takes_a_configuration():
    assert takes_configuration(load_data)
    assert takes_configuration(lambda config, seed=0: None)
    assert not takes_configuration(lambda config=None: None)
    assert not takes_configuration(lambda *configs, **more: None)
    assert not takes_configuration(dict)


def test_axes_that_are_read_beside_others_are_found():
    data, _ = searched_data(problem())
    assert axes_of_data(data) == {"features", "noise", "strength"}
    assert len(CALLS) == 4  # the base, and another value of each


def test_data_is_loaded_once_for_all_that_read_the_same():
    mine = problem()
    data, _ = searched_data(mine)
    CALLS.clear()
    other = data_of(mine, data, configuration(4))
    for strength in (0.5, 1.0):  # which is not read without noise
        for rate in (0.1, 0.01):
            assert data_of(mine, data, configuration(4, strength=strength, rate=rate)) is other
    assert CALLS == [{"features": 4, "noise": "none"}]
    with_noise = [data_of(mine, data, configuration(4, "some", each)) for each in (0.5, 1.0)]
    assert len(CALLS) == 3
    assert not np.array_equal(*(each["train"][0] for each in with_noise))
    assert data_of(mine, data, configuration()) is data


def test_few_variants_are_kept(monkeypatch):
    mine = problem()
    data, _ = searched_data(mine)
    data_of(mine, data, configuration(4))
    monkeypatch.setattr(variants, "MEMORY_SHARE", 0)
    data_of(mine, data, configuration(3))
    assert [each.reads.values["features"] for each in variants._kept] == [3]


def test_the_fingerprint_sees_another_value_of_each_axis():
    def changed_for(features):
        def loader(config):
            data = load_data(config)
            data["train"][0][0] += config["features"] == features
            return data

        return searched_data(problem(loader=loader))[1]

    before = searched_data(problem())[1]
    assert before == searched_data(problem())[1] == changed_for(17)
    assert before != changed_for(2)
    assert before != changed_for(3)


def test_the_code_of_load_data_is_in_the_fingerprint():
    def other(config):
        return load_data({**config, "strength": 0.25})

    assert "function load_data" in problem().fingerprint
    assert "function load_data" not in problem(loader=lambda: load_data(GRID[0])).fingerprint
    assert problem().fingerprint != problem(loader=other).fingerprint


def test_it_travels_with_what_is_known_of_it():
    mine = problem()
    data, _ = searched_data(mine)
    sent, again = pickle.loads(pickle.dumps((mine, data)))
    assert (again.reads, again.axes, again.known) == (data.reads, data.axes, data.known)
    assert data_fingerprint(again) == data_fingerprint(data)
    own = data_of(sent, again, configuration(4))
    assert data_fingerprint(own) == data_fingerprint(load_for(mine, configuration(4)))


def test_axes_of_the_data_are_structural_and_others_share_packs():
    mine = problem()
    data, _ = searched_data(mine)
    packing = probe(mine, data, Job(0, "jax"), True).packing
    assert packing.kinds == {
        "features": "structural",
        "noise": "structural",
        "strength": "structural",
        "rate": "lifted",
        "epochs": "fidelity",
    }
    assert packing.axes["features"].why == "read by load_data"
    one, other, lifted = (
        packing.program(each)
        for each in (configuration(2), configuration(3), configuration(2, rate=0.01))
    )
    assert one == lifted != other


def test_a_pack_trains_each_trial_on_its_own_data():
    """Even where it is not known before that their data differs."""
    from tuning.execution.worker import train_prepared

    mine = problem()
    data, _ = searched_data(mine)
    job = Job(0, "jax", packing=probe(mine, data, Job(0, "jax"), True).packing)
    trials = [
        Trial(i, configuration(features, "some", strength), 0, 1, i)
        for i, (features, strength) in enumerate([(2, 0.5), (2, 1.0), (4, 0.5)])
    ]
    together = {
        outcome.trial.number: outcome.metrics["val_loss"]
        for report in train_prepared(mine, data, trials, job)
        for outcome in report.outcomes
    }
    for trial in trials:
        (report,) = train_prepared(mine, data, [trial], job)
        assert together[trial.number] == pytest.approx(report.outcomes[0].metrics["val_loss"])
    assert len(set(together.values())) == 3


def test_an_axis_that_only_exists_beside_others_is_found():
    space = Space(
        {
            "features": [2],
            "noise": ["none", "some"],
            "strength": Float(0.1, 1.0).when(noise="some"),
            "rate": [0.1],
        }
    )
    data, _ = searched_data(problem(space))
    assert axes_of_data(data) == {"features", "noise", "strength"}


def test_data_that_differs_from_process_to_process_is_refused(monkeypatch):
    def loader(config):
        data = load_data(config)
        data["train"][0][:] += np.random.default_rng().random()
        return data

    mine = problem(loader=loader)
    data, _ = searched_data(mine)
    variants._kept.clear()  # as in another process
    own = data_of(mine, data, configuration(3))
    with pytest.raises(TuningError, match="returns other data of features=3, noise=none each time"):
        variants.refuse_other_draws(mine, data, own)
