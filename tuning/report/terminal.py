"""Output to a terminal of any width, a file, or a pipe whose reader may go away."""

from __future__ import annotations

import io
import os
import shutil
import sys
from collections.abc import Sequence

from rich import box
from rich.cells import cell_len
from rich.console import Console
from rich.table import Column, Table
from rich.text import Text

WIDTH, HEIGHT = 160, 25  # without a terminal and COLUMNS
PROSE = 16  # characters: the least width of a column of words
BETWEEN = 3  # characters between two columns
BROKEN_PIPE = 141  # 128 and SIGPIPE's number, as shells have it


class Output(Console):
    """A console of plain text.

    Parameters
    ----------
    stderr : bool
    goes_on : bool
        Whether to go on in silence once nobody reads any more; if not, the process ends with 141,
        as SIGPIPE would end it.
    """

    def __init__(self, *, stderr: bool = False, goes_on: bool = False) -> None:
        size = shutil.get_terminal_size((WIDTH, HEIGHT))
        super().__init__(
            stderr=stderr,
            width=None if stderr else size.columns,
            height=None if stderr else size.lines,  # or TERM=dumb has it be 80 wide
            markup=False,
            emoji=False,
            highlight=False,
        )
        self._goes_on = goes_on

    def on_broken_pipe(self) -> None:
        """Print no more, or end the process, as nobody reads any more."""
        self.quiet = True
        close_unread()
        if not self._goes_on:
            raise SystemExit(BROKEN_PIPE)


def open_streams() -> None:
    """Open output and errors if they are closed, and replace characters that they cannot encode.

    If a shell closed them (``>&-``), the next files that are opened would take their place.
    """
    while (file := os.open(os.devnull, os.O_RDWR)) <= 2:
        pass
    os.close(file)
    sys.stdout = sys.stdout or open(1, "w", closefd=False)  # noqa: SIM115
    sys.stderr = sys.stderr or open(2, "w", closefd=False)  # noqa: SIM115
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")


def close_unread() -> None:
    """Discard what is still to be written to a closed pipe."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except BrokenPipeError:
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, stream.fileno())
            os.close(nowhere)


def say(console: Console, sentence: str) -> None:
    """Print a sentence: wrapped on a terminal, elsewhere as one line."""
    console.print(sentence, soft_wrap=not console.is_terminal)


def new_table(*columns: str, left: Sequence[str] = (), prose: Sequence[str] = ()) -> Table:
    """An empty table.

    Parameters
    ----------
    columns : str
        Their names; all are aligned to the right but the first and those in `left` and `prose`.
    left : sequence of str
    prose : sequence of str
        Columns of words, which may be folded.
    """
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, header_style="bold")
    for i, name in enumerate(columns):
        right = i > 0 and name not in (*left, *prose)
        table.add_column(
            name,
            justify="right" if right else "left",
            no_wrap=name not in prose,
            overflow="fold",
        )
    return table


def print_table(console: Console, table: Table) -> None:
    """Print a table, or where the console is too narrow for it each of its rows as a paragraph."""
    width = sum(map(_least, table.columns)) + BETWEEN * (len(table.columns) - 1) + 2
    if width <= console.width:
        console.print(table)
        return
    headers = [str(column.header) for column in table.columns]
    console.print()
    for cells in zip(*(column.cells for column in table.columns), strict=True):
        named = [
            f"{header}: {cell}" if header else str(cell)
            for header, cell in zip(headers, cells, strict=True)
        ]
        if cells[0]:
            console.print(Text(named[0], overflow="fold"))
        rest = " · ".join(text for text, cell in zip(named[1:], cells[1:], strict=True) if cell)
        for line in Text(rest).wrap(console, console.width - 2, overflow="fold"):
            console.print(f"  {line.plain.rstrip()}")
    console.print()


def _least(column: Column) -> int:
    """The characters that a column needs."""
    longest = max(cell_len(str(cell)) for cell in (column.header, *column.cells))
    return longest if column.no_wrap else min(longest, PROSE)


def duration(seconds: float) -> str:
    """A length of time: ``48 s``, ``3 min 05 s``, ``2 h 10 min``, ``24 d 0 h``.

    Parameters
    ----------
    seconds : float
    """
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    if whole < 86400:
        return f"{whole // 3600} h {whole % 3600 // 60:02d} min"
    return f"{whole // 86400:,} d {whole % 86400 // 3600} h"
