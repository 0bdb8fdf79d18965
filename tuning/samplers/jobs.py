"""Strategies that ask for jobs: trials that are best trained together."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from threadpoolctl import threadpool_limits

from tuning.errors import TuningError, quoted
from tuning.samplers.protocol import FINISHED, LOSS, WAIT, Goal, Programs, Sampler, Signal
from tuning.space.space import Space
from tuning.trial import Outcome, Trial

MANY = 1_000_000  # trainings: no limit, where a budget ends a search
AFTER = "after"  # the setting that has the numbers of trials before the search was extended
AHEAD = 3  # jobs decided before the outcomes of the first of them are heard


@dataclass(frozen=True)
class Wanted:
    """A training that a strategy wants, to a number of epochs.

    Attributes
    ----------
    configuration : dict
    epochs : int
    since : int
        Epochs that the strategy has had trained before, from which it goes on.
    """

    configuration: dict[str, Any]
    epochs: int
    since: int = 0


class _Kept:
    """Programs whose properties, which do not change, are asked for once."""

    def __init__(self, programs: Programs) -> None:
        self.program = programs.program
        self.epoch_seconds = programs.epoch_seconds
        self.lifted = programs.lifted
        self.free_epochs = programs.free_epochs


class JobSampler(Sampler):
    """A strategy that decides job by job.

    Job k is decided with the outcomes of the jobs before k - `ahead` + 1 alone, in their order.
    So it takes the same decisions with any number of workers and after any interruption, at the
    price that it does not know the outcomes of the last few jobs. With more workers than `ahead`
    jobs, several workers share a job.

    The trainings that it begins first are the same however many there are to be. A strategy that
    has trainings go on takes its last ones further when no more may be begun; if the search is
    extended, it goes on from there.

    Parameters
    ----------
    space : Space
    seed : int
        Of the draws, and of every training.
    trials : int
        At most so many trainings are begun; one that goes on, and shorter ones that a longer one
        passes through, do not count.
    ahead : int
        Jobs that may be trained at once.

    Raises
    ------
    TuningError
        For fewer than one trial, or one job at once.
    """

    def __init__(self, space: Space, seed: int, trials: int, ahead: int = AHEAD) -> None:
        check_whole("trials", trials, 1)
        check_whole("ahead", ahead, 1)
        self.n_trials = trials
        self._limits = [trials]
        self._stage = 0
        self.ahead = ahead
        self.settings: dict[str, Any] = {}
        self._space = space
        self._seed = seed
        self._programs: Programs | None = None
        self.goal = LOSS
        self._asked = 0
        self._begun = 0
        self._jobs: list[int] = []  # how many trials of each job are not heard of yet
        self._job_of: dict[int, int] = {}
        self._heard: list[list[Outcome]] = []
        self._learnt = 0
        self._ended = False

    @classmethod
    def from_settings(cls, space: Space, seed: int, settings: Mapping[str, Any]) -> JobSampler:
        """The sampler that the manifest's settings of a strategy mean."""
        own = {name: value for name, value in settings.items() if name != AFTER}
        sampler = super().from_settings(space, seed, own)
        assert isinstance(sampler, JobSampler)
        sampler.settings = own
        sampler._limits = [*settings.get(AFTER, []), sampler.n_trials]
        for limit in sampler._limits:
            check_whole(AFTER, limit, 1)
        return sampler

    @classmethod
    def going_on(cls, old: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, Any]:
        """The new settings, with the numbers of trials to which the search has gone before."""
        found = {name: value for name, value in new.items() if name != AFTER}
        if not cls.pauses or _but_trials(old) != _but_trials(new):
            return found
        before = [each for each in [*old.get(AFTER, []), old["trials"]] if each < new["trials"]]
        return {**found, AFTER: before} if before else found

    def begins_with(self, other: Sampler) -> bool:
        """Whether the other has the same settings, and fewer trials.

        A strategy that has trainings go on has to know of the other's number of trials, as
        `going_on` notes it.
        """
        if not isinstance(other, JobSampler) or type(other) is not type(self):
            return False
        if _but_trials(self.settings) != _but_trials(other.settings):
            return False
        if not self.pauses:
            return self.n_trials >= other.n_trials
        return self._limits[: len(other._limits)] == other._limits

    def extended(self) -> None:
        """Hear that more trainings may be begun, once there was nothing left to train."""

    @abstractmethod
    def next_job(self) -> Sequence[Wanted] | Signal:
        """The next job; `WAIT` until another job was learnt of, or `FINISHED`.

        It begins no more trainings than `room`.
        """

    @abstractmethod
    def learn(self, outcomes: Sequence[Outcome]) -> None:
        """Learn from a job's outcomes, in the order of its trials."""

    @property
    def room(self) -> int:
        """How many trainings may still be begun now."""
        return self._limits[self._stage] - self._begun

    @property
    def programs(self) -> Programs:
        """How configurations share programs."""
        assert self._programs is not None, "meet was not called"
        return self._programs

    @property
    def waiting(self) -> bool:
        """Whether there are jobs that were not learnt from yet."""
        return self._learnt < len(self._jobs)

    def meet(self, programs: Programs, goal: Goal = LOSS) -> None:
        """Hear how configurations share programs, and what is sought."""
        self._programs = _Kept(programs)
        self.goal = goal

    def describe(self) -> str:
        """Such as ``halving with 60 trainings``."""
        title = self.title or self.name or type(self).__name__
        return title if self.n_trials >= MANY else f"{title} with {self.n_trials:,} trainings"

    def ask(self, n: int) -> list[Trial] | Signal:
        """The next job's trials, however many.

        Linear algebra takes one thread: workers have the CPUs, and threads that wait there for each
        other take many times as long.
        """
        with threadpool_limits(1, user_api="blas"):
            return self._decided()

    def _decided(self) -> list[Trial] | Signal:
        while not self._ended:
            if len(self._jobs) - self._learnt < self.ahead:
                answer = self.next_job()
                if not isinstance(answer, Signal):
                    return self._trials(answer)
                if answer is FINISHED and self._stage + 1 < len(self._limits):
                    self._stage += 1
                    self.extended()
                    continue
                self._ended = answer is FINISHED
            if self._ended or not self._learn_next():
                break
        return FINISHED if self._ended else WAIT

    def tell(self, outcomes: Sequence[Outcome]) -> None:
        """Note outcomes; they are learnt from when their job's turn comes."""
        for outcome in outcomes:
            job = self._job_of.pop(outcome.trial.number)
            self._heard[job].append(outcome)
            self._jobs[job] -= 1

    def _learn_next(self) -> bool:
        """Learn from the first job that was not learnt from, if all of it was heard."""
        if self._learnt == len(self._jobs) or self._jobs[self._learnt]:
            return False
        self.learn(sorted(self._heard[self._learnt], key=lambda each: each.trial.number))
        self._heard[self._learnt] = []
        self._learnt += 1
        return True

    def _trials(self, job: Sequence[Wanted]) -> list[Trial]:
        trials = [
            Trial(
                self._asked + i,
                each.configuration,
                self._seed,
                each.epochs,
                self._space.place(each.configuration),
                since=each.since,
            )
            for i, each in enumerate(job)
        ]
        self._asked += len(trials)
        new = {self.training(each.configuration) for each in job if each.since == 0}
        self._begun += len(new)
        self._job_of.update({trial.number: len(self._jobs) for trial in trials})
        self._jobs.append(len(trials))
        self._heard.append([])
        return trials

    def training(self, configuration: Mapping[str, Any]) -> str:
        """What configurations have in common that are of the same training, whatever its length."""
        if self.programs.free_epochs:
            return repr({k: v for k, v in configuration.items() if k != "epochs"})
        return repr(dict(configuration))


def _but_trials(settings: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in settings.items() if name not in ("trials", AFTER)}


def check_whole(name: str, value: Any, least: int) -> None:
    """Refuse what is no whole number from `least`."""
    if not isinstance(value, int) or isinstance(value, bool) or value < least:
        raise TuningError(f"{name} takes a number from {least}, not {quoted(value)}")
