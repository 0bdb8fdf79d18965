"""The main job as a user types it: whole, interrupted, killed, resumed, and mistyped."""

import json
import os
import re
import shlex
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import psutil
import pytest

from tests.conftest import PROBLEMS, REPOSITORY, TINY, changed, command
from tuning import load_results
from tuning.api.settings import cache_directory
from tuning.cli.commands import run_ray
from tuning.execution import cluster

UNTIMED = ["train_seconds", "worker", "finished_at", "run"]
SWEEP = "0:9"


def children_of(process: subprocess.Popen) -> list[psutil.Process]:
    return psutil.Process(process.pid).children(recursive=True)


def wait_for_rows(run: Path, n: int, process: subprocess.Popen) -> None:
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        table = run / "trials.csv"
        if table.exists() and table.read_bytes().count(b"\n") > n:
            return
        assert process.poll() is None, process.communicate()
        time.sleep(0.05)
    raise AssertionError(f"{n} rows did not come")


def start(*arguments: object, by: tuple[str, ...] = ("run_ray.py",)) -> subprocess.Popen:
    return subprocess.Popen(
        command(*by, *arguments),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        stdin=subprocess.DEVNULL,
        text=True,
        start_new_session=True,
    )


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    """A run that nothing happened to."""
    folder = tmp_path_factory.mktemp("undisturbed")
    done = subprocess.run(
        command("run_ray.py", "--problem", TINY, "--random", 3, "--sweep", SWEEP, "--out", "a run"),
        capture_output=True,
        text=True,
        check=True,
        cwd=folder,
    )
    return folder, done


def test_the_main_job_compares_and_says_where_the_rows_are(undisturbed):
    folder, done = undisturbed
    assert done.stderr == "" or "trials" in done.stderr  # progress, and no library's noise
    for words in ("random search", "sweep, first 3", "sweep, any 3 (expected)"):
        assert words in done.stdout
    assert re.search(r"At an equal budget of 3 trials, .* found", done.stdout)
    line = done.stdout.strip().splitlines()[-1]
    pasted = f"{line}; print(len(trials), trials.val_accuracy.max() > 0.4)"
    read = subprocess.run(
        [sys.executable, "-c", pasted], capture_output=True, text=True, cwd=folder, check=True
    )
    assert read.stdout == "12 True\n"
    comparison = pd.read_csv(folder / "a run" / "comparison.csv")
    assert comparison.groupby("strategy")["trials"].max().to_dict() == {"random": 3, "sweep": 9}
    curves = pd.read_csv(folder / "a run" / "curves.csv")
    table = load_results(folder / "a run")
    assert len(curves) == table["epochs"].sum()


def test_without_options_three_strategies_have_the_time_of_the_first(run, tmp_path):
    out = tmp_path / "three"
    done = run("run_ray.py", "--problem", TINY, "--out", out, "--workers", 2)
    assert done.returncode == 0, done.stderr
    spent = json.loads((out / "spent.json").read_text())
    assert list(spent) == ["random", "sweep", "packs"]
    table = load_results(out)
    assert (table["strategy"] == "random").sum() == 20
    assert set(table["strategy"]) == set(spent)
    said = " ".join(done.stdout.split())
    assert re.search(r"In .* each, .* (won, by .* over|found equally good networks)", said), said
    chosen = pd.read_csv(out / "choices.csv")
    assert set(chosen["strategy"]) <= set(spent)
    assert chosen["expected"].between(0, 1).all()
    again = run("run_ray.py", "--out", out)
    assert again.returncode == 0, again.stderr
    assert f"{len(table)} trials are counted" in again.stdout


def test_analyse_reads_the_files_alone(undisturbed, run, tmp_path):
    folder, done = undisturbed
    analysed = run("analyse.py", folder / "a run")
    assert (analysed.returncode, analysed.stderr) == (0, "")
    assert re.search("At an equal .*", done.stdout)[0] in analysed.stdout
    assert "The ten best configurations" in analysed.stdout
    assert re.search(r"learning_rate +0\.001", analysed.stdout)
    for name in ("best_so_far.png", "axes.png"):
        assert (folder / "a run" / name).read_bytes().startswith(b"\x89PNG")
    refused = run("analyse.py", tmp_path)
    assert (refused.returncode, refused.stderr.count("\n")) == (2, 1)


def test_the_same_again_trains_nothing_and_more_trains_the_rest(undisturbed, run, tmp_path):
    folder, _ = undisturbed
    before = load_results(folder / "a run")
    again = run("run_ray.py", "--out", folder / "a run", "--random", 4)
    assert again.returncode == 0, again.stderr
    assert "12 trials are counted" in again.stdout
    after = load_results(folder / "a run")
    assert len(after) == 13
    pd.testing.assert_frame_equal(
        after.drop(index=3).reset_index(drop=True), before, check_dtype=False
    )


