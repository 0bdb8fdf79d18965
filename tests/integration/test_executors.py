"""The promises of workers, on processes of our own and on a real local Ray."""

import dataclasses

import pytest

from tests.conftest import PROBLEMS, TINY
from tests.integration.executors import executor_of, new_run, trained
from tuning.errors import RunStopped
from tuning.execution.loop import Progress, search
from tuning.execution.threads import CAN_PIN
from tuning.runs.table import load_results
from tuning.samplers import RandomSampler, SweepSampler


def test_a_worker_has_one_thread_in_every_library(cluster):
    _, executor = executor_of(TINY, cluster)
    report = executor.thread_report()
    assert report["tensorflow"] == (1, 1)
    assert any(name.startswith("blas") for name in report["pools"])
    assert any(name.startswith("openmp") for name in report["pools"])
    assert set(report["pools"].values()) == {1}
    if CAN_PIN:
        assert len(report["cpus"]) == 1


def test_a_worker_that_would_give_other_numbers_stops_the_run_and_costs_no_trial(cluster, tmp_path):
    problem, executor = executor_of(TINY, cluster)
    known = executor.probe().environment
    executor._job = dataclasses.replace(executor._job, environment={**known, "TF_XLA_FLAGS": "x"})
    with (
        new_run(tmp_path / "r", problem) as run,
        pytest.raises(RunStopped, match="its TF_XLA_FLAGS is x, not unset"),
    ):
        search({"sweep": SweepSampler(problem.grid)}, executor, run, executor.packer)
    assert load_results(tmp_path / "r").empty


@pytest.mark.slow
def test_trouble_costs_its_trial_and_never_the_run(cluster, tmp_path):
    problem, executor = executor_of(PROBLEMS / "troubled.py", cluster)
    with new_run(tmp_path / "r", problem) as run:
        search({"sweep": SweepSampler(problem.grid)}, executor, run, executor.packer)
    table = load_results(tmp_path / "r").set_index("trouble")
    assert table["status"].to_dict() == {
        "none": "ok",
        "raises": "failed",
        "diverges": "diverged",
        "exits": "failed",
        "dies once": "ok",
    }
    assert table.loc["raises", "error"] == "ValueError: two lines"
    assert table.loc["exits", "error"] == "its worker process died, 3 times"
    assert table.loc["dies once", "val_loss"] == table.loc["none", "val_loss"]


@pytest.mark.slow
def test_rows_are_the_same_in_any_order_and_on_any_worker(cluster):
    problem, executor = executor_of(TINY, cluster)
    first = trained(executor, problem, 31, 0, 13, 22)
    again = trained(executor, problem, 22, 13, 0, 31)
    assert len({outcome.worker for outcome in (*first, *again)}) == 2
    assert {outcome.backend for outcome in first} == {"tensorflow"}
    for outcome, same in zip(first, reversed(again), strict=True):
        assert (outcome.trial.index, outcome.metrics) == (same.trial.index, same.metrics)


@pytest.mark.slow
def test_a_trial_two_strategies_want_is_trained_once(cluster, tmp_path):
    problem, executor = executor_of(TINY, cluster)
    trained = []

    class Counting(Progress):
        def trained(self, pack, report, counted):
            trained.extend(report.outcomes)

    with new_run(tmp_path / "r", problem) as run:
        random = RandomSampler(problem.grid, 3, seed=0)
        first = RandomSampler(problem.grid, 1, seed=0).ask(1)[0].index
        sweep = SweepSampler(problem.grid, first, first + 1)
        search({"random": random, "sweep": sweep}, executor, run, executor.packer, Counting())
        assert len(trained) == 3
        wider = SweepSampler(problem.grid, first - 1, first + 1)
        again = RandomSampler(problem.grid, 3, seed=0)
        search({"random": again, "wider": wider}, executor, run, executor.packer, Counting())
    assert len(trained) == 4
    table = load_results(tmp_path / "r")
    assert table.groupby("strategy").size().to_dict() == {"random": 3, "sweep": 1, "wider": 2}
    assert table.groupby("index")["finished_at"].nunique().max() == 1
