"""The samplers and pruners of Optuna, in jobs that are trained at once."""

from __future__ import annotations

import inspect
import math
from collections.abc import Sequence
from typing import Any

from tuning.errors import TuningError, quoted
from tuning.samplers.jobs import Wanted
from tuning.samplers.protocol import Signal
from tuning.samplers.registry import register
from tuning.samplers.rungs import RungSampler, Seen
from tuning.space.parameters import Fixed, Float, Int, Parameter
from tuning.trial import Outcome

MEMBERS = 4  # asked of Optuna for a job


@register("optuna", title="Optuna")
class OptunaSampler(RungSampler):
    """Ask Optuna for configurations, and its pruner at each rung which go on.

    Those of a job are asked for together, as if trained at once by several processes. A sampler
    that can take the trials in flight for bad ones does so (``constant_liar``).

    Source: Akiba et al., "Optuna", KDD 2019.

    Parameters
    ----------
    space, seed, trials, **settings
        As `RungSampler`; `prior` has no effect, and `reduction` says which rungs there are.
    sampler : str
        A class of ``optuna.samplers``, such as ``"TPESampler"`` or ``"GPSampler"``.
    pruner : str
        A class of ``optuna.pruners``, such as ``"MedianPruner"``; ``"NopPruner"`` for none.

    Raises
    ------
    TuningError
        If Optuna is not installed, or has no such class.
    """

    def __init__(
        self,
        space: Any,
        seed: int,
        trials: int,
        *,
        sampler: str = "TPESampler",
        pruner: str = "MedianPruner",
        members: int = MEMBERS,
        **settings: Any,
    ) -> None:
        super().__init__(space, seed, trials, members=members, **settings)
        try:
            import optuna
        except ImportError:
            raise TuningError(
                "the strategy 'optuna' needs Optuna: pip install 'tuning[optuna]'"
            ) from None
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self._sampler = _made(optuna.samplers, "sampler", sampler, seed)
        self._pruner = _made(optuna.pruners, "pruner", pruner, seed)
        self._by_key: dict[str, Any] = {}
        self._going_on: list[Seen] = []

    def prepare(self) -> None:
        """Make the study."""
        import optuna

        directions = optuna.study.StudyDirection
        self._study = optuna.create_study(
            sampler=self._sampler,
            pruner=self._pruner,
            direction=directions.MAXIMIZE if self.goal.mode == "max" else directions.MINIMIZE,
        )

    def begin_from(self, outcomes: Sequence[Outcome]) -> None:
        """Add the trainings of an earlier run to the study; those that were stopped as pruned."""
        reports: dict[str, dict[int, float]] = {}
        for each in outcomes:
            if math.isfinite(score := self.goal.score(each)):
                own = reports.setdefault(self.training(each.trial.configuration), {})
                own[each.trial.epochs] = score
        for seen in self.seen(outcomes):
            if own := reports.get(self.training(seen.configuration), {}):
                self._study.add_trial(self._as_recalled(seen, own))

    def next_job(self) -> Sequence[Wanted] | Signal:
        """Those that the pruner lets go on, or new ones."""
        if self._going_on:
            chosen, self._going_on = self._going_on, []
            return [
                each
                for seen in chosen
                for each in self.train([seen.configuration], seen.epochs, self._rung_after(seen))
            ]
        members = self._new()
        if not members:
            return self.idle()
        return self.begin(members)

    def learn(self, outcomes: Sequence[Outcome]) -> None:
        """Tell Optuna, and ask its pruner which trainings go on."""
        for seen in self.seen(outcomes):
            own = self._by_key[self.training(seen.configuration)]
            score = self.goal.score_of(seen.worth)
            if not math.isfinite(score):
                self._end(own, None)
                continue
            own.report(score, seen.epochs)
            if seen.epochs >= self.rungs(seen.configuration)[-1]:
                self._end(own, score)
            elif own.should_prune():
                self._end(own, score, pruned=True)
            else:
                self._going_on.append(seen)

    def _new(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        for _ in range(10 * self.members):
            if len(found) >= min(self.members, self.room):
                break
            start = self._start.pop(0) if self._start else None
            if start is not None:
                self._study.enqueue_trial(self._as_asked(start))
            own = self._study.ask()
            configuration = self._suggested(own)
            key = self.training(configuration)
            if self.drawing.note(key):
                self._by_key[key] = own
                found.append(configuration)
            else:  # Optuna may ask for the same again, which is trained once
                self._study.tell(own, **self._as_before(key))
        return found or ([] if self.room <= 0 else self._drawn())

    def _drawn(self) -> list[dict[str, Any]]:
        """Any new ones, where Optuna asks for nothing but known ones."""
        drawn = self.draw(min(self.members, self.room))
        for configuration in drawn:
            self._study.enqueue_trial(self._as_asked(configuration))
            own = self._study.ask()
            self._suggested(own)
            self._by_key[self.training(configuration)] = own
        return drawn

    def _suggested(self, own: Any) -> dict[str, Any]:
        """The configuration that Optuna suggests, hyperparameter by hyperparameter."""
        configuration: dict[str, Any] = {}
        for name, parameter in self._space.parameters.items():
            if not parameter.exists(configuration):
                continue
            if name == "epochs" and self.programs.free_epochs:
                configuration[name] = self.longest
            else:
                configuration[name] = _suggest(own, name, parameter)
        return configuration

    def _as_asked(self, configuration: dict[str, Any]) -> dict[str, Any]:
        """A configuration as what Optuna would have suggested."""
        asked = {}
        for name, value in configuration.items():
            parameter = self._space.parameters[name]
            if isinstance(parameter, Fixed) or (name == "epochs" and self.programs.free_epochs):
                continue
            ranged = isinstance(parameter, Float | Int)
            asked[name] = value if ranged else int(parameter.position(value))
        return asked

    def _as_recalled(self, seen: Seen, reports: dict[int, float]) -> Any:
        """A training of an earlier run as a trial of Optuna."""
        import optuna

        whole = max(reports) >= self.rungs(seen.configuration)[-1]
        params = self._as_asked(seen.configuration)
        return optuna.trial.create_trial(
            state=optuna.trial.TrialState.COMPLETE if whole else optuna.trial.TrialState.PRUNED,
            params=params,
            distributions={name: _distribution(self._space.parameters[name]) for name in params},
            value=reports[max(reports)],
            intermediate_values=reports,
        )

    def _as_before(self, key: str) -> dict[str, Any]:
        """What Optuna is told of a configuration that it asks for again."""
        import optuna

        before = self._by_key[key]
        done = self._study.get_trials(deepcopy=False)[before.number]
        if done.state == optuna.trial.TrialState.COMPLETE:
            return {"values": done.value}
        return {"state": optuna.trial.TrialState.FAIL}

    def _end(self, own: Any, score: float | None, *, pruned: bool = False) -> None:
        import optuna

        states = optuna.trial.TrialState
        if score is None:
            self._study.tell(own, state=states.FAIL)
        elif pruned:
            self._study.tell(own, state=states.PRUNED)
        else:
            self._study.tell(own, score)

    def _rung_after(self, seen: Seen) -> int:
        return next(rung for rung in self.rungs(seen.configuration) if rung > seen.epochs)


def _suggest(own: Any, name: str, parameter: Parameter) -> Any:
    """A value of a hyperparameter; of a list of values Optuna chooses the place."""
    if isinstance(parameter, Fixed):
        return parameter.value
    if isinstance(parameter, Float):
        return own.suggest_float(name, parameter.low, parameter.high, log=parameter.log)
    if isinstance(parameter, Int):
        log, step = _logarithmic(parameter)
        return own.suggest_int(name, parameter.low, parameter.values[-1], log=log, step=step)
    values = parameter.values
    assert values is not None
    return values[own.suggest_categorical(name, list(range(len(values))))]


def _distribution(parameter: Parameter) -> Any:
    """What Optuna draws a hyperparameter from: a range, or places in a list of values."""
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    if isinstance(parameter, Float):
        return FloatDistribution(parameter.low, parameter.high, log=parameter.log)
    if isinstance(parameter, Int):
        log, step = _logarithmic(parameter)
        return IntDistribution(parameter.low, parameter.values[-1], log=log, step=step)
    assert parameter.values is not None
    return CategoricalDistribution(list(range(len(parameter.values))))


def _logarithmic(parameter: Int) -> tuple[bool, int]:
    """Whether Optuna draws whole numbers on a logarithmic scale, and in which steps."""
    log = parameter.log and parameter.step == 1
    return log, 1 if log else parameter.step


def _made(module: Any, kind: str, name: str, seed: int) -> Any:
    """A sampler or pruner of Optuna by name; a seed and lies about trials in flight if it can."""
    found = getattr(module, name, None) if isinstance(name, str) else None
    base = getattr(module, f"Base{kind.capitalize()}")
    if not (inspect.isclass(found) and issubclass(found, base)):
        known = [each for each in module.__all__ if each.endswith(kind.capitalize())]
        raise TuningError(
            f"Optuna has no {kind} {quoted(name)}: there are {', '.join(sorted(known))}"
        )
    takes = inspect.signature(found).parameters
    wanted = {"seed": seed, "constant_liar": True}
    try:
        return found(**{key: value for key, value in wanted.items() if key in takes})
    except Exception as error:
        raise TuningError(
            f"Optuna's {kind} {name} cannot be made without settings: {error}"
        ) from error
