"""Hyperband: successive halving in brackets that begin at different rungs."""

from __future__ import annotations

from tuning.samplers.halving import HalvingSampler
from tuning.samplers.registry import register


@register("hyperband", title="Hyperband")
class HyperbandSampler(HalvingSampler):
    """Asynchronous successive halving in brackets, for where short trainings may mislead.

    The first bracket begins at the first rung, the next one at the second, and so on; the last
    trains all of its draws to the end. Each is given about the same epochs to train.

    Source: Li et al., "Hyperband", JMLR 18 (2018); asynchronous as in `HalvingSampler`.

    Parameters
    ----------
    space, seed, trials, **settings
        As `RungSampler`.
    """

    @property
    def n_brackets(self) -> int:
        """As many as rungs of the longest training."""
        return len(self.rungs({"epochs": self.longest}))

    def next_bracket(self) -> int:
        """The one with the fewest draws for its share: of n brackets n / (n - s) · r^(n - 1 - s).

        Hyperband's own shares, s being the bracket from 0 and r the reduction.
        """
        n = self.n_brackets

        def filled(bracket: int) -> float:
            share = n / (n - bracket) * float(self.reduction) ** (n - 1 - bracket)
            return self._drawn[bracket] / share

        return min(range(n), key=filled)
