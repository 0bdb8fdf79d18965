"""The remaining time of a search, estimated from the trainings so far."""

from __future__ import annotations

import numpy as np

from tuning.engines.reports import Report
from tuning.packing.packs import Pack

ALIKE = 0.01  # guesses that differ by less tell nothing of what a difference makes


class TimeLeft:
    """An estimate of the remaining time, from the trainings so far.

    A pack (one trial, where none share a program) of e epochs, whose work was guessed at g seconds,
    is taken to last a + p·e + q·g seconds. a is the mean of what packs took besides their epochs;
    p and q are fitted by least squares to the seconds an epoch took against its guess. Where that
    cannot be, as all guesses were alike or the fit would have an end be negative, an epoch takes in
    proportion to its guess.
    """

    def __init__(self) -> None:
        self._waiting = np.zeros(3)  # packs to begin, epochs, guessed seconds
        self._left: dict[Pack, int] = {}  # epochs of those that were begun
        self._begun = 0
        self._besides = 0.0
        self._guesses: list[float] = []
        self._seconds: list[float] = []

    def plan(self, pack: Pack) -> None:
        """A pack is to come."""
        self._waiting += (1, pack.work.epochs, pack.work.seconds)

    def observe(self, pack: Pack, report: Report) -> None:
        """Note epochs that were trained of a planned pack."""
        if not report.epoch_seconds:
            return
        first = pack not in self._left
        if first:
            self._begun += 1
            self._waiting -= (1, 0, 0)
            self._left[pack] = pack.work.epochs
        epoch = float(np.median(report.epoch_seconds[first:] or report.epoch_seconds))
        self._besides += max(0.0, report.seconds - len(report.epoch_seconds) * epoch)
        self._guesses.append(_guess(pack))
        self._seconds.append(epoch)
        self._take(pack, min(len(report.epoch_seconds), self._left[pack]))

    def end(self, pack: Pack) -> None:
        """Nothing more is to come of a pack."""
        if pack not in self._left:
            self._waiting -= (1, pack.work.epochs, pack.work.seconds)
        else:
            self._take(pack, self._left[pack])
            del self._left[pack]

    def _take(self, pack: Pack, epochs: int) -> None:
        self._left[pack] -= epochs
        self._waiting -= (0, epochs, epochs * _guess(pack))

    def seconds(self, workers: int, since: float = 0.0) -> float | None:
        """Seconds until the end, or None before anything was seen.

        Parameters
        ----------
        workers : int
            Packs that train at once.
        since : float
            Seconds since the last report.
        """
        if not self._begun:
            return None
        rest = float(np.dot(self._waiting, [self._besides / self._begun, *self._fit()]))
        return max(1.0, rest / workers - since)

    def _fit(self) -> tuple[float, float]:
        """(p, q): seconds an epoch, and for a second guessed; neither is negative."""
        guesses, seconds = np.array(self._guesses), np.array(self._seconds)
        if np.ptp(guesses) > ALIKE * guesses.max():
            q, p = np.polyfit(guesses, seconds, 1)
            if p >= 0 and q >= 0:
                return float(p), float(q)
        return 0.0, float(seconds.sum() / guesses.sum())


def _guess(pack: Pack) -> float:
    """Seconds an epoch of it was guessed to take."""
    return pack.work.seconds / pack.work.epochs
