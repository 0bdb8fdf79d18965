"""The front of the benchmarks; that each of them runs, `.ci/run` sees."""

import dataclasses
import importlib
import importlib.util

import pytest

import tuning
from benchmarks import costs, digits, digits_problem, live, peers, race, strategies
from tests.conftest import REPOSITORY
from tuning.engines.reports import Report
from tuning.execution.loop import search
from tuning.execution.table import Costs, Memory, TableExecutor


@pytest.fixture
def script():
    path = REPOSITORY / "scripts" / "benchmark.py"
    spec = importlib.util.spec_from_file_location("benchmark", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_its_help_says_what_each_part_answers(run, script):
    said = run("benchmark.py", "--help").stdout
    for name in script.PARTS:
        part = importlib.import_module(f"benchmarks.{name}")
        question = part.__doc__.splitlines()[0]
        assert question.endswith("?")
        assert f"{part.MINUTES * part.ROUNDS} min  {question}" in said


def test_every_benchmark_is_a_part(script):
    files = (REPOSITORY / "benchmarks").glob("*.py")
    assert {file.stem for file in files if "def measure(" in file.read_text()} == set(script.PARTS)


def test_a_part_that_there_is_not_is_refused(run):
    done = run("benchmark.py", "pack")
    assert done.returncode == 2
    assert "no part is called 'pack'; there are peers, rates" in done.stderr
    assert done.stdout == ""


def test_peers_that_are_not_installed_are_left_out_and_named(monkeypatch, capsys):
    found = importlib.util.find_spec
    missing = {"scikeras", "optuna"}
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: found("json" if name not in missing else "no")
    )
    assert peers.installed(*peers.PEERS) == ["KerasTuner", "Ray Tune"]
    said = capsys.readouterr().err
    assert said.startswith("not installed and left out: scikit-learn, Optuna; pip install -e ")


@pytest.mark.parametrize(
    ("seconds", "best", "said"),
    [
        (12.0, 0.9943, (12.0, 1.0)),
        (12.0, 0.9938, (50.0, 0.0)),
        (12.0, None, (50.0, 0.0)),
        (51.0, 0.9943, (50.0, 0.0)),
    ],
)
def test_a_race_without_the_target_in_time_counts_as_its_limit(monkeypatch, seconds, best, said):
    asked = []
    monkeypatch.setattr(race, "ours", lambda *job: asked.append(job) or (seconds, best))
    time, reached = race.race(["tuning"], 0.9939, 50.0, 3)
    assert asked == [(0.9939, 50.0, 3)]
    assert (time.value, reached.value) == said


def test_a_command_of_a_race_that_does_not_end_is_ended(monkeypatch):
    monkeypatch.setattr(race, "GRACE", 1.0)
    stays = "import signal, time; signal.signal(signal.SIGINT, signal.SIG_IGN); time.sleep(600)"
    write = "open('a', 'w').write('b'); print('c')"
    names = lambda folder: [path.name for path in folder.iterdir()]  # noqa: E731
    assert race.until(["-c", write], 60, names)[1:] == ("c\n", ["a"])
    assert race.until(["-c", stays], 0, names)[1:] == ("", [])
    with pytest.raises(SystemExit, match="ZeroDivisionError"):
        race.until(["-c", "1 / 0"], 60, names)


def test_a_peer_has_the_backend_that_is_faster_for_it(monkeypatch):
    seconds = {"tensorflow": {"first": 9, "second": 3}, "jax": {"first": 8, "second": 4}}
    monkeypatch.setattr(race, "fit_seconds", seconds.get)
    chosen = {name: race.backend_of(name) for name in race.PEERS}
    assert chosen.pop("Syne Tune") == "jax"
    assert set(chosen.values()) == {"tensorflow"}


def test_a_strategy_on_the_digits_tells_what_it_found(tmp_path):
    learning_rates = [0.003, 0.01, 0.03, 0.1]
    space = {
        "batch_size": 64, "optimizer": "sgd", "filters": 8, "units": 16, "activation": "relu",
        "learning_rate": learning_rates, "dropout": [0.0], "l2": [1e-5], "epochs": [2],
    }  # fmt: skip
    space = {name: own if isinstance(own, list) else [own] for name, own in space.items()}
    results = tuning.search(
        digits_problem.build_model, space, digits_problem.load_data, trials=4, workers=0, keep=0
    )
    told = digits.told(results, [name for name in space if name != "epochs"])
    assert told["validation"] == results.best()["val_accuracy"].item()
    assert told["test"] == results.best()["test_accuracy"].item()
    assert told["chosen validation"] in set(results.trials["val_accuracy"])
    assert (told["trainings"], told["epochs"]) == (4, 8)
    assert set(told) == set(digits.COLUMNS)


