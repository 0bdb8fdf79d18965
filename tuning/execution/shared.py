"""One copy of a problem and its data for all worker processes of a machine, in a nameless file."""

from __future__ import annotations

import contextlib
import mmap
import os
import pickle
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import cloudpickle

from tuning.errors import TuningError, first_line

IN_MEMORY = "/dev/shm"  # Linux
ALIGNED = 64  # bytes, where arrays begin: what vector instructions and JAX like
MEMORY_SHARE = 0.5  # of what is free in memory's folder, which a container may have little of

Span = tuple[int, int]
"""Where some bytes begin in the file, and how many they are."""


@dataclass(frozen=True)
class Place:
    """Where in which file a value is.

    Attributes
    ----------
    file : int
        Which of the files of `SharedFiles`.
    value : (int, int)
        The span of the value, pickled without its large arrays.
    arrays : tuple of (int, int)
        Theirs.
    """

    file: int
    value: Span
    arrays: tuple[Span, ...]

    @property
    def size(self) -> int:
        """The file's size in bytes."""
        return sum(self.value)


class SharedFiles:
    """Files that processes share by their descriptors: one in memory, one on the disk.

    They have no names, so nothing of them is left once the last process has ended, however it did.
    """

    def __init__(self) -> None:
        self._files = list(_nameless())

    @property
    def descriptors(self) -> list[int]:
        """Those of the files, for processes to inherit."""
        return [file.fileno() for file in self._files]

    def write(self, value: Any) -> Place:
        """Write a value to the first file that has room, once.

        Raises
        ------
        TuningError
            If none has.
        """
        buffers: list[pickle.PickleBuffer] = []
        pickled = cloudpickle.dumps(value, protocol=5, buffer_callback=buffers.append)
        arrays = [buffer.raw() for buffer in buffers]
        spans = tuple(_spans([*arrays, pickled]))
        why = "there is no folder for temporary files"
        for number, file in enumerate(self._files):
            place = Place(number, spans[-1], spans[:-1])
            try:
                if file is not self._files[-1] and place.size > MEMORY_SHARE * _free(file):
                    continue
                for (offset, _), part in zip(spans, [*arrays, pickled], strict=True):
                    _write(file, offset, part)
            except OSError as error:
                why = first_line(error)
                file.truncate(0)
            else:
                return place
        raise TuningError(f"the data cannot be put where the workers read it: {why}")

    def close(self) -> None:
        """Let go of the files: they are gone with the processes that have read them."""
        for file in self._files:
            file.close()


def read(descriptors: list[int], place: Place) -> Any:
    """The value at a place; its arrays are read-only, and the same memory in all processes."""
    mapped = memoryview(mmap.mmap(descriptors[place.file], place.size, access=mmap.ACCESS_READ))

    def part(span: Span) -> memoryview:
        return mapped[span[0] : sum(span)]

    return pickle.loads(part(place.value), buffers=map(part, place.arrays))


def _nameless() -> Iterator[Any]:
    """The files, where they can be made."""
    for folder in (IN_MEMORY, None):
        with contextlib.suppress(OSError):
            yield tempfile.TemporaryFile(buffering=0, dir=folder)  # noqa: SIM115


def _spans(parts: list[Any]) -> Iterator[Span]:
    """Where parts of a file are, each aligned."""
    offset = 0
    for part in parts:
        yield offset, len(part)
        offset += -(-len(part) // ALIGNED) * ALIGNED


def _free(file: Any) -> int:
    """The bytes that are free where a file is."""
    found = os.fstatvfs(file.fileno())
    return found.f_bavail * found.f_frsize


def _write(file: Any, offset: int, part: Any) -> None:
    """Write bytes from an offset on."""
    left = memoryview(part)
    file.seek(offset)
    while left:
        left = left[file.write(left) :]
