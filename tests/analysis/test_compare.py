"""The comparison: best so far, the exact expected best, and what the sentences claim."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.made import manifest_of, write_run_of_space
from tuning import Choice, Float, Space, load_results
from tuning.analysis.axis_means import axis_means, axis_positions
from tuning.analysis.compare import best_so_far, compare
from tuning.report.answer import comparison_sentences
from tuning.runs.manifest import read_manifest
from tuning.space.grid import Grid


@given(st.lists(st.sampled_from([0.1, 0.5, 0.9, float("nan")]), max_size=8))
def test_best_so_far_is_the_first_of_the_best(values):
    best = best_so_far(np.array(values), "max")
    for n, position in enumerate(best, start=1):
        known = [value for value in values[:n] if not np.isnan(value)]
        if not known:
            assert position == -1
        else:
            assert position == values.index(max(known))


AXES = {"units": [1, 2, 3, 4, 5], "epochs": [4, 8]}


def manifest(mode="max", metric="val_accuracy"):
    return manifest_of(AXES, mode=mode, metric=metric)


def results(random, sweep, metric="val_accuracy"):
    rows = []
    for strategy, values in (("random", random), ("sweep", sweep)):
        for number, value in enumerate(values):
            rows.append(
                {
                    "strategy": strategy, "trial": number, "index": number,
                    "units": number // 2 + 1, "epochs": 4 + 4 * (number % 2),
                    "status": "failed" if value is None else "ok",
                    metric: value, metric.replace("val", "test"): value and value - 0.01,
                    "train_seconds": 2.0,
                }
            )  # fmt: skip
    return pd.DataFrame(rows)


def test_the_table_follows_each_strategy():
    found = compare(results([0.5, 0.8, 0.7], [0.6, None, 0.9, 0.65]), manifest())
    random = found.of("random")
    assert random["val_accuracy"].tolist() == [0.5, 0.8, 0.8]
    assert random["test_accuracy"].tolist() == pytest.approx([0.49, 0.79, 0.79])
    assert random["index"].tolist() == random["trial"].tolist() == [0, 1, 1]
    assert random["total_epochs"].tolist() == [4, 12, 16]
    assert random["total_cpu_seconds"].tolist() == [2.0, 4.0, 6.0]
    assert random["expected_val_accuracy"].tolist() == pytest.approx(
        [2 / 3, (0.8 + 0.8 + 0.7) / 3, 0.8]
    )
    assert found.of("sweep")["val_accuracy"].tolist() == [0.6, 0.6, 0.9, 0.9]
    assert found.equal_budget == 3


@pytest.mark.parametrize(
    ("random", "sweep", "mode", "verdict"),
    [
        ([0.9], [0.8, 0.95], "max", "random search found the better network"),
        ([0.7], [0.8, 0.95], "max", "the sweep found the better network"),
        ([0.7], [0.8, 0.95], "min", "random search found the better network"),
        ([0.8], [0.8, 0.95], "max", "they found equally good networks"),
        ([None], [0.8, 0.95], "max", "cannot be compared"),
    ],
)
def test_the_verdict_is_at_equal_budget(random, sweep, mode, verdict):
    said = comparison_sentences(compare(results(random, sweep), manifest(mode)))
    assert len(said) == 3
    assert verdict in said[2]
    assert "any 1 of its trials" in said[2]


def test_a_test_score_that_is_no_number_spoils_only_its_trial():
    table = results([0.5, 0.8, 0.7], [])
    table.loc[1, "test_accuracy"] = float("nan")
    found = compare(table, manifest()).of("random")
    assert found["expected_test_accuracy"].tolist() == pytest.approx(
        [0.59, (0.49 + 0.69 + 0.69) / 3, 0.69]
    )


def test_trials_that_no_processor_can_number_are_compared():
    table = results([0.5], [0.6]).astype({"index": object})
    table.loc[0, "index"] = 10**19 + 5
    assert compare(table, manifest()).of("random")["index"].tolist() == [10**19 + 5]


def test_one_strategy_alone_is_not_compared():
    (said,) = comparison_sentences(compare(results([0.9], []), manifest()))
    assert said.startswith("Random search (1 trial")


@given(st.integers(0, 29))
def test_axis_positions_are_those_of_the_grid(trial):
    grid = Grid({"a": ["x", None], "b": [1, 2, 3], "c": [True, False, 0.5, "s", 9]})
    positions = axis_positions(pd.DataFrame({"index": [trial]}), grid).iloc[0]
    assert {axis: grid.axes[axis][positions[axis]] for axis in grid.axes} == grid[trial]


def test_axis_means_are_by_value_in_grid_order():
    grid = Grid({"units": [1, 2, 3, 4, 5], "epochs": [8, 4]})
    means = axis_means(results([], [0.5, 0.7, None, 0.9]), "val_accuracy", grid)
    assert means[means["axis"] == "epochs"]["value"].tolist() == [8, 4]
    assert means[means["axis"] == "epochs"]["mean"].tolist() == pytest.approx([0.5, 0.8])
    assert means[means["axis"] == "units"]["trials"].tolist() == [2, 1]


def test_without_test_data_the_metric_alone_is_compared():
    table = results([0.5, 0.8], [0.6, 0.7, 0.9]).drop(columns="test_accuracy")
    found = compare(table, manifest_of(AXES, has_test=False))
    assert found.of("sweep")["val_accuracy"].tolist() == [0.6, 0.7, 0.9]
    assert found.of("sweep")["expected_val_accuracy"].tolist()[-1] == 0.9
    said = comparison_sentences(found)
    assert said[0].endswith("found val_accuracy 0.8000 at best, with configuration 1.")
    assert not any("test" in text for text in (*found.table, *said))


def test_epochs_are_counted_where_a_hyperparameter_does_not_exist(tmp_path):
    second = Choice(["a", None]).when(layers=2)
    space = Space({"layers": [1, 2], "second": second, "rate": Float(0.1, 1.0), "epochs": 2})
    path = write_run_of_space(tmp_path, space, 6)
    table = load_results(path).assign(strategy="one_that_learns")
    assert table["second"].isna().any()
    found = compare(table, read_manifest(path))
    assert found.table["total_epochs"].tolist() == [2, 4, 6, 8, 10, 12]
    assert found.last["layers"].tolist() == [table["layers"].iloc[-1]]


def test_a_range_is_averaged_in_parts_and_what_does_not_exist_is_left_out(tmp_path):
    space = Space({"layers": [1, 2], "rate": Float(0.0, 6.0).when(layers=2), "epochs": 1})
    path = write_run_of_space(tmp_path, space, 30)
    table = load_results(path)
    means = axis_means(table, "val_accuracy", space).set_index("axis").loc["rate"]
    assert means["value"].tolist() == [f"{i} to {i + 1}" for i in means["position"]]
    assert means["trials"].sum() == table["rate"].notna().sum() == (table["layers"] == 2).sum()
    for part in means.itertuples():
        own = table[(table["rate"] >= part.position) & (table["rate"] < part.position + 1)]
        assert part.mean == pytest.approx(own["val_accuracy"].mean())


BEATS = [
    {"strategy": "random", "beats": "sweep", "seconds": 10, "searches": 200, "share": 0.7,
     "lost": 0.2},
    {"strategy": "random", "beats": "sweep", "seconds": 60, "searches": 200, "share": 0.9,
     "lost": 0.05},
]  # fmt: skip


def test_in_equal_time_the_better_one_has_won_and_how_often_it_would_is_said():
    timed = replace(manifest_of(AXES, references=BEATS), budget={"as_long_as": "random"})
    table = results([0.5, 0.8], [0.6, 0.9, 0.65])
    *_, verdict, often = comparison_sentences(
        compare(table, timed, seconds={"random": 12.0, "sweep": 12.4})
    )
    assert verdict == (
        "In 12 s each, sweep reached 0.9000, random search reached 0.8000: "
        "sweep won, by 0.1000 over random search."
    )
    assert often == (
        "In 200 simulated searches of 10 s over the table of all configurations, random search "
        "found the better network in 70%, and sweep in 20%."
    )
    unknown = comparison_sentences(compare(table, timed))
    assert "At an equal budget of 2 trials" in unknown[-1]


@pytest.mark.parametrize("status", ["ok", "stopped"])
def test_a_trial_that_ended_early_counts_the_epochs_that_it_had(status):
    """Whether a callback ended it, or time was over."""
    rows = results([0.5, 0.6], []).assign(trained_epochs=[4, 3], status=["ok", status])
    assert compare(rows, manifest()).of("random")["total_epochs"].tolist() == [4, 7]


def test_epochs_of_a_training_that_goes_on_count_once():
    rows = results([0.5, 0.6, 0.7], []).assign(
        strategy="halving", units=1, epochs=8, trained_epochs=[1, 3, 8],
        status=["stopped", "stopped", "ok"], index=1,
    )  # fmt: skip
    found = compare(rows, manifest()).of("halving")
    assert found["total_epochs"].tolist() == [1, 3, 8]
    assert found["val_accuracy"].isna().tolist() == [True, True, False]
