"""Paths and commands as a user would type them."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

SCRIPTS = {  # in scripts/, by the command that each is
    "run": "run_ray", "analyse": "analyse", "replay": "replay", "merge": "merge",
    "publish": "publish",
}  # fmt: skip


def typed(command: str) -> list[str]:
    """The words that begin one of our commands, in the way in which this program was begun.

    Parameters
    ----------
    command : str
        Such as ``run``.

    Returns
    -------
    list of str
        Such as ``["tuning", "run"]``, or ``["python", "scripts/run_ray.py"]`` in a script.
    """
    program = Path(sys.argv[0])
    if program.name == "__main__.py" and program.parent.name == "tuning":
        return [_own_python(), "-m", "tuning", command]
    if program.suffix == ".py" and program.stem in SCRIPTS.values():
        return [_own_python(), str(program.with_name(f"{SCRIPTS[command]}.py"))]
    if program.name == "tuning" and (found := shutil.which("tuning")):
        elsewhere = not program.exists() or Path(found).resolve() != program.resolve()
        return [str(shown(program)) if elsewhere else "tuning", command]
    return ["tuning", command]


def _own_python() -> str:
    """This Python as short as a command line finds it from the current directory."""
    own = Path(sys.executable)
    found = shutil.which("python")
    return "python" if found and Path(found).parent == own.parent else str(shown(own))


def shown(path: Path) -> Path:
    """The path as short as it works from the current directory."""
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path
