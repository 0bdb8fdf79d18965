"""How long do a hundred thousand and a million trials take, their training apart?

A grid whose trials train nothing is searched by the driver, its run opened again as to go on with
it, and its table analysed, report included.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from benchmarks.driver import searched
from benchmarks.measuring import REPOSITORY, Measurement, apart, run

MINUTES, ROUNDS = 4, 1

PROBLEM = """
import numpy as np
from tuning import Grid

grid = Grid({"units": range(1, 11), "rate": [i / 1000 for i in range(1, 101)],
             "dropout": [i / 1000 for i in range(N)], "epochs": [1, 2, 4, 8, 16]})

def load_data():
    return dict.fromkeys(("train", "validation", "test"), (np.zeros((64, 4)), np.zeros(64)))

def build_model(config):
    import keras
    layers = [keras.Input((4,)), keras.layers.Dense(config["units"])]
    layers += [keras.layers.Dropout(config["dropout"]), keras.layers.Dense(1)]
    model = keras.Sequential(layers)
    sgd = keras.optimizers.SGD(config["rate"])
    model.compile(sgd, "mean_squared_error", metrics=["accuracy"])
    return model
"""

OPEN = """
import sys, time
from pathlib import Path
started = time.perf_counter()
from tuning.runs.run import Run
Run.open(Path(sys.argv[1])).close()
print(time.perf_counter() - started)
"""

MEMORY = """
import resource, subprocess, sys
subprocess.run([sys.executable, *sys.argv[1:]], check=True)
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
"""


def measure(smallest: bool) -> Iterator[Measurement]:
    """Seconds and memory of each size."""
    for n in (5_000,) if smallest else (100_000, 1_000_000):
        for what, value in apart(grown, n).items():
            unit = "MB" if "memory" in what else "s"
            yield Measurement(f"{n:,} trials", what, value, unit)


def grown(n: int) -> dict[str, float]:
    """Search a grid of n trials that train nothing; open it again, and analyse it."""
    Path("scale.py").write_text(PROBLEM.replace("range(N)", f"range({n // 5_000})"))
    search, memory = searched("scale.py", packed=True)
    path = Path("run").absolute()
    opened = float(run(["-c", OPEN, path])[1])
    analysed, said = run(["-c", MEMORY, REPOSITORY / "scripts" / "analyse.py", path])
    return {
        "search": search,
        "memory of it": memory,
        "opened again": opened,
        "analysed": analysed,
        "memory of that": float(said.split()[-1]) / 1024,
    }
