"""Measure `tuning` beside its peers, in one run: `python scripts/benchmark.py --help`.

Needs the peers: `pip install -e '.[benchmark]'`. Writes one row a measurement to
results/benchmark.csv, draws results/benchmark.png and prints medians and ratios.

- (a) 20 random configurations from a cold start: wall seconds of the whole command.
- (b) configurations a second, steady, over 1,440 in grid order: its first, and those in its middle.
  Ours trains all of them; scikit-learn, as the fastest peer in (a), a sample, its time without
  start-up being the difference of two runs.
- (c) model FLOPs over time of `vectorized`, validation included, as a share of the core's measured
  float32 product rate, and of the roofline: products at that rate, plus one pass of the optimizer's
  state at the measured bandwidth of the cache that a block is sized for. FLOPs are those done: of
  the pixels that are not zero in every image. Every batch size, width and optimizer of the grid,
  the activations in turn; the mean is weighted by time. Beside it what proving takes: to build and
  trace a member's model, and its share of 12 epochs of training.
- (d) the driver alone: 43,200 trials that train nothing.
- (e) one worker against two, seconds of training 720 configurations, start-up left out.
- (f) with dropout, validation accuracy and log loss over 30 seeds through `fit` and in packs, and
  the p-value of the two-sample Kolmogorov-Smirnov test that they come from one distribution.
- (h) other models than dense ones, in packs and by Keras' `fit` on JAX and on TensorFlow:
  `benchmarks/packs.py`.
- (g) scale: a grid of 100,000 and of 1,000,000 trials that train nothing, searched by the driver;
  the run opened again as to go on with it, and its table analysed, report included.
"""

import argparse
import contextlib
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd

