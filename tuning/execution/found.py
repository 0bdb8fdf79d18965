"""What a look at a problem's models has found, kept for later searches of the same problem.

It is kept beside the compiled programs, under a digest of all that it may depend on: the problem's
code and data, the installed packages, and settings. A worker sees before it is used that it still
holds, see `tuning.packing.axes.still_holds`; otherwise all is looked at again.
"""

from __future__ import annotations

import ast
import contextlib
import dataclasses
import hashlib
import os
import platform
import sys
from pathlib import Path
from typing import Any

from tuning.execution.worker import Job
from tuning.packing.axes import Axis, Packing
from tuning.problem.environment import PREFIXES, WITHOUT_EFFECT
from tuning.problem.file import ProblemFile
from tuning.problem.problem import Problem
from tuning.problem.reached import sources_of

INSTALLED = (".dist-info", ".egg-info")


@dataclasses.dataclass(frozen=True)
class Found:
    """What was found of one problem, on the disk.

    Attributes
    ----------
    path : Path
        The file; its name is a digest of what it depends on.
    """

    path: Path

    @classmethod
    def of(cls, problem: Problem, data_digest: str, job: Job) -> Found | None:
        """Where it is kept of a problem with its data; None if nothing is to be kept.

        Parameters
        ----------
        problem : Problem
        data_digest : str
            See `tuning.problem.data.data_fingerprint`.
        job : Job
            With the seed, the backend and the folder for compiled programs.
        """
        if job.cache is None:
            return None
        parts = [
            sorted(problem.fingerprint.items()), sorted(_beside(problem).items()),
            problem.space.describe(), data_digest, job.seed, job.backend, _own_code(),
            _installed(), sys.version, platform.platform(), platform.processor(), _variables(),
        ]  # fmt: skip
        digest = hashlib.sha256(repr(parts).encode(errors="surrogatepass")).hexdigest()
        return cls(Path(job.cache) / f"found-{digest}")

    def read(self) -> Packing | None:
        """What was found before, if it can be read."""
        try:
            return _packing(ast.literal_eval(self.path.read_text(encoding="utf-8")))
        except Exception:  # it was cut short, or is of another form: it is found again
            return None

    def write(self, packing: Packing) -> None:
        """Keep what was found, if a text can hold it and the folder can be written."""
        text = repr(dataclasses.asdict(packing))
        with contextlib.suppress(Exception):
            if packing.reason or _packing(ast.literal_eval(text)) != packing:
                return
            self.path.parent.mkdir(parents=True, exist_ok=True)
            new = self.path.with_name(f"{self.path.name}.{os.getpid()}")
            new.write_text(text, encoding="utf-8")
            new.replace(self.path)


def _packing(fields: dict[str, Any]) -> Packing:
    axes = {name: Axis(**each) for name, each in fields.pop("axes").items()}
    return Packing(axes=axes, **fields)


def _beside(problem: Problem) -> dict[str, str]:
    """The sources of the modules that a problem's file imports; functions' digests have them."""
    return sources_of(problem.code.text) if isinstance(problem.code, ProblemFile) else {}


def _own_code() -> str:
    """A digest of this package's own code."""
    found = hashlib.sha256()
    for path in sorted(Path(__file__).parents[1].rglob("*.py")):
        found.update(path.read_bytes())
    return found.hexdigest()


def _installed() -> list[str]:
    """The packages that are installed, each with its version in its name."""
    found: set[str] = set()
    for folder in sys.path:
        with contextlib.suppress(OSError):
            found.update(each for each in os.listdir(folder or ".") if each.endswith(INSTALLED))
    return sorted(found)


def _variables() -> list[tuple[str, str]]:
    """The environment's variables that may change what a model does."""
    return sorted(
        (name, value)
        for name, value in os.environ.items()
        if name.startswith(PREFIXES) and not name.startswith(WITHOUT_EFFECT)
    )
