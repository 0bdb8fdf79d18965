"""The errors a user can cause, each one sentence."""

from __future__ import annotations


class TuningError(ValueError):
    """A mistake in what was asked for: says what is wrong, where, and what would be right."""


class RunStopped(Exception):
    """A run that had begun could not go on, though what it had counted is on disk."""


def first_line(error: BaseException) -> str:
    """The error as one line of at most 300 characters: its type and what it says."""
    text = " ".join(str(error).split())
    line = f"{type(error).__name__}: {text}" if text else type(error).__name__
    return shortened(line, 300)


def shortened(text: str, width: int) -> str:
    """The text, or as much of it as fits in `width` characters with an ellipsis."""
    return text if len(text) <= width else f"{text[: width - 1]}…"
