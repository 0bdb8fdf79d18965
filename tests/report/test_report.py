"""What is printed of a run in which little or nothing went well."""

import errno
import io
from dataclasses import replace

import pytest
from rich.console import Console

from tests.runs.test_results import manifest, outcome, trial
from tuning import RunStopped, TuningError
from tuning.report import style
from tuning.report.analyse import analyse
from tuning.report.style import COLOURS, looks
from tuning.runs.run import Run
from tuning.samplers import strategies
from tuning.trial import Outcome


def analysed(path) -> str:
    text = io.StringIO()
    analyse(path, [], Console(file=text, width=200, markup=False))
    return text.getvalue()


@pytest.fixture
def run(tmp_path):
    with Run.create(tmp_path / "r", manifest()) as run:
        yield run


def fail(run: Run, index: int) -> None:
    failed = Outcome(trial(index), "failed", "fit", "tensorflow", error="ValueError: [red] no")
    run.count([("random", replace(failed, trial=trial(index, index)))])


def test_a_run_without_a_result_is_said_to_have_none(run):
    for index in range(3):
        fail(run, index)
    said = analysed(run.path)
    assert "trained no model with a result" in said
    assert "3 of 3 trials failed, the first of them configuration 0: ValueError: [red] no" in said
    assert "there is nothing to rank or to draw" in said
    assert not list(run.path.glob("*.png"))


def test_a_strategy_without_a_result_is_not_compared(run):
    fail(run, 0)
    run.count([("sweep", outcome(9))])
    said = analysed(run.path)
    assert "a strategy without a result cannot be compared" in said
    assert len(list(run.path.glob("*.png"))) == 3


def test_a_run_without_trials_is_refused(run):
    with pytest.raises(TuningError, match="has no trials yet"):
        analysed(run.path)


def test_a_full_disk_is_said_and_leaves_no_half_comparison(run, monkeypatch):
    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    run.count([("random", outcome(0))])
    monkeypatch.setattr("tuning.runs.manifest.os.fsync", full)
    with pytest.raises(RunStopped, match=r"cannot write .*comparison.csv: the disk is full"):
        analysed(run.path)
    assert not list(run.path.glob("comparison*"))


@pytest.mark.parametrize(
    ("found", "title", "sentence"),
    [
        ({"halving": [0.6]}, "What did successive halving find?", "found val_accuracy 0.6000"),
        (
            {"random": [0.6, 0.7], "sweep": [0.5, 0.8]},
            "Which found the best: random search or a sweep?",
            "At an equal budget of 2 trials, random search reached 0.7000",
        ),
        (
            {"halving": [0.6, 0.7], "packs": [0.8], "own": [0.5, 0.6, 0.9]},
            "Which found the best: successive halving, own or model-guided packs?",
            "At an equal budget of 2 epochs, model-guided packs reached 0.8000, successive halving "
            "reached 0.6000, own reached 0.5000: model-guided packs won, by 0.2000 over successive",
        ),
    ],
)
def test_a_report_names_the_strategies_that_the_run_has(run, found, title, sentence):
    for strategy, scores in found.items():
        for number, score in enumerate(scores):
            run.count(
                [(strategy, replace(outcome(2 * number, score), trial=trial(2 * number, number)))]
            )
    said = analysed(run.path)
    assert sentence in said
    page = (run.path / "report.html").read_text()
    assert f"<h1>{title}</h1>" in page
    assert f"<title>tiny: {title[0].lower()}{title[1:]}</title>" in page
    assert "any 1 (expected)" not in said or "random" in found


def test_no_two_strategies_look_the_same():
    names = [*strategies(), "own", "another"]
    found = looks(names)
    assert len(set(found.values())) == len(names)
    assert len({colour for colour, _ in found.values()}) == len(strategies())
    some = looks(["random", "halving", "own", "another"])
    assert len({colour for colour, _ in some.values()}) == 4
    assert some["random"][0] == COLOURS["random"]


@pytest.mark.parametrize("width", [style.WIDTH, 7])
@pytest.mark.parametrize("entries", [1, 3, 6])
def test_a_legend_leaves_the_plot_its_room(width, entries):
    """Also of the longest names, on a page, where a figure is narrow."""
    import matplotlib as mpl

    def draw(ax):
        for number in range(entries):
            ax.plot([1, 2], [number, 1], label="sweep in random order (expected)")
        style.legend(ax)

    with mpl.rc_context(style.ON_PAGE):
        figure = style._drawn(draw, width, style.HEIGHT)
        figure.draw_without_rendering()
    (ax,) = figure.axes
    box = ax.get_position()
    assert box.width > 0.7
    assert box.height * figure.get_figheight() > 1.5
    words = ax.get_legend().get_window_extent().transformed(figure.transFigure.inverted())
    assert words.x1 <= 1.01
    assert words.y1 <= 1.01
