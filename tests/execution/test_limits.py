"""Limits of time and memory, and how sizes are written."""

import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tuning import TuningError
from tuning.execution.limits import Limits, bytes_of, held_to, own_memory, size

HANGS = """
import time
from tuning.execution.limits import Limits, held_to
with held_to(Limits(seconds=0.2), {trials}, print):
    time.sleep(0.5)
print("lived")
"""
EATS = """
from tuning.execution.limits import Limits, held_to, own_memory
with held_to(Limits(memory=own_memory() + 2 * 10**8), 1, lambda why: print(why, flush=True)):
    eaten = [bytearray(b"x" * 10**7) for _ in range({times})]
print("lived")
"""


def ran(program: str, **values: int) -> tuple[int, str]:
    done = subprocess.run(
        [sys.executable, "-c", program.format(**values)],
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, done.stdout


def test_a_pack_may_take_its_trials_time_and_no_longer():
    assert ran(HANGS, trials=1) == (1, "")
    assert ran(HANGS, trials=20) == (0, "lived\n")


@pytest.mark.skipif(not own_memory(), reason="the platform does not tell a process's memory")
def test_what_takes_more_memory_testifies_and_ends():
    assert ran(EATS, times=5) == (0, "lived\n")
    code, said = ran(EATS, times=500)
    assert code == 1
    assert said.startswith("its worker took ")
    assert ", and may take " in said


def test_without_limits_nothing_is_watched():
    assert not Limits()
    assert Limits(seconds=1)
    with held_to(Limits(), 1, print):
        pass


@pytest.mark.parametrize(
    ("text", "n"),
    [("2GB", 2 * 10**9), ("1.5 gb", 15 * 10**8), ("512MB", 512 * 10**6), ("1e9", 10**9)],
)
def test_sizes_as_people_write_them(text, n):
    assert bytes_of(text) == n


@pytest.mark.parametrize("text", ["", "GB", "0", "-1GB", "2TB or so", "1.2.3", "nan", "1e999"])
def test_what_is_no_size_is_refused(text):
    with pytest.raises(TuningError, match="--trial-memory takes a size such as 2GB"):
        bytes_of(text)


@given(st.integers(1, 10**15))
def test_a_size_said_is_the_size(n):
    assert bytes_of(size(n).removesuffix(" bytes")) == pytest.approx(n, rel=0.005)
