"""The errors a user can cause, each one sentence."""

from __future__ import annotations

from collections.abc import Sequence


class TuningError(ValueError):
    """A mistake in what was asked for: says what is wrong, where, and what would be right."""


class RunStopped(Exception):
    """A run that had begun could not go on, though what it had counted is on disk."""


def first_line(error: BaseException, width: int = 200) -> str:
    """The error as one line of so many characters: its type, unless ours, and what it says."""
    text = " ".join(str(error).split())
    name = type(error).__name__
    line = text if isinstance(error, TuningError) else f"{name}: {text}" if text else name
    return shortened(line, width)


def quoted(value: object) -> str:
    """A user's value, shortened, as a sentence shows it; of one without a text, its type."""
    text = " ".join(repr(value).split())
    if text.startswith("<") or " at 0x" in text:
        return f"of type {type(value).__name__}"
    return shortened(text, 40)


def listed(phrases: Sequence[str]) -> str:
    """The first three of some phrases, and how many more there are."""
    more = [f"and {len(phrases) - 3} more"] if len(phrases) > 3 else []
    return "; ".join([*phrases[:3], *more])


def shortened(text: str, width: int) -> str:
    """The text, or as much of it as fits in `width` characters with an ellipsis."""
    return text if len(text) <= width else f"{text[: width - 1]}…"
