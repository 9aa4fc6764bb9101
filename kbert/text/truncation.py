"""Computes how texts are truncated to the length of a model, and how long texts are split into windows."""

from __future__ import annotations

from typing import Literal, get_args

from kbert.errors import UsageError

Truncation = Literal["longest_first", "only_first", "only_second"]
"""The text that loses tokens from its end; "longest_first" removes one token at a time from the longer text."""


def check_truncation(truncation: str) -> None:
    """Checks the name of a kind of truncation.

    Raises:
        UsageError: The name is invalid.
    """
    if truncation not in get_args(Truncation):
        raise UsageError(f"truncation must be one of {', '.join(get_args(Truncation))}. Received: {truncation!r}")


def truncated_lengths(first: int, second: int, room: int) -> tuple[int, int]:
    """Returns the lengths of two texts after the longer one has lost its last token until both fit into `room`.

    If the texts have equal length, the second loses a token (`_truncate_seq_pair` of the original release).
    """
    if first + second <= room:
        return first, second
    return min(first, max(room - second, (room + 1) // 2)), min(second, max(room - first, room // 2))


def kept_lengths(first: int, second: int | None, room: int, truncation: Truncation) -> tuple[int, int]:
    """Returns the lengths of a text or a pair after truncation.

    Args:
        first: The length of the text, or of the first text of the pair, in tokens.
        second: The length of the second text; None if there is only one text, whose second length is then 0.
        room: The maximum number of tokens in both texts.
        truncation: The text that loses tokens from its end.

    Raises:
        UsageError: `truncation` is invalid or names a missing text, or the other text leaves no room.
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
    """Returns the error for a text that must not be truncated, but leaves no room for the other text."""
    other = "second" if truncation == "only_first" else "first"
    return UsageError(
        f"truncation {truncation!r} must leave room beside the {other} text for a token of the other. Received: "
        f"{fixed} tokens, room for {room}; raise max_length, or cut that text"
    )


def window_starts(length: int, room: int, stride: int) -> list[int]:
    """Returns the first token of each window over a text.

    The last window is the first that reaches the end of the text (as in Hugging Face's tokenizers). An empty text has
    one window.

    Args:
        length: The number of tokens in the text.
        room: The number of tokens of the text per window.
        stride: The number of tokens that consecutive windows share.

    Raises:
        UsageError: `stride` is negative, or not less than `room`.
    """
    if length <= room:
        return [0]
    if not 0 <= stride < room:
        raise UsageError(
            f"stride must be at least 0, and less than the room of a window, {room} tokens. Received: stride={stride}"
        )
    return list(range(0, length - room + (room - stride), room - stride))
