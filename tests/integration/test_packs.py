"""Packs by workers, on processes of our own and on a real local Ray."""

import dataclasses

import pytest

from tests.conftest import PROBLEMS, TINY, changed
from tests.integration.executors import executor_of, new_run, trained
from tuning.execution.limits import Limits
from tuning.execution.loop import Progress, search
from tuning.runs.table import load_results
from tuning.samplers import SweepSampler


def test_packs_give_the_same_rows_however_they_are_cut(cluster):
    problem, executor = executor_of(TINY, cluster, engine="auto")
    executor.probe()
    every = trained(executor, problem, *range(problem.grid.size))
    assert {outcome.engine for outcome in every} == {"vectorized"}
    assert len({outcome.worker for outcome in every}) == 2
    assert "tensorflow" not in executor.thread_report()  # it was never imported
    for trial in (0, 13, 31):
        (alone,) = trained(executor, problem, trial)
        assert alone.metrics == pytest.approx(every[trial].metrics, rel=1e-4)


@pytest.mark.slow
def test_what_is_known_of_a_problem_is_used_if_a_worker_sees_that_it_holds(cluster):
    problem, executor = executor_of(TINY, cluster, engine="auto")
    found = executor.probe()
    stale = dataclasses.replace(found.packing, step="of another model")
    for known in (found.packing, stale):
        executor.close()
        problem, executor = executor_of(TINY, cluster, engine="auto")
        assert executor.probe(known) == found
        (outcome,) = trained(executor, problem, 0)  # while the other may still look
        assert outcome.status == "ok"


@pytest.mark.slow
def test_a_worker_that_dies_of_one_trial_costs_no_other_of_its_pack(cluster, tmp_path):
    path = changed(
        tmp_path,
        ('"epochs": [1, 2],', '"a": [0, 1], "b": [0, 1], "epochs": [1, 2],'),
        (
            "    import keras\n",
            "    import keras, os\n    if config['a'] * config['b']:\n        os._exit(3)\n",
        ),
    )
    problem, executor = executor_of(path, cluster, engine="auto")
    executor.probe()
    with new_run(tmp_path / "r", problem, engine="auto", backend="jax") as run:
        sweep = SweepSampler(problem.grid, 0, 8)
        search({"sweep": sweep}, executor, run, executor.packer)
    table = load_results(tmp_path / "r")
    deadly = (table["a"] == 1) & (table["b"] == 1)
    assert table["trial"].tolist() == list(range(8))
    assert set(table.loc[deadly, "error"]) == {"its worker process died, 3 times"}
    assert set(table.loc[~deadly, "status"]) == {"ok"}


@pytest.mark.slow
def test_what_a_pack_has_told_is_not_trained_again_when_its_worker_dies(cluster, tmp_path):
    problem, executor = executor_of(PROBLEMS / "odd.py", cluster, engine="auto")
    executor.probe()
    assert executor.packing.kinds["one"] == executor.packing.kinds["other"] == "lifted"
    epochs = []

    class Hearing(Progress):
        def trained(self, pack, report, counted):
            epochs.extend(report.epoch_seconds)

    with new_run(tmp_path / "r", problem, engine="auto", backend="jax") as run:
        sweep = SweepSampler(problem.grid)
        search({"sweep": sweep}, executor, run, executor.packer, Hearing())
    assert len(epochs) == 3
    table = load_results(tmp_path / "r")
    assert table["status"].tolist() == ["ok", "ok", "ok", "failed"]
    assert table["error"][3] == "its worker process died, 3 times"


@pytest.mark.slow
def test_a_value_that_ends_the_process_ends_the_packing_not_the_run(cluster):
    _, executor = executor_of(PROBLEMS / "troubled.py", cluster, engine="auto")
    assert executor.probe().metrics == ["loss", "accuracy"]
    assert executor.packing.reason == "building its models ended a worker"


@pytest.mark.slow
def test_a_value_that_hangs_ends_the_packing_not_the_run(cluster, tmp_path):
    path = changed(
        tmp_path,
        ("    import keras\n", "    import keras, time\n    time.sleep(9 * config['a'])\n"),
        ('"epochs": [1, 2],', '"a": [0, 1], "epochs": [1, 2],'),
    )  # fmt: skip
    problem, executor = executor_of(path, cluster, engine="auto", limits=Limits(seconds=4))
    assert executor.probe().metrics == ["loss", "accuracy"]
    assert executor.packing.reason == "building its models ended a worker"
    outcomes = trained(executor, problem, 0, 2)
    assert [outcome.status for outcome in outcomes] == ["ok", "timeout"]
    assert outcomes[1].error == "it took longer than the 4 s that a trial may take"
    assert 4 <= outcomes[1].seconds < 9
