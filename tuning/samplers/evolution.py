"""Regularized evolution, with children of one program together."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from typing import Any

from tuning.samplers.jobs import Wanted, check_whole
from tuning.samplers.protocol import Signal
from tuning.samplers.registry import register
from tuning.samplers.rungs import RungSampler, Seen
from tuning.trial import Outcome

POPULATION, SAMPLE = 48, 12
TRIES = 100  # mutations in a row that are all known, after which it draws anew


@register("evolution", title="regularized evolution")
class EvolutionSampler(RungSampler):
    """Change one hyperparameter of the best of a few; the oldest die, not the worst.

    Each job has one parent, the best of `sample` out of the last `population`. The first child
    changes any of its hyperparameters; the others of the job have the child's program, and differ
    from it in one that is lifted. Trainings go straight to the end.

    Source: Real et al., "Regularized Evolution for Image Classifier Architecture Search", AAAI
    2019.

    Parameters
    ----------
    space, seed, trials, **settings
        As `RungSampler`; `epochs_min` and `reduction` have no effect.
    population : int
        How many of the last trainings may be parents.
    sample : int
        Of how many of them the best is the parent.
    """

    pauses = False

    def __init__(
        self,
        space: Any,
        seed: int,
        trials: int,
        *,
        population: int = POPULATION,
        sample: int = SAMPLE,
        **settings: Any,
    ) -> None:
        super().__init__(space, seed, trials, **settings)
        check_whole("population", population, 1)
        check_whole("sample", sample, 1)
        self._population: deque[Seen] = deque(maxlen=population)
        self._sample = sample
        self._begun_with = 0

    def next_job(self) -> Sequence[Wanted] | Signal:
        """A draw while the population grows, or else children."""
        members = self.next_start()
        if not members and self.room > 0:
            assert self._population.maxlen is not None
            grown = self._begun_with >= self._population.maxlen and self._population
            members = (self._children() if grown else []) or self.draw(self.members)
        if not members:
            return self.idle()
        self._begun_with += len(members)
        return self.begin(members, -1)

    def learn(self, outcomes: Sequence[Outcome]) -> None:
        """Add the trainings to the population, of which the oldest leave."""
        self._population.extend(self.seen(outcomes))

    def begin_from(self, outcomes: Sequence[Outcome]) -> None:
        """Take the best whole trainings of an earlier run as the population, the best youngest."""
        most = self._population.maxlen
        assert most is not None
        whole = [
            each
            for each in self.seen(outcomes)
            if each.worth > float("-inf") and each.epochs == self.rungs(each.configuration)[-1]
        ]
        best = sorted(whole, key=lambda each: -each.worth)[:most]
        self._population.extend(reversed(best))
        self._begun_with = most if best else 0

    def _children(self) -> list[dict[str, Any]]:
        contest = self._random.sample(
            list(self._population), min(self._sample, len(self._population))
        )
        parent = max(contest, key=lambda each: each.worth).configuration
        names = [name for name in self._space.parameters if name in parent]
        children: list[dict[str, Any]] = []
        for _ in range(TRIES):
            if len(children) == min(self.members, self.room):
                break
            child = self._mutated(children[0] if children else parent, names)
            same = not children or self.program_of(child) == self.program_of(children[0])
            if same and self.drawing.note(self.training(child)):
                children.append(child)
                if len(children) == 1 and self.program_of(child) is not None:
                    names = [name for name in child if name in self.programs.lifted] or names
        return children

    def _mutated(self, parent: Mapping[str, Any], names: Sequence[str]) -> dict[str, Any]:
        """The parent with another value of one hyperparameter."""
        name = self._random.choice(list(names))
        known = {key: value for key, value in parent.items() if key != name}
        return self.drawing.one(self.programs, known)
