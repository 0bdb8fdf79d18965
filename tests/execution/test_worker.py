"""What a worker keeps on the disk, and how several look at a problem's models."""

import os

import pytest

from tests.conftest import PROBLEMS
from tuning import Float, Space, load_problem
from tuning.execution import worker
from tuning.execution.worker import Job
from tuning.problem.problem import load_data


def test_of_too_many_compiled_programs_the_oldest_go(tmp_path, monkeypatch):
    for age, name in enumerate(["newest", "middle", "oldest"]):
        (tmp_path / name).write_bytes(b"x" * 100)
        os.utime(tmp_path / name, (1000 - age, 1000 - age))
    monkeypatch.setattr(worker, "CACHE_BYTES", 300)
    worker._make_room(tmp_path)
    assert len(list(tmp_path.iterdir())) == 3
    monkeypatch.setattr(worker, "CACHE_BYTES", 150)
    worker._make_room(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["newest"]
    worker._make_room(tmp_path / "not there yet")


@pytest.mark.usefixtures("worker")
@pytest.mark.parametrize("name", [pytest.param("lifted", marks=pytest.mark.slow), "tiny", "steady"])
@pytest.mark.parametrize("n", [2, pytest.param(5, marks=pytest.mark.slow)])
def test_looks_at_shares_of_a_grid_find_what_one_look_finds(name, n):
    problem = load_problem(str(PROBLEMS / f"{name}.py"))
    data, job = load_data(problem), Job(0, "jax")
    shares = worker.shares(problem.space, n)
    assert sorted(axis for own in shares for axis in own.parameters) == sorted(problem.space.axes)
    looks = [
        worker.look(problem, data, job, True, (place, len(shares))) for place in range(len(shares))
    ]
    assert worker.joined(looks, problem.space) == worker.look(problem, data, job, True)


def test_a_space_that_is_no_grid_is_looked_at_whole():
    space = Space({"rate": Float(0.1, 1.0), "units": [1, 2]})
    assert worker.shares(space, 4) == [space]