@pytest.mark.slow
def test_the_same_again_elsewhere_compiles_nothing(undisturbed, run):
    kept = cache_directory()
    before = {path.name for path in kept.glob("*-cache")}
    assert before
    again = run("run_ray.py", "--problem", TINY, "--random", 3, "--sweep", SWEEP, "--out", "b")
    assert again.returncode == 0, again.stderr
    assert {path.name for path in kept.glob("*-cache")} == before
    first = load_results(undisturbed[0] / "a run").query("strategy == 'sweep' or trial < 3")
    pd.testing.assert_frame_equal(
        load_results("b").drop(columns=UNTIMED),
        first.drop(columns=UNTIMED).reset_index(drop=True),
    )


@pytest.mark.parametrize(
    "how",
    [
        pytest.param("kill -9", marks=pytest.mark.faults),
        pytest.param("Ctrl-C", marks=pytest.mark.slow),
    ],
)
def test_stopped_in_the_middle_it_goes_on_and_nothing_is_lost_or_doubled(
    how, undisturbed, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    stopped = tmp_path / "stopped"
    slower = ("    import keras\n", "    import keras, time\n    time.sleep(0.25)\n")
    problem = changed(tmp_path, slower)  # or it might be finished before it is stopped
    process = start("--problem", problem, "--random", 0, "--sweep", SWEEP, "--out", "stopped")
    wait_for_rows(stopped, 1, process)
    ray_processes = children_of(process)
    names = {process.pid: process.name() for process in ray_processes}
    assert len(ray_processes) > 2
    if how == "kill -9":
        process.kill()
        process.communicate()
        go_on = command("run_ray.py", "--out", "stopped")
    else:
        interrupted = time.monotonic()
        os.killpg(process.pid, signal.SIGINT)
        _, errors = process.communicate(timeout=20)
        assert time.monotonic() - interrupted < 5
        assert process.returncode == 130
        assert "Traceback" not in errors
        said = re.search(r"trials are counted; go on with\n +\S*python\S* (.*)", errors)
        go_on = [sys.executable, *shlex.split(said[1])]
    counted = load_results(stopped)
    assert 1 <= len(counted) < 9
    # Ray's two agents look for their raylet once a minute; all else goes with the driver.
    trained = [process for process in ray_processes if "Agent" not in names[process.pid]]
    _, alive = psutil.wait_procs(trained, timeout=20)
    assert not alive

    done = subprocess.run(go_on, capture_output=True, text=True, check=True)
    assert f"{len(counted)} trials are counted" in done.stdout
    table = load_results(stopped)
    assert table["trial"].tolist() == list(range(9))
    kept = table[table["trial"].isin(counted["trial"])].reset_index(drop=True)
    pd.testing.assert_frame_equal(kept, counted)
    reference = load_results(undisturbed[0] / "a run").query("strategy == 'sweep'")
    pd.testing.assert_frame_equal(
        table.drop(columns=UNTIMED), reference.drop(columns=UNTIMED).reset_index(drop=True)
    )


def test_the_estimate_is_a_table_and_leaves_nothing_behind(run, tmp_path):
    estimated = run("run_ray.py", "--problem", TINY, "--estimate")
    assert estimated.returncode == 0, estimated.stderr
    assert re.search(r"learning_rate +0\.001, 0\.1 +2", estimated.stdout)
    assert re.search(r"configurations +32", estimated.stdout)
    assert re.search(r"epochs in all +48", estimated.stdout)
    assert re.search(r"on one thread, days +0\.0", estimated.stdout)
    assert not list(tmp_path.iterdir())


def refused(arguments, capsys, tmp_path, monkeypatch) -> str:
    """What a bad command says, having checked that it is one line and left nothing."""
    monkeypatch.chdir(tmp_path)
    before = sorted(tmp_path.rglob("*"))
    assert run_ray([str(argument) for argument in arguments]) == 2
    assert sorted(tmp_path.rglob("*")) == before
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.count("\n") == 1
    return said.err


def test_a_directory_that_is_not_a_run_is_refused(capsys, tmp_path, monkeypatch):
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "cat.jpg").touch()
    said = refused(["--out", "photos"], capsys, tmp_path, monkeypatch)
    assert "photos is not a run: it exists, but has no manifest.json" in said
    assert "is not a run" in refused(["--out", "photos/cat.jpg"], capsys, tmp_path, monkeypatch)


def test_a_run_of_something_else_is_refused(undisturbed, capsys, tmp_path, monkeypatch):
    run = undisturbed[0] / "a run"
    for arguments, says in [
        (["--problem", "mnist_2_vs_7"], "its problem is tiny, not mnist_2_vs_7"),
        (["--seed", "7"], "its seed is 0, not 7"),
        (
            ["--backend", "tensorflow"],
            "its engine is auto, not fit; its backend is jax, not tensorflow",
        ),
        (["--sweep", "5:8"], "run has a sweep of the first 9 in grid order, and a sweep of 5:8 in"),
    ]:
        said = refused([*arguments, "--out", run], capsys, tmp_path, monkeypatch)
        assert says in said
    changed = tmp_path / "tiny.py"
    changed.write_text(TINY.read_text().replace("Dropout(0.1)", "Dropout(0.2)"))
    said = refused(["--problem", changed, "--out", run], capsys, tmp_path, monkeypatch)
    assert "the problem's code has changed" in said
    changed.write_text(TINY.read_text().replace("[2, 8]", "[2, 8, 9]"))
    said = refused(["--problem", changed, "--out", run], capsys, tmp_path, monkeypatch)
    assert "its axis 'units' has [2, 8], not [2, 8, 9]" in said


