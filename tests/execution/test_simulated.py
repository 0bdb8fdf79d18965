"""The simulated clock, and answers of a table to trials that stop early."""

import math

import pytest

from tuning import TuningError
from tuning.execution.loop import search
from tuning.execution.table import Costs, Memory, TableExecutor, answer, packing_of
from tuning.samplers import FINISHED, Sampler
from tuning.samplers.protocol import Goal
from tuning.trial import Outcome, Trial

PACKING = packing_of({"width": "structural", "rate": "lifted", "epochs": "fidelity"})
COSTS = Costs(start=100.0, compile=10.0, load=2.0, member=0.5)


def configuration(width, rate, epochs=4):
    return {"width": width, "rate": rate, "epochs": epochs}


def outcome(index, config, seconds=1.0):
    trial = Trial(index, config, 0, config["epochs"], index)
    curve = [{"loss": 1 / e, "val_loss": 2 / e} for e in range(1, trial.epochs + 1)]
    metrics = {"val_loss": 0.5, "test_loss": 0.6, "train_loss": 0.4}
    return Outcome(
        trial, "ok", "fit", "jax", metrics, curve, seconds * trial.epochs, [seconds] * trial.epochs
    )


CONFIGURATIONS = [configuration(w, r, e) for w in (1, 2) for r in (1, 2) for e in (2, 4)]
TABLE = {i: outcome(i, each) for i, each in enumerate(CONFIGURATIONS)}


class Jobs(Sampler):
    """Gives jobs of (index, epochs, since), one after another, as soon as it is asked."""

    ahead = 9

    def __init__(self, *jobs):
        self.jobs, self.n_trials = list(jobs), 9
        self.asked, self.goal = 0, None

    def meet(self, programs, goal):
        self.goal = goal

    def ask(self, n):
        if not self.jobs:
            return FINISHED
        trials = [
            Trial(self.asked + i, CONFIGURATIONS[index], 0, epochs, index, since=since)
            for i, (index, epochs, since) in enumerate(self.jobs.pop(0))
        ]
        self.asked += len(trials)
        return trials


def clock(workers, *jobs, packing=PACKING, costs=COSTS):
    executor, memory = TableExecutor(TABLE, workers, packing=packing, costs=costs), Memory()
    search({"s": Jobs(*jobs)}, executor, memory, executor.packer, goal=Goal())
    return executor.clock, {o.trial.number: o for _, o in memory.counted}


def test_a_pack_takes_a_compile_its_members_and_their_epochs():
    assert clock(1, [(1, 4, 0)])[0] == 100 + 10 + 0.5 + 4
    assert clock(1, [(1, 4, 0), (3, 4, 0)])[0] == 100 + 10 + 2 * (0.5 + 4)
    assert clock(1, [(0, 2, 0), (1, 4, 0)])[0] == 100 + 10 + 0.5 + 4  # one training


def test_going_on_takes_the_new_epochs_alone_no_member_and_no_compile():
    assert clock(1, [(1, 1, 0)], [(1, 4, 1)])[0] == 100 + 10 + 0.5 + 1 + 3


def test_a_pack_takes_its_call_and_the_first_that_ends_a_program_what_finishes_it():
    costs = Costs(compile=10.0, load=2.0, member=0.5, finish=3.0, call=0.25, speed=2.0)
    first, ended = 10 + 0.25 + 0.5 + 2 * 1, 3 + 0.25 + 2 * 3
    assert clock(1, [(1, 1, 0)], costs=costs)[0] == first
    assert clock(1, [(1, 1, 0)], [(1, 4, 1)], costs=costs)[0] == first + ended
    again = clock(1, [(1, 1, 0)], [(1, 4, 1)], [(3, 4, 0)], costs=costs)[0]
    assert again == first + ended + 0.25 + 0.5 + 2 * 4
    assert clock(1, [(1, 4, 0)], costs=costs)[0] == 10 + 3 + 0.25 + 0.5 + 2 * 4


def test_what_finishes_a_program_is_compiled_by_whoever_needs_it_first():
    costs = Costs(compile=10.0, load=2.0, member=0.0, finish=3.0)
    jobs = [(1, 4, 0)], [(5, 1, 0)], [(3, 4, 0)]  # the third is of the second worker, from 11 on
    assert clock(2, *jobs, costs=costs)[0] == 10 + 1 + 2 + 3 + 4  # the first has it at 13


def test_another_worker_loads_what_one_has_compiled():
    first = 100 + 10 + 0.5 + 4
    own, _ = clock(2, [(1, 4, 0)], [(5, 2, 0)], [(7, 2, 0)], [(3, 4, 0)])
    # The worker of width 2 has that program for the third job, and loads width 1 for the fourth or
    # has it: 100 + 10 + .5 + 2, + .5 + 2 = 115; the fourth begins at 114.5 where it is compiled.
    assert own == pytest.approx(max(100 + 10 + 2 * 2.5, first + 0.5 + 4))
    both, _ = clock(2, [(1, 1, 0)], [(3, 4, 0)])  # at the same time, so that both compile
    assert both == 100 + 10 + 0.5 + 4
    loaded, _ = clock(2, [(1, 4, 0)], [(5, 1, 0)], [(3, 4, 0)])
    assert loaded == 100 + 10 + 0.5 + 1 + 2 + 0.5 + 4  # by the worker that had the other program


def test_without_packing_each_training_compiles():
    assert clock(1, [(1, 4, 0), (3, 4, 0)], packing=packing_of({}))[0] == 100 + 2 * 14.5


def test_what_stops_early_has_the_scores_of_its_last_epoch():
    _, outcomes = clock(1, [(1, 3, 0)], [(1, 4, 3)])
    stopped, whole = outcomes[0], outcomes[1]
    assert stopped.status == "stopped"
    assert stopped.metrics == pytest.approx({"train_loss": 1 / 3, "val_loss": 2 / 3})
    assert len(stopped.curve) == 3
    assert stopped.seconds == 3
    assert (whole.status, whole.metrics) == ("ok", TABLE[1].metrics)


def test_what_diverged_before_it_stops_has_diverged():
    known = Outcome(
        TABLE[1].trial, "diverged", "fit", "jax", curve=[{"val_loss": 1.0}, {"val_loss": math.nan}]
    )
    trial = Trial(0, CONFIGURATIONS[1], 0, 3, 1)
    assert answer(trial, known).status == "diverged"
    assert answer(Trial(0, CONFIGURATIONS[1], 0, 1, 1), known).status == "stopped"


def test_a_table_without_curves_says_so():
    known = Outcome(TABLE[1].trial, "ok", "fit", "jax", {"val_loss": 1.0})
    with pytest.raises(TuningError, match="no curve of configuration 1, of which 3 of 4 epochs"):
        answer(Trial(0, CONFIGURATIONS[1], 0, 3, 1), known)
