"""Keep the messages of libraries off the terminal."""

from __future__ import annotations

import contextlib
import os
import sys
import tempfile
from collections.abc import Iterator


@contextlib.contextmanager
def quiet(verbose: bool = False) -> Iterator[None]:
    """Swallow standard error, C++ libraries' too, for the length of a `with` block.

    Parameters
    ----------
    verbose : bool
        Let everything through.
    """
    if verbose:
        yield
        return
    sys.stderr.flush()
    kept = {file: os.dup(file) for file in (2, *_own_file())}
    with tempfile.TemporaryFile() as sink:
        for file in kept:
            os.dup2(sink.fileno(), file)
        try:
            yield
        finally:
            sys.stderr.flush()
            for file, before in kept.items():
                os.dup2(before, file)
                os.close(before)


def leave_stderr_to_python() -> None:
    """Send what C++ libraries write to standard error nowhere, for good; `sys.stderr` goes on."""
    sys.stderr.flush()
    before = sys.stderr
    sys.stderr = open(  # noqa: SIM115
        os.dup(2), "w", buffering=1, encoding=before.encoding, errors=before.errors
    )
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    os.close(nowhere)


def _own_file() -> list[int]:
    """The descriptor of `sys.stderr`, if that is not standard error's own."""
    try:
        file = sys.stderr.fileno()
    except (OSError, AttributeError):  # it is no file
        return []
    return [] if file == 2 else [file]
