"""The model that predicts scores of configurations."""

import math
from random import Random

import numpy as np
import pytest

from tuning import Grid
from tuning.samplers.surrogate import COLUMNS, Encoding, Scale, Surrogate
from tuning.space.parameters import Choice, Float, Int
from tuning.space.space import Space

SPACE = Space(
    {
        "layers": [1, 2],
        "second": Choice([(8, 8), {"units": 3}]).when(layers=2),
        "rate": Float(1e-4, 1e-1, log=True),
        "width": Int(1, 100),
        "fixed": 3,
        "epochs": [1, 12],
    }
)


def drawn(n, seed=0):
    random = Random(seed)
    return [SPACE.draw(random) for _ in range(n)]


def accuracy(configuration, epochs=12):
    value = 3 - 1.5 * abs(math.log10(configuration["rate"]) + 2.5)
    value += 0.5 * (configuration["layers"] == 2) + 0.5 * math.log(epochs) / math.log(12)
    return 1 / (1 + math.exp(-value))


def test_values_and_positions_have_columns():
    encoding = Encoding(SPACE)
    assert encoding.owners == ["layers"] * 2 + ["second"] * 2 + ["rate"] * 5 + ["width"] * 5
    row = encoding.rows([{"layers": 1, "rate": 1e-4, "width": 100, "epochs": 1}])[0]
    assert row.tolist() == [1, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 1]
    between = encoding.rows(
        [
            {
                "layers": 2,
                "second": SPACE.label("second", {"units": 3}),
                "rate": math.sqrt(1e-4 * 1e-1),
                "width": 50,
            }
        ]
    )[0]
    assert between[:4].tolist() == [0, 1, 0, 1]
    assert between[4:9] == pytest.approx([0, 0, 1, 0, 0], abs=1e-9)
    assert between[9:].sum() == pytest.approx(1)
    pairs = {(encoding.owners[i], encoding.owners[j]) for i, j in encoding.pairs.T}
    assert len(pairs) == 6
    assert all(one != other for one, other in pairs)


def test_there_are_not_too_many_columns():
    wide = Grid({f"axis_{i}": list(range(8)) for i in range(20)})
    model = Surrogate(wide, 1, "max")
    assert 160 < model._sd.size <= COLUMNS


def test_it_predicts_what_it_has_not_seen_and_knows_how_sure_it_is():
    model = Surrogate(SPACE, 12, "max")
    seen = drawn(150)
    model.add(seen[:75], [12] * 75, [accuracy(each) for each in seen[:75]])
    model.add(seen[75:], [1] * 75, [accuracy(each, 1) for each in seen[75:]])
    new = drawn(100, seed=1)
    rows = model.encode(new)
    mean, sd = model.predict(rows)
    expected = model.scale.forward(np.array([accuracy(each) for each in new]))
    assert np.corrcoef(mean, expected)[0, 1] > 0.97
    assert (np.abs(mean - expected) < 4 * np.hypot(sd, 0.2)).all()
    assert model.mean(rows) == pytest.approx(mean)
    early = model.mean(rows, [1] * len(new))
    assert early == pytest.approx(model.predict(rows, [1] * len(new))[0])
    assert early.mean() < mean.mean()
    unseen = Surrogate(SPACE, 12, "max")
    assert (unseen.predict(rows)[1] > sd).all()


def test_what_has_no_score_is_the_worst():
    model = Surrogate(Space({"rate": [1, 2, 3], "epochs": [2]}), 2, "min")
    model.add([{"rate": 1}, {"rate": 2}, {"rate": 3}], [2] * 3, [0.1, math.nan, math.inf])
    mean, _ = model.predict(model.encode([{"rate": 1}, {"rate": 2}, {"rate": 3}]))
    assert mean[0] > mean[1]
    assert mean[1] == pytest.approx(mean[2])


@pytest.mark.parametrize(
    ("mode", "scores", "kind"),
    [
        ("max", [0.2, 0.9, 0.999], "logit"),
        ("min", [1e5, 2e6, 3e4], "log"),
        ("max", [-3.0, 0.9, 0.2], "standard"),
        ("min", [-3.0, 5.0, 0.2], "standard"),
    ],
)
def test_a_scale_goes_up_as_scores_get_better_and_back(mode, scores, kind):
    scores = np.array(sorted(scores, reverse=mode == "min"))
    scale = Scale.of(np.append(scores, np.nan), mode)
    assert scale.kind == kind
    values = scale.forward(scores)
    assert (np.diff(values) > 0).all()
    assert scale.back(values) == pytest.approx(scores)
