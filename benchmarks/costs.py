"""What does a pack cost a search, beside its epochs?

A strategy of its own searches the built-in grid live with two workers in a new process, nothing
compiled, and asks for jobs as strategies that learn do: of several programs at a time, 4 or 12
members are drawn and trained for an epoch, a third of them goes on to the end, as many others are
drawn, and a third of these goes on; of other programs as many are trained to the end at once. It
learns nothing, so that both workers almost always have a job.

A pack takes the wall seconds from when its worker's last one ended, or from when it was planned if
that was later. So what the driver does in between counts, and that the workers share a processor.
These seconds are a sum of the `Costs` of the simulated clock (`tuning/execution/table.py`), by
least squares:

- ``compile`` and ``load``: the worker meets a program that none has, or that another one has;
- ``finish``: the first pack of a program that trains to the end;
- ``call``: any pack;
- ``member``: each training that begins;
- ``speed``: for each second that its epochs took in the published table.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from benchmarks.measuring import PROBLEM, WORKERS, Measurement, apart
from tuning.execution.loop import Progress
from tuning.execution.table import Compiled, Costs, work_of
from tuning.packing.packs import Pack
from tuning.samplers import FINISHED, register
from tuning.samplers.jobs import Wanted
from tuning.samplers.protocol import Signal
from tuning.samplers.rungs import RungSampler
from tuning.trial import Outcome

MINUTES, ROUNDS = 2, 1
SIZES = (4, 12)  # members of a job
AT_ONCE, TIMES = 6, 2  # programs whose jobs take turns
FIRST, LAST = 1, 12  # epochs
PARTS = ("compile", "load", "finish", "call", "member", "speed")


@dataclass(frozen=True)
class Ended:
    """A pack, when it was planned and had ended, and who had trained it."""

    planned: float
    seconds: float
    worker: str
    pack: Pack


@dataclass(frozen=True)
class Paid:
    """What was to be done for a pack: how often each of `PARTS`, and the seconds that it took."""

    kind: str
    parts: Mapping[str, float]
    seconds: float


class Script(RungSampler):
    """Jobs that are known beforehand.

    Parameters
    ----------
    space, seed, trials
        As `RungSampler`.
    times : int
        How often there are `AT_ONCE` programs.
    """

    def __init__(self, space: Any, seed: int, trials: int, times: int = TIMES) -> None:
        super().__init__(space, seed, trials, ahead=AT_ONCE)
        self._times = times
        self._script: list[list[Wanted]] = []

    def meet(self, *what: Any) -> None:
        """Hear how configurations share programs, and decide everything."""
        super().meet(*what)
        for _ in range(self._times):
            sizes = [SIZES[i % len(SIZES)] for i in range(AT_ONCE)]
            drawn = [self.draw(size) for size in sizes]
            others = [
                self.draw(len(one), self.drawing.like(one[0], self.programs)) for one in drawn
            ]
            for members in (drawn, others):
                self._script += [self.train(one, 0, FIRST) for one in members]
                self._script += [
                    self.train(one[: -(-len(one) // 3)], FIRST, LAST) for one in members
                ]
            self._script += [self.train(self.draw(size), 0, LAST) for size in SIZES * WORKERS]

    def next_job(self) -> Sequence[Wanted] | Signal:
        """The next."""
        return self._script.pop(0) if self._script else FINISHED

    def learn(self, outcomes: Sequence[Outcome]) -> None:
        """Learn nothing."""


class Ends(Progress):
    """Notes when packs were planned and ended, and who trained them.

    Parameters
    ----------
    clock : callable
        Seconds, from whatever beginning.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.ended_packs: list[Ended] = []
        self._workers: dict[int, str] = {}
        self._planned: dict[int, float] = {}
        self._clock = clock

    def planned(self, pack: Pack) -> None:
        """Note the time."""
        self._planned[id(pack)] = self._clock()

    def trained(self, pack: Pack, report: Any, counted: Any) -> None:
        """Note who trains it."""
        for outcome in report.outcomes:
            self._workers[id(pack)] = outcome.worker

    def ended(self, pack: Pack) -> None:
        """Note the time."""
        of = id(pack)
        ended = Ended(self._planned[of], self._clock(), self._workers[of], pack)
        self.ended_packs.append(ended)


