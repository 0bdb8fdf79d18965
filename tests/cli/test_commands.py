"""The program `tuning`: its help, its commands, its errors, and what it says of going on."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.conftest import REPOSITORY, TINY
from tuning.cli.commands import COMMANDS

NAMES = tuple(COMMANDS)


@pytest.fixture
def tuning(tmp_path, monkeypatch):
    """Runs `tuning` in an empty directory, as an installed program that a shell finds."""
    programs = tmp_path / "programs"
    programs.mkdir()
    program = programs / "tuning"
    program.write_text(
        f"#!{sys.executable}\nimport sys\nfrom tuning.__main__ import main\nsys.exit(main())\n"
    )
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("PYTHONPATH", str(REPOSITORY))
    monkeypatch.chdir(tmp_path)

    def call(*arguments: object, program: str = "tuning") -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*program.split(), *map(str, arguments)],
            env={**os.environ, "COLUMNS": "80"},
            capture_output=True, text=True, timeout=240, check=False, stdin=subprocess.DEVNULL,
        )  # fmt: skip

    return call


@pytest.mark.slow
def test_every_command_does_its_work(tuning):
    """All on one small run that this process trains itself."""
    said = {}
    for line in (
        f"run --problem {TINY} --random 2 --sweep 2 --workers 0 --keep 1 --out r",
        "ensemble r --k 1", "analyse r", "publish r p", "merge r m",
        "replay p --trials 2 --repeats 3",
        f"explain --problem {TINY}", f"estimate --problem {TINY} --workers 0",
        "completion bash",
    ):  # fmt: skip
        done = tuning(*line.split())
        assert done.returncode == 0, done.stderr
        said[line.split()[0]] = done.stdout
    assert set(said) == set(NAMES)
    assert "random search found the better network" in said["run"]
    assert "r/ensemble.keras" in said["ensemble"]
    assert "wrote r/report.html" in said["analyse"]
    assert "4 trials and 4 epochs are in p/." in said["publish"]
    assert "4 trials are in m/." in said["merge"]
    assert "mean, exact" in said["replay"]
    assert "adam/learning_rate" in said["explain"]
    assert "the whole grid" in said["estimate"]


@pytest.mark.parametrize("name", ["", *NAMES])
def test_help_fits_a_terminal_and_has_examples(name, tuning):
    done = tuning(*name.split(), "--help")
    assert done.returncode == 0
    lines = done.stdout.splitlines()
    assert max(map(len, lines)) <= 80
    assert lines[0].startswith(f"usage: tuning {name}".rstrip())
    examples = [line for line in lines if line.startswith("  tuning ")]
    assert examples
    assert all(line.startswith(f"  tuning {name}".rstrip()) for line in examples)
    for command in NAMES if not name else ():
        assert re.search(rf"^    {command}\b", done.stdout, re.M)


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("rum", "tuning: there is no command 'rum'; did you mean 'run'?\n"),
        ("analyze r", "tuning: there is no command 'analyze'; did you mean 'analyse'?\n"),
        ("xyz", "tuning: there is no command 'xyz'; take one of run, analyse, explain, estimate, "),
        ("--nonsense", "tuning: the following arguments are required: COMMAND\n"),
        ("run --nonsense", "tuning run: unrecognized arguments: --nonsense\n"),
        ("run --estimate", "tuning run: unrecognized arguments: --estimate\n"),
        ("analyse", "tuning analyse: the following arguments are required: DIR\n"),
        ("analyse nowhere", "tuning analyse: there is no run at nowhere\n"),
        ("explain --problem no.py", "tuning explain: cannot read the problem file no.py: No such"),
        ("completion ksh", "tuning completion: argument shell: invalid choice: 'ksh' (choose"),
    ],
)
def test_an_error_begins_with_what_was_typed(line, says, tuning):
    done = tuning(*line.split())
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith(says)
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize("line", ["rum", "run --nonsense"])
def test_an_error_is_the_same_of_a_module(line, tuning):
    done = tuning(*line.split(), program=f"{sys.executable} -m tuning")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == tuning(*line.split()).stderr


def test_alone_it_helps(tuning):
    assert tuning().stdout == tuning("--help").stdout
    assert re.fullmatch(r"tuning \d+\.\d+\.\d+\n", tuning("--version").stdout)


@pytest.mark.parametrize(
    ("program", "goes_on"),
    [
        ("tuning", "tuning run"),
        pytest.param("{python} -m tuning", "{python} -m tuning run", marks=pytest.mark.slow),
        pytest.param(
            "{python} scripts/run_ray.py", "{python} scripts/run_ray.py", marks=pytest.mark.slow
        ),
    ],
)
def test_how_to_go_on_is_said_as_the_program_was_called(program, goes_on, tuning, tmp_path):
    (tmp_path / "scripts").symlink_to(REPOSITORY / "scripts")
    slow = tmp_path / "slow.py"
    text = TINY.read_text().replace(
        "def build_model(config):", "def build_model(config):\n    import time; time.sleep(0.3)"
    )
    slow.write_text(text)
    command = [] if "scripts" in program else ["run"]
    words = [*program.format(python=sys.executable).split(), *command]
    process = subprocess.Popen(
        [*words, "--problem", slow, "--workers", "0", "--engine", "fit", "--backend", "jax",
         "--random", "30", "--sweep", "0", "--out", "r"],
        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        while not _rows(tmp_path / "r" / "trials.csv"):
            assert process.poll() is None, process.stderr and process.stderr.read()
            time.sleep(0.02)
        process.send_signal(signal.SIGINT)
        assert process.stderr is not None
        said = process.stderr.read()
    finally:
        process.kill()
    last = said.splitlines()[-1].strip()
    python = Path(last.split()[0]).name
    assert last.replace(last.split()[0], python, 1).startswith(
        goes_on.format(python=python) + " --out r"
    )
    assert process.wait() == 130


def _rows(path: Path) -> int:
    return path.read_text().count("\n") - 1 if path.exists() else 0


def test_a_shell_completes_commands_and_options(tuning, tmp_path):
    script = tmp_path / "completion"
    script.write_text(tuning("completion", "bash").stdout)

    def completed(*words: str) -> list[str]:
        quoted = " ".join(f"'{word}'" for word in words)
        program = (
            f"source {script}; COMP_WORDS=({quoted}); COMP_CWORD={len(words) - 1};"
            '_shtab_tuning; echo "${COMPREPLY[@]}"'
        )
        done = subprocess.run(["bash", "-c", program], capture_output=True, text=True, check=True)
        return done.stdout.split()

    assert completed("tuning", "re") == ["replay"]
    assert completed("tuning", "run", "--swe") == ["--sweep", "--sweep-order"]
    assert completed("tuning", "run", "--engine", "") == ["auto", "fit"]
    for shell in ("zsh", "tcsh"):
        assert "replay" in tuning("completion", shell).stdout
