"""All configurations for a few epochs, and the best of them to the end."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Any

from tuning.samplers.jobs import Wanted, check_whole
from tuning.samplers.protocol import Signal
from tuning.samplers.registry import register
from tuning.samplers.rungs import RungSampler, Seen
from tuning.trial import Outcome

FINALISTS = 10


@register("iepoch", title="a few epochs for all")
class FewEpochsSampler(RungSampler):
    """Train all draws for `epochs_min` epochs, and then the best few to the end.

    The simplest of all strategies that stop trainings, to which others are compared.

    Source: Egele et al., "The Unreasonable Effectiveness of Early Discarding After One Epoch in
    Neural Network Hyperparameter Optimization", Neurocomputing 597 (2024).

    Parameters
    ----------
    space, seed, trials, **settings
        As `RungSampler`; `reduction` has no effect.
    finalists : int
        How many go on to the end.
    """

    def __init__(
        self, space: Any, seed: int, trials: int, *, finalists: int = FINALISTS, **settings: Any
    ) -> None:
        super().__init__(space, seed, trials, **settings)
        check_whole("finalists", finalists, 1)
        self._finalists = finalists
        self._paused: list[Seen] = []
        self._final: dict[Hashable, list[Seen]] | None = None

    def next_job(self) -> Sequence[Wanted] | Signal:
        """A draw, or at last the finalists of one program."""
        members = self.next_start()
        if not members and self.room > 0:
            members = self.draw(self.members)
        if members:
            return self.begin(members)
        if self._final is None and not self.waiting:
            self._final = self._choose()
        if not self._final:
            return self.idle()
        chosen = self._final.pop(next(iter(self._final)))
        until = self.rungs(chosen[0].configuration)[-1]
        return self.train([each.configuration for each in chosen], chosen[0].epochs, until)

    def extended(self) -> None:
        """Choose finalists again, when more are drawn."""
        self._final = None

    def learn(self, outcomes: Sequence[Outcome]) -> None:
        """Note what may go on."""
        for seen in self.seen(outcomes):
            unfinished = seen.epochs < self.rungs(seen.configuration)[-1]
            if unfinished and seen.worth > float("-inf"):
                self._paused.append(seen)

    def _choose(self) -> dict[Hashable, list[Seen]]:
        """The finalists, those together that end at the same epoch and share a program."""
        groups: dict[Hashable, list[Seen]] = {}
        self._paused.sort(key=lambda seen: -seen.worth)
        chosen = self._paused[: self._finalists]
        self._paused = self._paused[self._finalists :]
        for each in chosen:
            end = self.rungs(each.configuration)[-1]
            groups.setdefault((self.program_of(each.configuration), each.epochs, end), []).append(
                each
            )
        return groups