def measure(smallest: bool) -> Iterator[Measurement]:
    """The costs, and how far their sum is from the seconds of each kind of pack."""
    paid = apart(packs_paid, 1 if smallest else TIMES)
    costs = fitted(paid)
    yield from told(costs)
    for kind in dict.fromkeys(each.kind for each in paid):
        own = [each for each in paid if each.kind == kind]
        theirs = sum(each.seconds for each in own)
        ours = sum(seconds_of(each.parts, costs) for each in own)
        yield Measurement(kind, "live", theirs / len(own), "s")
        yield Measurement(kind, "ratio", ours / theirs, "")


def told(costs: Costs) -> Iterator[Measurement]:
    """The costs as measurements."""
    for part in PARTS:
        unit = "" if part == "speed" else "s"
        yield Measurement("costs", part, float(getattr(costs, part)), unit)


def packs_paid(times: int) -> list[Paid]:
    """Search live as `Script` says: what was paid for packs."""
    import tuning
    from benchmarks.strategies import table

    register("script")(Script)
    problem, ends = tuning.load_problem(PROBLEM), Ends()
    tuning.search(
        problem.build_model, problem.space, problem.load_data,
        strategy="script", trials=10_000, settings={"times": times},
        workers=WORKERS, keep=0, progress=[ends], metric="val_accuracy",
    )  # fmt: skip
    return paid_for(ends.ended_packs, table())


def paid_for(ended: Sequence[Ended], known: Any) -> list[Paid]:
    """What was paid for packs, from when they ended.

    Each worker's first is left out, and what begins while another worker trains the same program:
    who of them compiles is not known.

    Parameters
    ----------
    ended : sequence of Ended
        In order.
    known : Table
    """
    compiled, last = Compiled(), dict[str, float]()
    begun = []
    for each in ended:
        begun.append((max(each.planned, last.get(each.worker, 0.0)), each))
        last[each.worker] = each.seconds
    paid, seen = [], set[str]()
    for begin, each in sorted(begun, key=lambda pair: pair[0]):
        ends = each.pack.trials[-1].epochs == LAST
        missing = compiled.missing(each.worker, each.pack.program, ends, begin)
        for part in missing:
            compiled.note(each.pack.program, part, each.seconds)
        work = work_of(each.pack, known.packing, known.outcomes)
        parts = dict.fromkeys(missing, 1.0)
        parts |= {"call": 1.0, "member": float(work.members), "speed": work.seconds}
        unsure = any(
            start <= begin < other.seconds
            for start, other in begun
            if other.pack.program == each.pack.program and other.worker != each.worker
        )
        if each.worker in seen and not unsure:
            paid.append(Paid(kind_of(each.pack, work.members), parts, each.seconds - begin))
        seen.add(each.worker)
    return paid


def kind_of(pack: Pack, members: int) -> str:
    """What kind of pack it is, in words."""
    if not members:
        return "going on"
    return f"{members} members, {'to the end' if pack.trials[-1].epochs == LAST else 'an epoch'}"


def fitted(paid: Sequence[Paid]) -> Costs:
    """The costs whose sums are nearest, none of them below 0; errors count by their share."""
    from scipy.optimize import nnls

    counts = np.array([[each.parts.get(part, 0.0) for part in PARTS] for each in paid])
    seconds = np.array([each.seconds for each in paid])
    weights = seconds**-0.5
    found = nnls(counts * weights[:, None], seconds * weights)[0]
    return Costs(**dict(zip(PARTS, found.tolist(), strict=True)))


def seconds_of(parts: Mapping[str, float], costs: Costs) -> float:
    """The seconds of what is to be done so often."""
    return sum(getattr(costs, part) * times for part, times in parts.items())
