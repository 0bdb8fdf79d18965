"""What a worker keeps of the programs it has trained."""

from __future__ import annotations

import collections
import ctypes
import gc
import subprocess
import sys

import pytest

from tests.conftest import REPOSITORY, changed, trial_at
from tuning.engines import kept, memory
from tuning.execution.worker import Job, probe, train
from tuning.problem.file import load_problem
from tuning.problem.problem import load_data

MANY_UNITS = ('"units": [2, 8]', '"units": [2, 5, 8]')
KEPT = ("Jaxpr", "Program", "Trace", "Sequential", "Functional")  # one of each would be a program's


@pytest.mark.usefixtures("worker")
@pytest.mark.slow
@pytest.mark.parametrize("engine", ["vectorized", "fit"])
def test_nothing_piles_up_with_the_programs_trained(engine, tmp_path, monkeypatch):
    monkeypatch.setattr(memory, "TIDY_SECONDS", 0.0)
    monkeypatch.setattr(kept, "PROGRAMS", 1)
    monkeypatch.setattr(kept, "STEPS_BYTES", 1.0)
    problem = load_problem(str(changed(tmp_path, MANY_UNITS)))
    data, job, rates = load_data(problem), Job(0, "jax"), (0.001,)
    if engine == "vectorized":
        job = Job(0, "jax", packing=probe(problem, data, job, pack=True).packing)
        rates = (0.001, 0.1)
    counts = []
    for i in range(3):
        chosen = problem.grid[0] | {"units": 3 * i + 2}
        indices = [problem.grid.index(chosen | {"learning_rate": rate}) for rate in rates]
        trials = [trial_at(problem, index) for index in indices]
        told = [each for report in train(problem, data, trials, job) for each in report.outcomes]
        assert {each.engine for each in told} == {engine}
        counts.append(count())
    assert counts[-1] == counts[1]


def count() -> dict[str, int]:
    """The compiled programs, arrays and traces that are there, by kind."""
    import jax
    from jax.extend.backend import get_backend

    kinds = collections.Counter(type(each).__name__ for each in gc.get_objects())
    return {
        "executables": len(get_backend().live_executables()),
        "arrays": len(jax.live_arrays()),
        **{kind: kinds[kind] for kind in KEPT},
    }


@pytest.mark.usefixtures("worker")
def test_caches_are_kept_for_the_next_programs_for_a_while(monkeypatch):
    import jax

    cleared = []
    monkeypatch.setattr(jax, "clear_caches", lambda: cleared.append(True))
    monkeypatch.setattr(memory, "TIDY_SECONDS", 0.0)
    memory.tidy()
    assert len(cleared) == 1
    monkeypatch.undo()
    monkeypatch.setattr(jax, "clear_caches", lambda: cleared.append(True))
    memory.tidy()
    assert len(cleared) == 1


def test_a_c_library_that_cannot_give_memory_back_is_no_trouble(monkeypatch):
    monkeypatch.setattr(memory, "TIDY_SECONDS", 0.0)
    monkeypatch.setattr(ctypes, "CDLL", lambda _: object())
    memory.tidy()


TENSORFLOW = """
import gc, sys
from tests.conftest import TINY
from tuning.problem.file import load_problem
from tuning.problem.problem import load_data
from tuning.execution.worker import Job, train
problem = load_problem(str(TINY))
data = load_data(problem)
counts = []
for trial in range(3):
    assert [o.status for r in train(problem, data, [trial], Job(0, "tensorflow"))
            for o in r.outcomes] == ["ok"]
    counts.append(sum(type(each).__name__ == "FuncGraph" for each in gc.get_objects()))
print(*counts)
"""


@pytest.mark.slow
def test_tensorflow_keeps_no_graph_of_a_model_that_was_trained():
    done = subprocess.run(
        [sys.executable, "-c", TENSORFLOW],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    first, *others = map(int, done.stdout.split())
    assert others == [first] * 2, "TensorFlow keeps its registry of gradients elsewhere"
