"""What a worker was telling when it was killed: stand-ins, as no kill hits that moment at will."""

import math
from types import SimpleNamespace

import pytest

from tuning.engines.reports import Report
from tuning.execution import ray
from tuning.execution.slots import Slot, SlotExecutor, Task
from tuning.execution.worker import Told
from tuning.packing.packs import Pack, Work
from tuning.trial import Outcome, Trial

TRIALS = [Trial(number, {"units": 2, "rate": 0.1 * number}, 0, index=number) for number in range(4)]


def heard_of(stream, told_before=0):
    """The news of a pack of all trials, of which some were told before."""
    pack = Pack(TRIALS, Work(1.0, 1), pauses=True)
    missing = {trial.key: trial for trial in TRIALS[told_before:]}
    slot = Slot()
    slot.tasks.append(Task(pack, None, 0, missing, stream=iter(stream)))
    executor = SimpleNamespace(
        _read=lambda stream: next(stream, (None, [])),
        _job=SimpleNamespace(limits=None),
        _part=lambda pack, trials: Pack(trials, pack.work, pauses=pack.pauses),
        _empty=lambda slot: slot.tasks.clear(),
        _next=lambda slot: slot.tasks.popleft(),
        states=SimpleNamespace(follow=lambda *_: None),
        packing=None,
    )
    executor._after_death = lambda *what: SlotExecutor._after_death(executor, *what)
    return SlotExecutor._hear_from(executor, slot)


@pytest.mark.parametrize("told", [0, 1, 3])
def test_trials_of_which_nothing_was_told_when_the_stream_ended_are_trained_again(told):
    heard = heard_of([], told)
    assert heard.ended
    assert [trial for pack in heard.again for trial in pack.trials] == TRIALS[told:]


def test_a_pack_of_which_all_was_told_ends_with_its_stream():
    heard = heard_of([], len(TRIALS))
    assert (heard.ended, heard.again) == (True, [])


@pytest.mark.parametrize("states", [0, 1])
def test_outcomes_count_though_not_all_states_came_behind_them(states, monkeypatch):
    monkeypatch.setattr(ray.ray, "get", lambda reference: reference)
    outcome = Outcome(TRIALS[0], "stopped", "vectorized", "jax")
    told = Told(Report([outcome], [], 0.0), [math.nan, math.nan])
    stream = iter([told, *range(states)])
    assert ray.RayExecutor._read(None, stream) == (told, [*range(states)])
    assert ray.RayExecutor._read(None, stream) == (None, [])
