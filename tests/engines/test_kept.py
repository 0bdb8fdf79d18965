"""What a worker keeps in memory of its programs: never of another one, and never too much."""

from __future__ import annotations

import math
import time

import numpy as np
import pytest

from tests.conftest import PROBLEMS, changed, packing_of
from tests.engines.test_going_on import cut, same, stretched, trained
from tuning.engines import kept, program, vectorized
from tuning.engines.kept import Recent, forget_programs, named
from tuning.engines.program import Program
from tuning.execution.worker import Job
from tuning.problem.problem import load_data
from tuning.trial import Trial

pytestmark = pytest.mark.usefixtures("worker")


@pytest.fixture(scope="module")
def dense():
    problem, packing = packing_of(PROBLEMS / "dense.py")
    return problem, load_data(problem), Job(0, "jax", packing=packing)


@pytest.fixture
def done(monkeypatch):
    """What is looked at, and what is compiled, as it is done."""
    noted = {"looks": 0, "compiled": 0}

    def count(module, name, what):
        function = getattr(module, name)

        def counted(*arguments, **options):
            noted[what] += 1
            return function(*arguments, **options)

        monkeypatch.setattr(module, name, counted)

    count(vectorized, "steps_of", "looks")
    count(program, "_compile", "compiled")
    return noted


def told(done):
    found = dict(done)
    done.update(looks=0, compiled=0)
    return found


def one_program(problem, n, epochs):
    """So many trials of one program, which differ in learning rate and dropout."""
    base = {**problem.grid[0], "epochs": epochs}
    values = [(0.001 * (i + 1), 0.1 * (i % 3)) for i in range(n)]
    return [
        Trial(i, {**base, "learning_rate": rate, "dropout_1": drop}, 0, epochs)
        for i, (rate, drop) in enumerate(values)
    ]


def test_members_that_go_on_are_neither_built_nor_traced_nor_compiled_again(dense, done):
    problem, data, job = dense
    trials = one_program(problem, 6, 3)
    first = trained(problem, data, cut(trials, 1), job, pauses=True)
    assert told(done)["compiled"] == 3  # steps, the short last one, and the validation
    more = trained(problem, data, cut(trials, 2, 1), job, going_on=first.paused, pauses=True)
    assert told(done) == {"looks": 0, "compiled": 0}
    kept_in_memory = trained(problem, data, cut(trials, 3, 2), job, going_on=more.paused)
    assert told(done) == {"looks": 0, "compiled": 1}  # the test
    forget_programs()
    fresh = trained(problem, data, trials, job)
    for trial in trials:
        assert same(fresh.outcomes[trial.key], kept_in_memory.outcomes[trial.key])


def test_other_members_of_a_program_take_what_is_compiled_and_are_as_fresh(dense, done):
    problem, data, job = dense
    trials = one_program(problem, 12, 2)
    trained(problem, data, trials[:6], job)
    told(done)
    others = trained(problem, data, trials[6:], job)
    few = trained(problem, data, trials[6:8], job)  # of one dropout less, filled up to six
    assert told(done)["compiled"] == 0
    forget_programs()
    for trial in trials[6:]:
        fresh = trained(problem, data, [trial], job).outcomes[trial.key]
        assert same(fresh, others.outcomes[trial.key])
        assert trial not in trials[6:8] or same(fresh, few.outcomes[trial.key])


def test_a_short_last_block_is_filled_up_where_that_costs_less_than_to_compile(dense, monkeypatch):
    problem, data, job = dense
    trials = one_program(problem, 7, 2)
    sizes = []
    epoch = Program.epoch
    monkeypatch.setattr(
        Program,
        "epoch",
        lambda own, state, b: sizes.append(len(state.members)) or epoch(own, state, b),
    )
    monkeypatch.setattr(vectorized, "MOST_AT_ONCE", 4)
    monkeypatch.setattr(program, "APART", math.inf)  # or what pauses is trained one by one
    filled = trained(problem, data, trials, job, pauses=True)
    assert (set(sizes), filled.epochs, len(filled.paused)) == ({4}, 7 * 2, 7)
    forget_programs()
    sizes.clear()
    monkeypatch.setattr(program, "COMPILE_SECONDS", 0.0)
    exact = trained(problem, data, trials, job)
    assert set(sizes) == {4, 3}
    for trial in trials:
        assert same(filled.outcomes[trial.key], exact.outcomes[trial.key])


