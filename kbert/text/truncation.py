"""How texts are cut to a model's length, and how a long text slides through it in windows."""

from __future__ import annotations

from typing import Literal, get_args

from kbert.errors import UsageError

Truncation = Literal["longest_first", "only_first", "only_second"]
"""Which text loses tokens from its end; with "longest_first" the longer one, a token at a time."""


def check_truncation(truncation: str) -> None:
    """Refuses what is no kind of truncation.

    Raises:
        UsageError: It is none.
    """
    if truncation not in get_args(Truncation):
        raise UsageError(f"truncation must be one of {', '.join(get_args(Truncation))}. Received: {truncation!r}")


def truncated_lengths(first: int, second: int, room: int) -> tuple[int, int]:
    """How much of a pair remains when the longer text loses its last token until both fit.

    Of texts of equal length the second loses first (`_truncate_seq_pair` of the original).
    """
    if first + second <= room:
        return first, second
    return min(first, max(room - second, (room + 1) // 2)), min(second, max(room - first, room // 2))


def kept_lengths(first: int, second: int | None, room: int, truncation: Truncation) -> tuple[int, int]:
    """How many tokens remain of a text (`second` is None) or of a pair.

    Raises:
        UsageError: The text that may not be cut leaves no room, or the one to cut is not there.
    """
    check_truncation(truncation)
    if second is None:
        if truncation == "only_second":
            raise UsageError("truncation 'only_second' needs a pair. Received: a single text")
        return min(first, room), 0
    if truncation == "longest_first" or first + second <= room:
        return truncated_lengths(first, second, room)
    fixed = second if truncation == "only_first" else first
    if fixed >= room:
        raise no_room(truncation, fixed, room)
    return (room - second, second) if truncation == "only_first" else (first, room - first)


def no_room(truncation: str, fixed: int, room: int) -> UsageError:
    """What is raised when the text that may not be cut fills all."""
    other = "second" if truncation == "only_first" else "first"
    return UsageError(
        f"truncation {truncation!r} must leave room beside the {other} text for a token of the other. Received: "
        f"{fixed} tokens, room for {room}; raise max_length, or cut that text"
    )


def window_starts(length: int, room: int, stride: int) -> list[int]:
    """Where the windows of `room` tokens over a text of `length` tokens begin; neighbours share `stride` tokens.

    The last window is the first that reaches the end (as in Hugging Face's tokenizers). An empty text has one.

    Raises:
        UsageError: The windows would not move.
    """
    if length <= room:
        return [0]
    if not 0 <= stride < room:
        raise UsageError(
            f"stride must be at least 0, and less than the room of a window, {room} tokens. Received: stride={stride}"
        )
    return list(range(0, length - room + (room - stride), room - stride))
