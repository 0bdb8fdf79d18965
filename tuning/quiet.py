"""Keep what libraries say at import and at work off the terminal."""

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
    kept = os.dup(2)
    with tempfile.TemporaryFile() as sink:
        os.dup2(sink.fileno(), 2)
        try:
            yield
        finally:
            sys.stderr.flush()
            os.dup2(kept, 2)
            os.close(kept)
