"""How long do 20 random configurations take from a cold start, beside other tuners?

Wall seconds of the whole command, two trials at a time with one CPU thread each. A peer trains the
same configurations as its users would: `scripts/peers/`. The second run of `tuning` finds its
programs compiled.
"""

from __future__ import annotations

import importlib.util
import json
import sys
import tempfile
from collections.abc import Iterator, Mapping

from benchmarks.measuring import PROBLEM, REPOSITORY, WORKERS, Measurement, run

MINUTES, ROUNDS = 7, 3
COMPARED_WITH = "tuning"
PEERS = {  # the script, and a package that it needs
    "scikit-learn": ("scikit_learn.py", "scikeras"),
    "KerasTuner": ("keras_tuner_search.py", "keras_tuner"),
    "Optuna": ("optuna_study.py", "optuna"),
    "Ray Tune": ("ray_tune.py", "fsspec"),  # of ray[tune], not of ray
}


def measure(smallest: bool) -> Iterator[Measurement]:
    """Seconds of `tuning` three ways, and of each peer that is installed."""
    from tuning import load_problem
    from tuning.samplers import RandomSampler

    n = 2 if smallest else 20
    ours = [REPOSITORY / "scripts" / "run_ray.py", "--random", n, "--sweep", 0]
    ours += ["--workers", WORKERS]
    with tempfile.TemporaryDirectory() as cache:
        for who in ("tuning", "tuning, second run"):
            yield Measurement(who, "cold start", run(ours, cache)[0], "s")
    yield Measurement("tuning --engine fit", "cold start", run([*ours, "--engine", "fit"])[0], "s")
    drawn = RandomSampler(load_problem(PROBLEM).grid, n, seed=0).ask(n)
    trials = [trial.index for trial in drawn]
    for name in installed(*PEERS):
        yield Measurement(name, "cold start", seconds_of_peer(name, trials), "s")


def installed(*names: str, of: Mapping[str, tuple[str, str]] = PEERS) -> list[str]:
    """Those of the peers that can be measured; says which cannot, and what to do."""
    found = [name for name in names if importlib.util.find_spec(of[name][1])]
    if missing := ", ".join(name for name in names if name not in found):
        print(
            f"not installed and left out: {missing}; pip install -e '.[benchmark]' brings them",
            file=sys.stderr,
        )
    return found


def seconds_of_peer(name: str, trials: list[int]) -> float:
    """Wall seconds of a peer's script that trains these trials, which it must have."""
    job = json.dumps({"problem": PROBLEM, "trials": trials, "workers": WORKERS})
    seconds, output = run([REPOSITORY / "scripts" / "peers" / PEERS[name][0], job])
    trained = json.loads(output.splitlines()[-1])["trained"]
    if trained != len(trials):
        sys.exit(f"{name} trained {trained} configurations of {len(trials)}")
    return seconds
