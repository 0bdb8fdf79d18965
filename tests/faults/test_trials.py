"""Trials that hang, crash, eat memory or shout: each costs its own row."""

import subprocess

import pandas as pd
import pytest

from tests.conftest import PROBLEMS, command
from tuning import load_results

pytestmark = pytest.mark.faults

SECONDS, MEMORY = 8, "1GB"
STATUS = {"raises": "failed", "exits": "failed", "segfaults": "failed", "eats": "failed"}
STATUS |= {"hangs": "timeout", "hangs in C": "timeout"}
SAID = {
    "raises": "ValueError: =cmd|' /C calc'!A0",
    "exits": "its worker process died, 3 times",
    "segfaults": "its worker process died, 3 times",
    "hangs": "it took longer than the 8 s that a trial may take",
    "hangs in C": "it took longer than the 8 s that a trial may take",
}


def test_each_trouble_costs_its_own_row(tmp_path, faults, by):
    for i in range(faults):
        engine = ("auto", "fit")[i % 2]
        out = tmp_path / f"run {i}"
        done = subprocess.run(
            command(
                *by, "--problem", PROBLEMS / "faulty.py", "--random", 0, "--sweep", "all",
                "--engine", engine, "--backend", "jax", "--out", out,
                "--trial-timeout", SECONDS, "--trial-memory", MEMORY,
            ),
            capture_output=True,
            text=True,
            check=False,
            timeout=500,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        assert len(done.stdout) + len(done.stderr) < 10_000  # what trials print goes nowhere
        table = load_results(out)
        assert table["trial"].tolist() == list(range(16))
        wanted = table["trouble"].map(STATUS).where(table["on"], "ok").fillna("ok")
        assert table["status"].tolist() == wanted.tolist()
        assert set(table["engine"]) == {"vectorized" if engine == "auto" else "fit"}
        said = table[table["on"]].groupby("trouble")["error"].first()
        assert said[list(SAID)].to_dict() == SAID
        assert said["eats"].startswith("its worker took 1")
        assert said["eats"].endswith("GB, and may take 1 GB")
        took = table[table["status"] == "timeout"]["train_seconds"]
        assert took.between(SECONDS, SECONDS + 5).all()
        raw = pd.read_csv(out / "trials.csv", dtype=str, keep_default_na=False)
        assert not raw.map(lambda cell: cell.startswith(("=", "+", "@"))).any(axis=None)
