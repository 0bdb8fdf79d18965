"""How long until a validation accuracy of 0.9939 is found, beside other tuners?

Wall seconds from the command to its end, cold, with two trials at a time on one thread each: ours
by `scripts/run_ray.py --strategy packs --target 0.9939`, from an empty directory with nothing
compiled; Optuna's TPE with Hyperband's pruner, two processes on one journal; KerasTuner's
Hyperband, a chief and two workers; Ray Tune's ASHA; and Syne Tune's BOHB. All search the built-in
grid, each axis as a list of values and the epochs as the fidelity, 12 at most, and hear a trial's
accuracy after each epoch. It counts where a configuration of the grid ends: at epoch 4, 8 or 12.
A peer ends itself with the first trial that reaches the target (`scripts/peers/racing.py`), or when
time is over; such a round counts as the limit and as not ``reached``. Round k takes seed k, one
tuner after another, so that what slows the machine meets all of them.

Each peer has the backend of Keras that is faster for it, as measured before the first round: Syne
Tune begins a process for each trial, so it has the one whose first training in a process is sooner
done; the others the one whose second is. The validation set has 2,445 images: 0.9939 is reached
with 2,431 of them.
"""

from __future__ import annotations

import functools
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from benchmarks.measuring import PROBLEM, REPOSITORY, WORKERS, Measurement, run
from benchmarks.peers import installed

MINUTES, ROUNDS = 20, 5
SEEDED = True
COMPARED_WITH = "tuning"
TARGET, LIMIT = 0.9939, 20 * 60.0
EASY, SHORT = 0.9, 60.0  # for the smallest size
GRACE = 60.0  # seconds beyond the limit, in which a command may end itself
BACKENDS = ("tensorflow", "jax")
PEERS = {  # the script, and a package that it needs
    "Optuna": ("race_optuna.py", "optuna"),
    "KerasTuner": ("race_keras_tuner.py", "keras_tuner"),
    "Ray Tune": ("race_ray_tune.py", "fsspec"),  # of ray[tune], not of ray
    "Syne Tune": ("race_syne_tune.py", "syne_tune"),
}
PROCESS_A_TRIAL = {"Syne Tune"}


def measure(smallest: bool, seed: int = 0, seconds: float | None = None) -> Iterator[Measurement]:
    """Seconds of `tuning` and of each peer that is installed, and whether they were enough."""
    target, limit = (EASY, SHORT) if smallest else (TARGET, LIMIT)
    names = installed(*PEERS, of=PEERS)
    if seed == 0 and not smallest:
        for backend in BACKENDS:
            for which, value in fit_seconds(backend).items():
                yield Measurement(f"Keras on {backend}", f"{which} training", value, "s")
    yield from race(["tuning", *names], target, seconds or limit, seed)


def race(names: list[str], target: float, limit: float, seed: int) -> Iterator[Measurement]:
    """Let tuners search for the target, one after another."""
    for name in names:
        taken, best = (
            ours(target, limit, seed) if name == "tuning" else peer(name, target, limit, seed)
        )
        reached = best is not None and best >= target and taken <= limit
        yield Measurement(name, f"until {target}", taken if reached else limit, "s")
        yield Measurement(name, "reached", float(reached), "of the rounds")


def ours(target: float, limit: float, seed: int) -> tuple[float, float | None]:
    """Wall seconds of our command, and the best validation accuracy among its trials."""
    command = [REPOSITORY / "scripts" / "run_ray.py", "--strategy", "packs", "--target", target]
    command += ["--seed", seed, "--workers", WORKERS, "--out", "run"]
    seconds, _, best = until(command, limit, _best)
    return seconds, best


def _best(folder: Path) -> float | None:
    """Of the trials that were trained as long as their configuration says."""
    import tuning

    if not (folder / "run").exists():
        return None
    rows = tuning.load_results(folder / "run")
    whole = rows.loc[rows["status"] == "ok", "val_accuracy"]
    return float(whole.max()) if len(whole) else None


def peer(name: str, target: float, limit: float, seed: int) -> tuple[float, float | None]:
    """Wall seconds of a peer's script, and the accuracy by which it reached the target."""
    job = _job(backend_of(name), target=target, seconds=limit, seed=seed)
    script = REPOSITORY / "scripts" / "peers" / PEERS[name][0]
    seconds, output, _ = until([script, job], limit, lambda folder: None)
    return seconds, json.loads(output.splitlines()[-1])["reached"] if output.strip() else None


def backend_of(name: str) -> str:
    """The backend that is faster for a peer."""
    which = "first" if name in PROCESS_A_TRIAL else "second"
    return min(BACKENDS, key=lambda backend: fit_seconds(backend)[which])


@functools.cache
def fit_seconds(backend: str) -> dict[str, float]:
    """Seconds of a process' first training, its start included, and of its second."""
    job = _job(backend, target=1.0, seconds=LIMIT, seed=0)
    _, output = run([REPOSITORY / "scripts" / "peers" / "race_backend.py", job])
    return dict(json.loads(output.splitlines()[-1]))


def _job(backend: str, **settings: float) -> str:
    return json.dumps({"problem": PROBLEM, "workers": WORKERS, "backend": backend, **settings})


def until(command: list[Any], limit: float, read: Callable[[Path], Any]) -> tuple[float, str, Any]:
    """Run a Python command in an empty directory, and end it after a limit.

    Parameters
    ----------
    command : list
        What follows ``python``.
    limit : float
        Seconds; `GRACE` later it is interrupted, and killed if that is no use.
    read : callable
        Takes the directory when the command has ended.

    Returns
    -------
    float
        Wall seconds.
    str
        What it printed.
    object
        What `read` returned.
    """
    with tempfile.TemporaryDirectory() as folder, tempfile.TemporaryFile("w+") as errors:
        started = time.perf_counter()
        process = subprocess.Popen(
            [sys.executable, *map(str, command)],
            cwd=folder,
            env={**os.environ, "XDG_CACHE_HOME": folder},
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            start_new_session=True,
        )
        output, cut = _output(process, limit + GRACE)
        seconds = time.perf_counter() - started
        if process.returncode != 0 and not cut:
            errors.seek(0)
            sys.exit(f"{' '.join(map(str, command))} failed:\n{errors.read()[-3000:]}")
        return seconds, output, read(Path(folder))


def _output(process: subprocess.Popen[str], seconds: float) -> tuple[str, bool]:
    """What a process printed, and whether it had to be ended."""
    for wait, signal_number in ((seconds, signal.SIGINT), (GRACE, signal.SIGKILL)):
        try:
            output = process.communicate(timeout=wait)[0]
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal_number)
        else:
            return output, wait != seconds
    return process.communicate()[0], True