def test_wrong_data_is_refused_and_leaves_nothing(capsys, tmp_path, monkeypatch):
    text = TINY.read_text().replace("y[:192]", "y[:100]")
    (tmp_path / "wrong.py").write_text(text)
    said = refused(["--problem", "wrong.py"], capsys, tmp_path, monkeypatch)
    assert "train has 192 samples in x but 100 in y" in said


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        (
            "metrics=[\"accuracy\"]",
            "metrics=[keras.metrics.MeanMetricWrapper(lambda y, p: p, name=\"accuracy\")]",
            "Keras does not know whether more or less is better: say mode = 'max' or mode = 'min'",
        ),
    ],
)  # fmt: skip
def test_a_model_that_will_not_do_is_refused(old, new, says, run, tmp_path):
    (tmp_path / "wrong.py").write_text(TINY.read_text().replace(old, new))
    done = run("run_ray.py", "--problem", "wrong.py")
    assert (done.returncode, done.stdout) == (2, "")
    assert says in done.stderr
    assert done.stderr.count("\n") == 1
    assert [path.name for path in tmp_path.iterdir()] == ["wrong.py"]


def test_an_address_where_no_ray_answers_is_given_up(capsys, tmp_path, monkeypatch):
    assert cluster.JOIN_SECONDS < 30
    monkeypatch.setattr(cluster, "JOIN_SECONDS", 4)
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        address = f"127.0.0.1:{silent.getsockname()[1]}"
        said = refused(["--problem", TINY, "--address", address], capsys, tmp_path, monkeypatch)
    assert f"no Ray answers at {address}" in said


@pytest.mark.slow
def test_an_existing_cluster_is_joined_and_left_running(run):
    from ray.cluster_utils import Cluster

    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 2})
    try:
        done = run(
            "run_ray.py", "--problem", TINY, "--random", 0, "--sweep", 3, "--out", "r",
            "--address", cluster.address, "--workers", 1,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        assert "on 1 worker of one CPU thread" in done.stdout
        assert load_results("r")["status"].tolist() == ["ok"] * 3
        assert cluster.head_node.remaining_processes_alive()
    finally:
        cluster.shutdown()


def test_the_scripts_are_thin():
    for script in ("run_ray.py", "analyse.py", "merge.py", "publish.py", "replay.py"):
        assert len((REPOSITORY / "scripts" / script).read_text().splitlines()) < 20


@pytest.mark.slow
def test_keras_own_fit_trains_it_too(run):
    done = run(
        "run_ray.py", "--problem", PROBLEMS / "two_inputs.py", "--engine", "fit",
        "--random", 1, "--sweep", 2, "--out", "r",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    table = load_results("r")
    assert table["status"].tolist() == ["ok"] * 3
    assert (set(table["engine"]), set(table["backend"])) == ({"fit"}, {"tensorflow"})
    assert "best val_loss" in done.stdout


@pytest.mark.slow
def test_paths_of_any_characters_work_and_nothing_is_written_beside_them(
    run, tmp_path, monkeypatch
):
    temporary = tmp_path / ("t" * 100) / ("t" * 100)
    temporary.mkdir(parents=True)
    monkeypatch.setenv("TMPDIR", str(temporary))  # where a Unix socket's path would be too long
    folder = tmp_path / 'it\'s "mine" – ünïcode $HOME'
    folder.mkdir()
    (folder / "my problem.py").write_text(TINY.read_text())
    (folder / "the runs").mkdir()
    (tmp_path / "link").symlink_to(folder / "the runs", target_is_directory=True)
    out = tmp_path / "link" / "Ω; rm -rf 'x' [/red] :x:"
    search = ("--problem", folder / "my problem.py", "--random", 0, "--out", out)
    done = run("run_ray.py", *search, "--sweep", 2)
    assert done.returncode == 0, done.stderr
    line = done.stdout.strip().splitlines()[-1]
    read = subprocess.run(
        [sys.executable, "-c", f"{line}; print(len(trials))"],
        capture_output=True, text=True, cwd=tmp_path, check=True,
    )  # fmt: skip
    assert read.stdout == "2\n"
    assert run("analyse.py", out).returncode == 0
    ours = ("Ω", str(temporary))
    written = [path for path in tmp_path.rglob("*") if path.is_file()]
    beside = {path for path in written if not any(one in str(path) for one in ours)}
    assert beside == {folder / "my problem.py"}