HERE = Path(__file__).resolve().parent
PROBLEM = "mnist_2_vs_7"
WORKERS = 2
PEERS = {
    "scikit-learn": "scikit_learn.py",
    "KerasTuner": "keras_tuner_search.py",
    "Optuna": "optuna_study.py",
    "Ray Tune": "ray_tune.py",
}
BLOCKS = {  # for (b)
    "first 1,440": range(1_440),  # widths 64 and 128 with SGD, batches of 16
    "middle 1,440": range(20_880, 22_320),  # widths 256, RMSprop, and 64, Adagrad; batches of 64
}
MEMBERS = 12  # for (c): a quarter of a program of the grid
FEWER = range(30_240, 30_960)  # for (e): width 64, Adagrad; batches of 128
SAMPLE = (2, 10)  # configurations of a peer's two runs in (b)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--parts", default="abcdefgh", help="which to measure (abcdefgh)")
    parser.add_argument("--rounds", type=int, default=3, help="measurements of each (3)")
    parser.add_argument("--who", help="in (a), only these, separated by commas")
    parser.add_argument("--out", type=Path, default=Path("results/benchmark.csv"))
    parser.add_argument("--child", nargs="+", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        print(json.dumps(CHILDREN[options.child[0]](*map(int, options.child[1:]))))
        return
    measured = Table(options.out, options.who)
    for i in range(options.rounds):
        for part in options.parts:
            if part not in "cfgh" or i == 0:
                PARTS[part](measured)
    report(measured.read(), options.out)


class Table:
    """The measurements, each on the disk as soon as it is made."""

    columns = ("part", "who", "round", "value", "unit", "detail", "machine")

    def __init__(self, path: Path, who: str | None = None) -> None:
        self._path = path
        self._who = who.split(",") if who else None
        if not path.exists():
            path.parent.mkdir(exist_ok=True)
            path.write_text(",".join(self.columns) + "\n")

    def wants(self, who: str) -> bool:
        return self._who is None or who in self._who

    def add(self, part: str, who: str, value: float, *unit_and_detail: str) -> None:
        unit, detail = (*unit_and_detail, "", "")[:2]
        before = self.read()
        round_ = ((before["part"] == part) & (before["who"] == who)).sum()
        row = [part, who, round_, round(value, 4), unit, detail, machine()]
        pd.DataFrame([row]).to_csv(self._path, mode="a", header=False, index=False)
        print(f"({part}) {who}: {value:,.4g} {unit} {detail}", file=sys.stderr, flush=True)

    def read(self) -> pd.DataFrame:
        return pd.read_csv(self._path)


def machine() -> str:
    from tuning.manifest import processor

    return f"{len(os.sched_getaffinity(0))} × {processor()}"


def run(command: list[object], cache: str | None = None) -> tuple[float, str]:
    """Wall seconds and output of a command that starts cold, in an empty directory."""
    with tempfile.TemporaryDirectory() as folder:
        environment = {**os.environ, "XDG_CACHE_HOME": cache or folder}
        started = time.perf_counter()
        done = subprocess.run(
            [sys.executable, *map(str, command)],
            cwd=folder, env=environment, capture_output=True, text=True, check=False,
        )  # fmt: skip
        seconds = time.perf_counter() - started
    if done.returncode != 0:
        sys.exit(f"{command} failed:\n{done.stderr[-3000:]}")
    return seconds, done.stdout


def peer(name: str, trials: list[int]) -> float:
    job = json.dumps({"problem": PROBLEM, "trials": trials, "workers": WORKERS})
    seconds, output = run([HERE / "peers" / PEERS[name], job])
    assert json.loads(output.splitlines()[-1])["trained"] == len(trials)
    return seconds


def part_a(table: Table) -> None:
    from tuning import load_problem
    from tuning.samplers import RandomSampler

    trials = RandomSampler(load_problem(PROBLEM).grid, 20, seed=0).ask(20)
    ours = [HERE / "run_ray.py", "--random", 20, "--sweep", 0, "--workers", WORKERS]
    with tempfile.TemporaryDirectory() as cache:
        for who in ("tuning", "tuning, second run"):
            if table.wants(who):
                table.add("a", who, run(ours, cache)[0], "s")
    if table.wants("tuning --engine fit"):
        table.add("a", "tuning --engine fit", run([*ours, "--engine", "fit"])[0], "s")
    for name in PEERS:
        if table.wants(name):
            table.add("a", name, peer(name, trials), "s")


def part_b(table: Table) -> None:
    for where, block in BLOCKS.items():
        _, output = run(
            [HERE / "benchmark.py", "--child", "sweep", block.start, block.stop, WORKERS]
        )
        rate = len(block) / json.loads(output)
        table.add("b", f"{where}: tuning", rate, "configurations/s", "all")
        few, more = ([block[i * len(block) // n] for i in range(n)] for n in SAMPLE)
        seconds = peer("scikit-learn", more) - peer("scikit-learn", few)
        rate = (len(more) - len(few)) / seconds
        sample = f"sample of {len(more)}"
        table.add("b", f"{where}: scikit-learn", rate, "configurations/s", sample)


def part_c(table: Table) -> None:
    found = json.loads(run([HERE / "benchmark.py", "--child", "roofline"])[1])
    for rate in ("product_gflops", "bandwidth_gbytes"):
        table.add("c", rate, found[rate], "1e9/s")
    for program in found["programs"]:
        name = "batch {batch_size}, width {neurons}, {optimizer}".format(**program)
        for share in ("share_of_products", "share_of_roofline"):
            table.add("c", f"{share}: {name}", program[share], "", f"{program['ms']:.1f} ms")
    for share in ("share_of_products", "share_of_roofline", "share_of_proof"):
        table.add("c", share, found[share], "")
    table.add("c", "proof of a member", found["proof_ms"], "ms")


def part_d(table: Table) -> None:
    for packed in (1, 0):
        found = json.loads(run([HERE / "benchmark.py", "--child", "driver", packed])[1])
        who = "packs" if packed else "one by one"
        table.add("d", f"driver, {who}", found["seconds"] / 43_200 * 1e3, "ms a trial")
        table.add("d", f"driver's memory, {who}", found["mbytes"], "MB")


def part_e(table: Table) -> None:
    for workers in (1, 2):
        child = [HERE / "benchmark.py", "--child", "sweep", FEWER.start, FEWER.stop, workers]
        table.add("e", f"{workers} workers", json.loads(run(child)[1]), "s")


def part_f(table: Table) -> None:
    found = json.loads(run([HERE / "benchmark.py", "--child", "parity"])[1])
    for name, (fit, packs, p) in found.items():
        table.add("f", f"{name}: mean through fit", fit)
        table.add("f", f"{name}: mean in packs", packs)
        table.add("f", f"{name}: p-value", p, "", "Kolmogorov-Smirnov, 30 seeds each")


def part_g(table: Table) -> None:
    for thousands in (100, 1000):
        found = json.loads(run([HERE / "benchmark.py", "--child", "scale", thousands])[1])
        for name, value in found.items():
            unit = "MB" if "memory" in name else "s"
            table.add("g", f"{thousands * 1000:,} trials: {name}", value, unit)


def part_h(table: Table) -> None:
    done = run([HERE.parent / "benchmarks" / "packs.py", "--json"])[1]
    for line in done.splitlines():
        found = json.loads(line)
        for who in ("pack", "fit on JAX", "fit on TensorFlow"):
            detail = f"{found['at_once']:.0f} at once" if who == "pack" else ""
            table.add("h", f"{found['model']}: {who}", found[who], "ms a step", detail)
        table.add("h", f"{found['model']}: compiling a pack", found["compile"], "s")


PARTS = {
    "a": part_a, "b": part_b, "c": part_c, "d": part_d, "e": part_e, "f": part_f, "g": part_g,
    "h": part_h,
}  # fmt: skip


def child_sweep(start: int, stop: int, workers: int) -> float:
    """Seconds to train a range of the grid, once Ray and Keras have started."""
    from tuning.samplers import SweepSampler

    with searching(workers) as (driver, new_run, problem, silent), new_run() as run:
        driver.probe()
        sampler = SweepSampler(problem.grid, start, stop)
        started = time.perf_counter()
        driver.search({"sweep": sampler}, run, silent)
        return time.perf_counter() - started


def child_driver(packed: int) -> dict[str, float]:
    """Search the whole grid with workers that train nothing."""
    return {"seconds": search_training_nothing(PROBLEM, bool(packed)), "mbytes": most_memory()}


def search_training_nothing(problem: str, packed: bool) -> float:
    """Seconds of a sweep of the whole grid into the directory ``run``."""
    import ray

    from tuning import driver as module
    from tuning.samplers import SweepSampler
    from tuning.training.outcome import Outcome
    from tuning.training.reports import Report

    def nothing(problem, data, trials, job, **_):
        rng = np.random.default_rng(trials[0])
        names = [f"{s}_{m}" for s in ("val", "test", "train") for m in ("loss", "accuracy")]
        scores = rng.random((len(trials), len(names))).round(4).tolist()
        outcomes = [
            Outcome(trial, 0, "ok", "none", "none", dict(zip(names, own, strict=True)))
            for trial, own in zip(trials, scores, strict=True)
        ]
        yield Report(outcomes)

    module._train = ray.remote(num_cpus=1)(nothing)
    engine = "auto" if packed else "fit"
    with searching(WORKERS, engine, problem) as (driver, new_run, found, silent):
        driver.probe()
        with new_run() as run:
            started = time.perf_counter()
            driver.search({"sweep": SweepSampler(found.grid)}, run, silent)
            return time.perf_counter() - started


def most_memory() -> float:
    """The most memory this process has had, in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


SCALE = """
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


def child_scale(thousands: int) -> dict[str, float]:
    """Search a grid of so many thousand trials that train nothing; open it again, and analyse."""
    Path("scale.py").write_text(SCALE.replace("range(N)", f"range({thousands // 5})"))
    found = {"search": search_training_nothing("scale.py", True), "memory of it": most_memory()}
    path = Path("run").absolute()
    found["opened again"] = float(run(["-c", OPENED, path])[1])
    seconds, said = run(["-c", MEASURED, HERE / "analyse.py", path])
    found |= {"analysed": seconds, "memory of the analysis": float(said.split()[-1]) / 1024}
    return found


OPENED = """
import sys, time
from pathlib import Path
started = time.perf_counter()
from tuning.results import Run
Run.open(Path(sys.argv[1])).close()
print(time.perf_counter() - started)
"""

MEASURED = """
import resource, subprocess, sys
subprocess.run([sys.executable, *sys.argv[1:]], check=True)
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
"""


@contextlib.contextmanager
def searching(workers: int, engine: str = "auto", name: str = PROBLEM):
    """A driver on a Ray of its own, a function that makes a run, the problem, and no progress."""
    from tuning import load_problem
    from tuning.cluster import ray_cluster
    from tuning.driver import Driver
    from tuning.manifest import make_manifest
    from tuning.problem import load_data
    from tuning.results import Run
    from tuning.settings import cache_directory

    class Silent:
        def planned(self, pack): ...
        def trained(self, pack, report, counted): ...
        def ended(self, pack): ...
        def kept(self, rows): ...

    problem = load_problem(name)
    settings = {"engine": engine, "backend": "jax", "seed": 0}
    about = {"code": "", "model": "", "data": ""}
    search = {"random": 0, "sweep": "all", "sweep_order": "grid"}
    with ray_cluster(workers=workers) as cluster:
        driver = Driver(problem, **settings, cluster=cluster, cache=str(cache_directory()))
        driver.load(load_data(problem))
        manifest = make_manifest(problem, about, ["loss", "accuracy"], **settings, search=search)
        yield driver, lambda: Run.create(Path("run"), manifest), problem, Silent()


def child_roofline() -> dict[str, object]:
    """Every batch size, width and optimizer of the grid, one activation after another."""
    from tuning import load_problem
    from tuning.problem import load_data
    from tuning.training.threads import one_cpu
    from tuning.training.worker import prepare

    with one_cpu():
        prepare("jax")
        problem = load_problem(PROBLEM)
        data = load_data(problem)
        products, bandwidth = product_rate(), bandwidth_rate()
        axes = problem.grid.axes
        programs = []
        for batch_size in axes["batch_size"]:
            for neurons in axes["neurons"]:
                for optimizer in axes["optimizer"]:
                    activation = axes["activation"][len(programs) % len(axes["activation"])]
                    chosen = {
                        **problem.grid[0], "batch_size": batch_size, "neurons": neurons,
                        "optimizer": optimizer, "activation": activation,
                        "dropout_1": 0.25, "dropout_2": 0.2, "epochs": 12,
                    }  # fmt: skip
                    programs.append(
                        {**chosen, **epoch_shares(problem, data, chosen, products, bandwidth)}
                    )
    whole = sum(program["ms"] for program in programs)
    return {
        "product_gflops": products / 1e9,
        "bandwidth_gbytes": bandwidth / 1e9,
        "programs": programs,
        "share_of_proof": sum(each["proof_ms"] for each in programs)
        / (sum(each["proof_ms"] + 12 * each["ms"] for each in programs)),
        "proof_ms": float(np.median([each["proof_ms"] for each in programs])),
        **{
            share: sum(program[share] * program["ms"] for program in programs) / whole
            for share in ("share_of_products", "share_of_roofline")
        },
    }


def child_parity(seeds: int = 30) -> dict[str, tuple[float, float, float]]:
    """Means through `fit` and in packs, and the p-value, of what a trial's validation gives."""
    from scipy.stats import ks_2samp

    from tuning import load_problem
    from tuning.problem import load_data
    from tuning.training.threads import one_cpu
    from tuning.training.worker import Job, prepare, probe, train

    with one_cpu():
        prepare("jax")
        problem = load_problem(PROBLEM)
        data = load_data(problem)
        chosen = {
            "batch_size": 128, "optimizer": "adam", "neurons": 64, "activation": "relu",
            "learning_rate": 0.001, "dropout_1": 0.5, "dropout_2": 0.5, "epochs": 4,
        }  # fmt: skip
        trial = problem.grid.index(chosen)
        packing = probe(problem, data, Job(0, "jax"), pack=True).packing
        jobs = [
            [Job(seed, "jax", packing=packing), Job(100 + seed, "jax")] for seed in range(seeds)
        ]
        outcomes = [[only(train(problem, data, [trial], job)) for job in pair] for pair in jobs]
    packs, by_fit = zip(*outcomes, strict=True)
    assert {packs[0].engine, by_fit[0].engine} == {"vectorized", "fit"}
    values = {
        name: [[outcome.metrics[name] for outcome in some] for some in (by_fit, packs)]
        for name in ("val_accuracy", "val_loss")
    }
    return {
        name: (np.mean(one), np.mean(other), ks_2samp(one, other).pvalue)
        for name, (one, other) in values.items()
    }


def only(reports):
    """The outcome of a single trial."""
    (outcome,) = (outcome for report in reports for outcome in report.outcomes)
    return outcome


STATES = {"sgd": 3, "rmsprop": 5, "adagrad": 5, "adam": 7}  # floats read and written a parameter


def epoch_shares(problem, data, chosen, products, bandwidth) -> dict[str, float]:
    """Time one member's epoch with its validation, in a block as the engine would make it.

    And the proof of a member: its model built, traced and compared.
    """
    import jax

    from tuning.packing.axes import Packing
    from tuning.training import vectorized

    batch_size, width = chosen["batch_size"], chosen["neurons"]
    task = vectorized.Task(problem, data, Packing(drawn=True))
    members, proofs = [], []
    for i in range(MEMBERS):
        own = chosen | {"learning_rate": 0.001 * (i + 1), "dropout_1": 0.5 * (i % 3) / 2}
        started = time.perf_counter()
        steps = vectorized.look_at(problem, data, own, 0, drawn=True)
        proofs.append(time.perf_counter() - started)
        members.append(vectorized.Member(own, 0, steps, {i: 48 // MEMBERS * chosen["epochs"]}))
    started = time.perf_counter()
    program = vectorized.program_of(task, members)
    proof = float(np.median(proofs)) + (time.perf_counter() - started) / MEMBERS
    n = program.block_size(MEMBERS, vectorized.MOST_AT_ONCE)
    state = program.start(range(n))
    rows, pixels = len(data["train"][0]), len(program.kept)
    batches = program.batches([np.random.default_rng(0).permutation(rows)])
    seconds = []
    for _ in range(4):
        started = time.perf_counter()
        state, logs = program.epoch(state, batches)
        jax.block_until_ready((state.variables, logs))
        seconds.append(time.perf_counter() - started)
    member = min(seconds[1:]) / n
    first, rest = pixels * width, width * width + width
    scored = len(data["validation"][0])
    flops = 2 * rows * (2 * first + 3 * rest) + 2 * scored * (first + rest)
    steps = -(-rows // batch_size)
    parameters = first + rest + 2 * width + 1
    passing = steps * parameters * 4 * STATES[chosen["optimizer"]] / bandwidth
    return {
        "ms": member * 1e3,
        "proof_ms": proof * 1e3,
        "share_of_products": flops / products / member,
        "share_of_roofline": (flops / products + passing) / member,
    }


def product_rate(n: int = 2048) -> float:
    """The most float32 operations a second of an n³ product, by NumPy or XLA, on this thread."""
    import jax

    a = np.random.default_rng(0).normal(size=(n, n)).astype(np.float32)
    b = jax.device_put(a)
    by_xla = jax.jit(lambda x: x @ x)
    return 2 * n**3 / min(fastest(lambda: a @ a), fastest(lambda: by_xla(b).block_until_ready()))


def bandwidth_rate() -> float:
    """Bytes a second of x + s·y written over x, of arrays that fill the cache as a block does."""
    import jax

    from tuning.training.program import BLOCK_BYTES

    n = BLOCK_BYTES // 8
    x, y = (jax.device_put(np.ones(n, np.float32)) for _ in range(2))

    def passes(x, y):
        return jax.lax.fori_loop(0, 100, lambda i, x: x + 0.5 * y, x)

    compiled = jax.jit(passes, donate_argnums=())
    return 100 * 12 * n / fastest(lambda: compiled(x, y).block_until_ready())


def fastest(action, times: int = 7) -> float:
    action()
    seconds = []
    for _ in range(times):
        started = time.perf_counter()
        action()
        seconds.append(time.perf_counter() - started)
    return min(seconds)


CHILDREN = {
    "sweep": child_sweep,
    "driver": child_driver,
    "scale": child_scale,
    "roofline": child_roofline,
    "parity": child_parity,
}


def report(rows: pd.DataFrame, out: Path) -> None:
    """Print medians and ratios, and draw (a) and (b)."""
    medians = rows.groupby(["part", "who"], sort=False)["value"].agg(["median", "count"])
    compared = {"a": ["tuning"], "b": [f"{where}: tuning" for where in BLOCKS], "e": ["2 workers"]}
    for part, of_part in medians.groupby(level="part", sort=False):
        print(f"\n({part})")
        ours = compared.get(part, [])
        reference = of_part["median"].get((part, ours[0])) if len(ours) == 1 else None
        for (_, who), (value, count) in of_part.iterrows():
            reference = value if who in ours else reference
            ratio = ""
            if reference:
                ratio = f"× {reference / value if part == 'b' else value / reference:.2f}"
            print(f"  {who:50} {value:9.3f}  {ratio:9} {count:.0f} measured")
    draw(medians, out.with_suffix(".png"))


def draw(medians: pd.DataFrame, path: Path) -> None:
    import matplotlib as mpl

    mpl.use("agg")
    from matplotlib import pyplot as plt

    panels = {"20 random configurations, cold start: seconds": ("a", "")}
    panels |= {f"Sweep of the {where}: configurations/s": ("b", f"{where}: ") for where in BLOCKS}
    panels = {title: of for title, of in panels.items() if of[0] in medians.index}
    if not panels:
        return
    figure, axes = plt.subplots(
        1, len(panels), figsize=(4.3 * len(panels), 3), layout="constrained", squeeze=False
    )
    for axis, (title, (part, prefix)) in zip(axes.flat, panels.items(), strict=True):
        values = medians.loc[part, "median"][::-1]
        values = values[values.index.str.startswith(prefix)]
        names = values.index.str.removeprefix(prefix)
        colors = ["#c2410c" if name.startswith("tuning") else "#94a3b8" for name in names]
        bars = axis.barh(names, values, color=colors)
        axis.bar_label(bars, fmt="%.3g", padding=3)
        axis.set_title(title, loc="left", fontsize=10)
        axis.spines[["top", "right"]].set_visible(False)
        axis.margins(x=0.15)
    figure.savefig(path, dpi=150)


if __name__ == "__main__":
    main()