@pytest.mark.parametrize("going_on", [1, 2, 3])
def test_however_many_go_on_they_take_what_was_compiled_before(dense, done, going_on):
    problem, data, job = dense
    trials = one_program(problem, 5, 3)
    first = trained(problem, data, cut(trials, 1), job, pauses=True)
    assert (first.epochs, len(first.paused)) == (5, 5)
    told(done)
    own = trials[:going_on]
    more = trained(problem, data, cut(own, 3, 1), job, going_on=first.paused)
    assert told(done) == {"looks": 0, "compiled": 1}  # the test
    forget_programs()
    fresh = trained(problem, data, own, job)
    for trial in own:
        assert same(fresh.outcomes[trial.key], more.outcomes[trial.key])


def test_the_seconds_of_an_epoch_do_not_count_what_was_compiled_in_it(dense, monkeypatch):
    problem, data, job = dense
    slow = program._compile
    noted = []
    took = Program.took

    def compiled(*what):
        time.sleep(1)
        return slow(*what)

    monkeypatch.setattr(program, "_compile", compiled)
    monkeypatch.setattr(Program, "took", lambda own, *what: noted.append(what) or took(own, *what))
    trained(problem, data, one_program(problem, 2, 1), job)
    assert [members for members, _ in noted] == [2]
    assert noted[0][1] < 1


def test_another_constant_other_data_or_another_problem_are_never_taken_from_memory(
    tmp_path, dense
):
    one = tmp_path / "one"
    two = tmp_path / "two"
    found = []
    for folder, rate in ((one, "0.1"), (two, "0.4")):
        folder.mkdir()
        problem, packing = packing_of(changed(folder, ("Dropout(0.1)", f"Dropout({rate})")))
        data, job = load_data(problem), Job(0, "jax", packing=packing)
        trials = stretched(problem, 2, most=2)
        moved = {split: (parts[0] + np.float32(0.5), *parts[1:]) for split, parts in data.items()}
        for each in (data, moved):
            warm = trained(problem, each, trials, job)
            found.append((problem, each, trials, job, warm))
    losses = set()
    for problem, data, trials, job, warm in found:
        forget_programs()
        fresh = trained(problem, data, trials, job)
        for trial in trials:
            assert same(fresh.outcomes[trial.key], warm.outcomes[trial.key])
            losses.add(fresh.outcomes[trial.key].metrics["train_loss"])
    assert len(losses) == len(found) * 2


def test_no_more_is_kept_than_there_is_room_for(dense, monkeypatch):
    problem, data, job = dense
    monkeypatch.setattr(kept, "PROGRAMS", 2)
    monkeypatch.setattr(kept, "STEPS_BYTES", 1.0)
    base = problem.grid[0]
    for neurons in (4, 6, 8):
        trial = Trial(0, {**base, "neurons": neurons, "epochs": 1}, 0, 1)
        trained(problem, data, [trial], job)
    assert len(kept._functions) <= 2
    assert len(kept._families) <= 2
    assert len(kept._looked) == 0


def test_what_was_used_last_is_kept():
    recent = Recent(lambda: 3)
    for key in "ab":
        recent.put(key, key, 1)
    assert recent.get("a") == "a"
    recent.put("c", "c", 2)
    assert [recent.get(key) for key in "abc"] == ["a", None, "c"]


def test_configurations_that_are_equal_but_of_other_types_have_other_names():
    values = [1, 1.0, True, "1", (1,), (1.0,), 0.0, -0.0]
    assert len({named({"a": value}) for value in values}) == len(values)
    with pytest.raises(TypeError):
        named({"a": [1]})


def test_a_trial_that_cannot_be_named_is_looked_at_each_time(dense, done, monkeypatch):
    problem, data, job = dense
    (trial,) = one_program(problem, 1, 1)
    trained(problem, data, [trial], job)
    told(done)
    trained(problem, data, [trial], job)
    assert told(done)["looks"] == 0
    monkeypatch.setattr(vectorized, "named", _raises)
    trained(problem, data, [trial], job)
    assert told(done)["looks"] > 0


def _raises(_):
    raise TypeError