class Named(TableExecutor):
    """A simulation that names the worker that trains a pack, as `TableExecutor` does not."""

    def submit(self, pack, keep=None):
        idle = set(self._idle)
        super().submit(pack, keep)
        self.names = {**getattr(self, "names", {}), id(pack): str(*idle - set(self._idle))}

    def hear(self):
        (heard,) = super().hear()
        worker = self.names[id(heard.pack)]
        own = [dataclasses.replace(each, worker=worker) for each in heard.report.outcomes]
        return [dataclasses.replace(heard, report=Report(own))]


def test_the_costs_of_a_simulated_search_are_found_again():
    known = strategies.table()
    true = Costs(compile=0.9, load=0.2, member=0.05, finish=0.4, call=0.15, speed=0.5)
    executor = Named(known.outcomes, 2, packing=known.packing, n_rows=strategies.ROWS, costs=true)
    ends, script = costs.Ends(lambda: executor.clock), costs.Script(known.grid, 0, 10_000)
    search({"script": script}, executor, Memory(), executor.packer, ends, goal=strategies.GOAL)
    paid = costs.paid_for(ends.ended_packs, known)
    found = costs.fitted(paid)
    assert len(paid) > 40
    for part in costs.PARTS:
        assert getattr(found, part) == pytest.approx(getattr(true, part), abs=1e-6)


def test_the_measured_clock_has_the_medians_of_what_live_has_measured(monkeypatch, tmp_path):
    path = tmp_path / "live.csv"
    monkeypatch.setattr(strategies, "LIVE", path)
    assert list(strategies.clocks.__wrapped__()) == ["1.3 s a compile", "3 s a compile"]
    rows = [f"live,costs,{part},{i},{value + i},s,cpu" for i in range(3)
            for part, value in (("compile", 0.5), ("speed", 0.25))]  # fmt: skip
    rows += ["live,packs,trials,0,9,,cpu"]
    path.write_text("\n".join(["part,who,what,round,value,unit,machine", *rows]))
    measured = strategies.clocks.__wrapped__()["measured"]
    assert measured == Costs(compile=1.5, speed=1.25)


def test_seconds_are_compared_at_as_many_trials():
    ours = {i: (float(i), i, 12) for i in range(8)}
    theirs = {i: (10.0 * i, i, 12) for i in reversed(range(20))}
    assert live.at_quarters(ours, theirs) == [(1, 10), (3, 30), (5, 50), (7, 70)]
    assert live.same(ours, theirs) == 1.0
    assert live.same(ours, theirs | {4: (40.0, 99, 12)}) == 0.5
    assert live.at_quarters({}, theirs) == []


def test_earlier_rounds_of_a_file_count_and_the_table_has_medians_and_ratios(
    script, tmp_path, capsys
):
    path = tmp_path / "new" / "b.csv"
    for seconds in (10.0, 30.0, 11.0):
        table = script.Table("peers", path)
        table.add("tuning", "cold start", seconds, "s")
    table.add("other", "cold start", 22.0, "s")
    script.Table("rates", path).add("tuning", "first", 1.0, "configurations/s")
    capsys.readouterr()
    table.show("tuning")
    rows = [line.split() for line in capsys.readouterr().out.splitlines() if line.strip()]
    assert ["tuning", "11", "1.00"] in rows
    assert ["other", "22", "2.00"] in rows
    assert rows[-1] == ["Medians", "of", "1", "to", "3", "rounds."]
    kept = path.read_text().splitlines()
    assert [line.split(",")[3] for line in kept[1:]] == ["0", "1", "2", "0", "0"]


def test_a_file_that_has_something_else_is_refused_and_stays(script, tmp_path, capsys):
    path = tmp_path / "other.csv"
    path.write_text("a,b\n1,2\n")
    with pytest.raises(SystemExit, match="2"):
        script.Table("peers", path)
    assert (
        "other.csv is no table of this benchmark: give --out another file"
        in capsys.readouterr().err
    )
    assert path.read_text() == "a,b\n1,2\n"
