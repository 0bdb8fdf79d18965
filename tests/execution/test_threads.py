"""CPUs are owned one by one, and let go when their owner dies."""

import os
import subprocess
import sys

import pytest

from tuning.execution.threads import CAN_PIN

pytestmark = pytest.mark.skipif(not CAN_PIN, reason="the platform cannot pin a process to a CPU")

HOLDER = """
import os, sys
from tuning.execution.threads import one_cpu
with one_cpu() as cpu:
    print(cpu, sorted(os.sched_getaffinity(0)), flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def hold(tmp_path):
    """Starts processes that own a CPU until their input ends, apart from other runs' locks."""
    holders = []

    def start() -> tuple[subprocess.Popen[str], str]:
        holder = subprocess.Popen(
            [sys.executable, "-c", HOLDER],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "TMPDIR": str(tmp_path)},
        )
        holders.append(holder)
        return holder, holder.stdout.readline().strip()

    yield start
    for holder in holders:
        holder.kill()
        holder.communicate()


def test_a_link_in_place_of_a_lock_is_not_followed(hold, tmp_path):
    mine, allowed = tmp_path / "thesis", sorted(os.sched_getaffinity(0))
    mine.write_text("years")
    locks = tmp_path / f"tuning-cpus-{os.getuid()}"
    locks.mkdir()
    for cpu in allowed:
        (locks / f"{cpu}.lock").symlink_to(mine)
    assert hold()[1] == f"None {allowed}"
    locks.rename(tmp_path / "elsewhere")
    locks.symlink_to(tmp_path / "elsewhere")
    assert hold()[1] == f"None {allowed}"
    assert mine.read_text() == "years"


def test_every_cpu_has_one_owner(hold):
    allowed = sorted(os.sched_getaffinity(0))
    owned = [hold() for _ in allowed]
    assert sorted(said for _, said in owned) == sorted(f"{cpu} [{cpu}]" for cpu in allowed)
    assert hold()[1] == f"None {allowed}"  # all are owned: it may run anywhere

    killed, said = owned[0]
    killed.kill()
    killed.wait()
    assert hold()[1] == said
