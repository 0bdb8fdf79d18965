"""A table of a run that is only ever appended to: whole rows, on the disk before they count."""

from __future__ import annotations

import contextlib
import csv
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, TypeVar

from tuning.errors import RunStopped, TuningError
from tuning.runs.columns import Row, cells, csv_line
from tuning.runs.manifest import cannot_write, write_text

Read = TypeVar("Read")


class Appended:
    """A table of a run that is open to be written.

    A line that a crash cut short is dropped when it is opened.

    Parameters
    ----------
    path : Path
    columns : list of str
    make : bool
        Whether to make the table if it is not there.

    Raises
    ------
    TuningError
        If its first line does not name the columns.
    OSError
        If it cannot be read or made.
    """

    def __init__(self, path: Path, columns: list[str], *, make: bool = False) -> None:
        self.path, self.columns = path, columns
        self._file: IO[bytes] | None = None
        if make and not path.exists():
            write_text(path, csv_line(columns))
        _drop_torn_line(path)
        _check_header(path, columns)

    def append(self, rows: Sequence[Row]) -> None:
        """Append rows, all or none; when this returns they are on the disk.

        Raises
        ------
        RunStopped
            If the disk does not take them.
        """
        if not rows:
            return
        content = "".join(csv_line(cells(row, self.columns)) for row in rows).encode()
        try:
            self._write(content)
        except OSError as error:
            raise RunStopped(cannot_write(self.path, error)) from error

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            self._file.close()

    def _write(self, content: bytes) -> None:
        if self._file is None:
            self._file = self.path.open("ab", buffering=0)
        before = self._file.seek(0, os.SEEK_END)
        try:
            while content:
                content = content[self._file.write(content) :]
            os.fsync(self._file.fileno())
        except OSError:
            with contextlib.suppress(OSError):
                self._file.truncate(before)
            raise


def read_rows(
    path: Path, columns: list[str], read: Callable[[dict[str, str]], Read], remedy: str = ""
) -> list[Read]:
    """What the whole rows of a table are read as, in their order; none where there is no table.

    Parameters
    ----------
    path : Path
    columns : list of str
    read : callable
        Takes a row's cells as text, by column; raises ValueError for a row that cannot be.
    remedy : str
        What to do about a damaged table, as the end of a sentence.

    Raises
    ------
    TuningError
        If the table is damaged.
    """
    if not path.exists():
        return []
    found: list[Read] = []
    try:
        with path.open(newline="", encoding="utf-8") as lines:
            rows = csv.reader([line for line in lines if line.endswith("\n")])
            next(rows, None)
            for texts in rows:
                found.append(read(dict(zip(columns, texts, strict=True))))
    except (OSError, ValueError, IndexError, csv.Error) as error:
        where = f"in row {len(found) + 1:,} or behind it"
        raise TuningError(f"{path} is damaged {where}{remedy and f': {remedy}'}") from error
    return found


def drop_from_the_end(
    path: Path, columns: list[str], counts: Callable[[Mapping[str, str]], bool]
) -> None:
    """Cut a table behind the last row that counts.

    Parameters
    ----------
    path : Path
    columns : list of str
    counts : callable
        Whether a row does, from its cells' text; raises ValueError for one that cannot be read.
    """
    with path.open("r+b") as file:
        end = file.seek(0, os.SEEK_END)
        for at, line in _lines_from_the_end(file):
            if at == 0:  # the header
                break
            try:
                texts = next(csv.reader([line.decode()]))
                if counts(dict(zip(columns, texts, strict=False))):
                    break
            except (ValueError, KeyError, csv.Error):
                pass
            end = at
        file.truncate(end)


def _drop_torn_line(path: Path) -> None:
    """Cut the file after its last whole line."""
    with path.open("r+b") as file:
        at, line = next(_lines_from_the_end(file), (0, b"\n"))
        if not line.endswith(b"\n"):
            file.truncate(at)


def _check_header(path: Path, columns: list[str]) -> None:
    with path.open("rb") as file:
        header = file.readline()
    if header != csv_line(columns).encode():
        raise TuningError(f"{path} is damaged: its first line does not name the run's columns")


def _lines_from_the_end(file: IO[bytes]) -> Iterator[tuple[int, bytes]]:
    """The lines of a file, last first, each with the place where it begins."""
    end = file.seek(0, os.SEEK_END)
    rest = b""
    while end > 0:
        start = max(0, end - 65536)
        file.seek(start)
        rest = file.read(end - start) + rest
        lines = rest.splitlines(keepends=True)
        at = start + len(rest)
        for line in reversed(lines if start == 0 else lines[1:]):
            at -= len(line)
            yield at, line
        rest, end = lines[0], start
