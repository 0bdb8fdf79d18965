"""The Gaussian process over configurations."""

import math
from random import Random

import numpy as np
import pytest

from tests.samplers.test_surrogate import SPACE, accuracy, drawn
from tuning import Grid
from tuning.samplers.gaussian import NOISE, GaussianProcess
from tuning.space.space import Space


def test_it_predicts_what_it_has_not_seen_and_knows_how_sure_it_is():
    model = GaussianProcess(SPACE, 12, "max")
    seen, new = drawn(150), drawn(100, seed=1)
    model.add(seen[:75], [12] * 75, [accuracy(each) for each in seen[:75]])
    rows = model.encode(new)
    _, before = model.predict(rows)
    model.add(seen[75:], [1] * 75, [accuracy(each, 1) for each in seen[75:]])
    mean, sd = model.predict(rows)
    true = np.array([accuracy(each) for each in new])
    good = true > np.median(true)
    assert np.corrcoef(mean[good], np.log(true / (1 - true))[good])[0, 1] > 0.85
    assert model.mean(rows) == pytest.approx(mean)
    assert (sd < before).all()
    away = model.residuals(rows, [12] * 100, true.tolist())
    assert np.mean(np.abs(away) < 2 * np.hypot(sd, NOISE)) > 0.9
    assert model.mean(rows, [1] * 100).mean() < mean.mean()
    assert model.mean(rows, [12] * 100) == pytest.approx(mean)
    highest = max([*map(accuracy, seen[:75]), *(accuracy(each, 1) for each in seen[75:])])
    assert model.best == pytest.approx(
        model.predict(rows)[0][0] + model.residuals(rows[:1], [12], [highest])[0]
    )


def test_how_bad_the_bad_ones_are_says_nothing_of_the_good():
    space = Grid({"rate": [1, 2, 3, 4, 5, 6, 7, 8], "epochs": [1]})
    configurations = [space[i] for i in range(8)]
    predictions = []
    for worst in (0.5, 0.1, math.nan):
        model = GaussianProcess(space, 1, "max")
        scores = [worst, 0.6, 0.90, 0.91, 0.92, 0.93, 0.94, 0.95]
        model.add(configurations, [1] * 8, scores)
        predictions.append(model.mean(model.encode(configurations)))
    assert predictions[0] == pytest.approx(predictions[1])
    assert predictions[0] == pytest.approx(predictions[2])
    assert np.argmax(predictions[0]) == 7


@pytest.mark.parametrize("axes", [{}, {"rate": [1]}, {f"axis_{i}": [1, 2, 3] for i in range(30)}])
def test_a_space_may_have_no_or_many_hyperparameters(axes):
    space = Space({"units": 3, **axes})
    model = GaussianProcess(space, 1, "min")
    seen = [space.draw(Random(i)) for i in range(5)]
    model.add(seen, [1] * 5, [1.0, 2.0, 3.0, 4.0, math.inf])
    mean, sd = model.predict(model.encode(seen))
    assert np.isfinite(mean).all()
    assert np.isfinite(sd).all()


def test_scores_that_are_all_the_same_are_all_expected_the_same():
    model = GaussianProcess(SPACE, 12, "max")
    model.add(drawn(5), [1] * 5, [0.5] * 5)
    assert model.mean(model.encode(drawn(5, seed=1))) == pytest.approx(np.zeros(5))


def test_many_that_have_the_best_score_differ_from_the_others():
    space = Grid({"rate": [1, 2, 3], "epochs": [1]})
    model = GaussianProcess(space, 1, "max")
    model.add([space[i] for i in (0, 1, 2, 2, 2, 2)], [1] * 6, [0.8, 0.7] + [0.9] * 4)
    mean = model.mean(model.encode([space[i] for i in range(3)]))
    assert mean[2] > max(mean[:2]) + 0.5
