"""Measure `tuning`, by itself and beside its peers: `python scripts/benchmark.py --help`."""

from __future__ import annotations

import argparse
import csv
import importlib
import os
import statistics
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

PARTS = (
    "peers", "rates", "roofline", "proof", "packs", "parity", "memory", "driver", "workers",
    "scale", "start", "kept", "costs", "strategies", "live", "race", "digits", "finalists",
    "folds", "frozen",
)  # fmt: skip
COLUMNS = ("part", "who", "what", "round", "value", "unit", "machine")
CPUS = 2  # of the machine whose times are told
WIDTH = 120  # of tables where there is no terminal


def main() -> None:
    """Measure the parts that the command line names, one after another."""
    parts = {name: importlib.import_module(f"benchmarks.{name}") for name in PARTS}
    parser = argparse.ArgumentParser(
        description=__doc__.splitlines()[0],
        epilog=questions(parts),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("parts", nargs="*", metavar="PART", help="what to measure; all unless told")
    parser.add_argument("--rounds", type=int, help="measurements of each; each part has its own")
    parser.add_argument(
        "--seconds", type=float, help="of a search: the limit in race, the budget in digits"
    )
    parser.add_argument(
        "--smallest", action="store_true", help="see that it runs: one round, as little as can be"
    )
    parser.add_argument(
        "--out", type=Path, metavar="FILE", help="a CSV to add each measurement to, as it is made"
    )
    options = parser.parse_args()
    if unknown := [name for name in options.parts if name not in parts]:
        parser.error(f"no part is called {unknown[0]!r}; there are {', '.join(PARTS)}")
    for name in options.parts or PARTS:
        rounds = 1 if options.smallest else options.rounds or parts[name].ROUNDS
        measured = Table(name, options.out)
        for round_ in range(rounds):
            seeded = getattr(parts[name], "SEEDED", False)
            settings = {"seed": round_, "seconds": options.seconds} if seeded else {}
            for each in parts[name].measure(options.smallest, **settings):
                measured.add(*each)
        size = " (the smallest size, whose figures say only that it runs)"
        print(f"\n{name}: {question(parts[name])}{size * options.smallest}")
        measured.show(getattr(parts[name], "COMPARED_WITH", None))


def question(part: Any) -> str:
    """What a part answers."""
    return part.__doc__.splitlines()[0]


def questions(parts: dict[str, Any]) -> str:
    """What each part answers, and how long all its rounds take."""
    lines = [f"parts, and about how long they take on {CPUS} CPUs:"]
    for name, part in parts.items():
        lines.append(f"  {name:9} {part.MINUTES * part.ROUNDS:3} min  {question(part)}")
    return "\n".join([*lines, "Each is a file in benchmarks/, which says what is measured."])


class Table:
    """What one part measured, each number on the disk as soon as it is made, if there is a file.

    Parameters
    ----------
    part : str
    path : Path, optional
        A CSV, in which what was measured before counts as earlier rounds.
    """

    def __init__(self, part: str, path: Path | None) -> None:
        self._part, self._path = part, path
        self._values: dict[tuple[str, str], list[float]] = {}
        self._units: dict[str, str] = {}
        if path is None:
            return
        if path.exists():
            with path.open(newline="", encoding="utf-8") as file:
                rows = csv.DictReader(file)
                if tuple(rows.fieldnames or ()) != COLUMNS:
                    say = f"{path} is no table of this benchmark: give --out another file"
                    print(say, file=sys.stderr)
                    sys.exit(2)
                for row in rows:
                    if row["part"] == part:
                        self._note(row["who"], row["what"], float(row["value"]), row["unit"])
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._write(COLUMNS)

    def add(self, who: str, what: str, value: float, unit: str) -> None:
        """Note a measurement, and say it."""
        round_ = self._note(who, what, value, unit)
        print(f"{self._part}: {who}, {what}: {number(value)} {unit}", file=sys.stderr, flush=True)
        if self._path is not None:
            self._write((self._part, who, what, round_, float(f"{value:.5g}"), unit, machine()))

    def show(self, reference: str | None) -> None:
        """Print the medians, and their ratios to those of a row."""
        from rich import box
        from rich.console import Console
        from rich.table import Table as Printed

        names = list(dict.fromkeys(who for who, _ in self._values))
        medians = {key: statistics.median(values) for key, values in self._values.items()}
        printed = Printed("", box=box.SIMPLE_HEAD, pad_edge=False)
        columns: list[list[str]] = []
        for what, unit in self._units.items():
            of = {who: medians.get((who, what)) for who in names}
            printed.add_column(f"{what}, {unit}" if unit else what, justify="right")
            columns.append(["" if value is None else number(value) for value in of.values()])
            if base := of.get(reference or ""):
                printed.add_column(f"over {reference}", justify="right")
                columns.append(
                    ["" if value is None else f"{value / base:.2f}" for value in of.values()]
                )
        for row in zip(names, *columns, strict=True):
            printed.add_row(*row)
        Console(width=None if sys.stdout.isatty() else WIDTH).print(printed)
        rounds = {len(values) for values in self._values.values()}
        if rounds != {1}:
            print(f"Medians of {' to '.join(map(str, sorted({min(rounds), max(rounds)})))} rounds.")

    def _note(self, who: str, what: str, value: float, unit: str) -> int:
        """The number of its round."""
        values = self._values.setdefault((who, what), [])
        values.append(value)
        self._units[what] = unit
        return len(values) - 1

    def _write(self, row: tuple[object, ...]) -> None:
        assert self._path is not None
        with self._path.open("a", newline="", encoding="utf-8") as file:
            csv.writer(file, lineterminator="\n").writerow(row)


def number(value: float) -> str:
    """Four digits, or a whole number."""
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"


def machine() -> str:
    """The CPUs that this process may use."""
    from tuning.runs.manifest import processor

    return f"{len(os.sched_getaffinity(0))} × {processor()}"


if __name__ == "__main__":
    main()
