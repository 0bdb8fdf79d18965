"""What the tests of executors share: workers of either kind, two of them, really at work."""

import pytest

from tuning.execution.limits import Limits
from tuning.execution.loop import train_all
from tuning.execution.processes import ProcessExecutor
from tuning.execution.slots import SlotExecutor
from tuning.execution.worker import Job
from tuning.problem.file import load_problem
from tuning.problem.problem import load_data
from tuning.runs.manifest import make_manifest
from tuning.runs.run import Run
from tuning.samplers import trial_at

KINDS = ["processes", pytest.param("ray", marks=pytest.mark.slow)]


@pytest.fixture(scope="module", params=KINDS)
def cluster(request, tmp_path_factory):
    """A Ray of two workers; None where they are processes of our own."""
    folder = tmp_path_factory.mktemp("markers")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TUNING_TEST_FOLDER", str(folder))
        patch.setenv("TMPDIR", str(folder))  # where CPUs' locks are: not those of other tests
        if request.param == "processes":
            yield None
            return
        from tuning.execution.cluster import ray_cluster

        with ray_cluster(workers=2) as cluster:
            yield cluster


@pytest.fixture(autouse=True)
def closed():
    """Ends the workers of a test's executors, which have CPUs for themselves."""
    yield
    while made:
        made.pop().close()


made: list[SlotExecutor] = []


def new_executor(problem, job, cluster, engine="auto"):
    """An executor, which is closed at the test's end."""
    if cluster is None:
        executor = ProcessExecutor(problem, job, engine=engine, workers=2)
    else:
        from tuning.execution.ray import RayExecutor

        executor = RayExecutor(problem, job, engine=engine, cluster=cluster)
    made.append(executor)
    return executor


def executor_of(path, cluster, engine="fit", limits=None):
    """A problem, and an executor that has its data."""
    problem = load_problem(str(path))
    backend = "tensorflow" if engine == "fit" else "jax"
    executor = new_executor(problem, Job(0, backend, limits=limits or Limits()), cluster, engine)
    executor.load(load_data(problem))
    return problem, executor


def trained(executor, problem, *indices):
    """The outcomes of grid points, in their order."""
    trials = [trial_at(problem.grid, index, number, 0) for number, index in enumerate(indices)]
    reports = train_all(executor, executor.packer.split(trials))
    outcomes = [outcome for report in reports for outcome in report.outcomes]
    return sorted(outcomes, key=lambda outcome: outcome.trial.number)


def new_run(path, problem, engine="fit", backend="tensorflow"):
    """A run to count in."""
    fingerprint = {"code": "", "model": "", "data": ""}
    return Run.create(
        path,
        make_manifest(
            problem,
            fingerprint,
            ["loss", "accuracy"],
            better=("max", "keras.metrics.BinaryAccuracy"),
            seed=0,
            engine=engine,
            backend=backend,
            strategies={"sweep": {"points": "all", "order": "grid"}},
        ),
    )


def pids_of(executor):
    """The process numbers of an executor's processes of our own."""
    return [slot.process._process.pid for slot in executor._slots if slot.process is not None]
