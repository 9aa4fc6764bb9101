"""The options of measurements of LiteRT files."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from kbert.options import Options, option, with_documented_fields


@with_documented_fields
@dataclasses.dataclass(frozen=True, kw_only=True)
class BenchLitertOptions(Options):
    """The options of `kbert.bench_litert`.

    Example:
        >>> kbert.BenchLitertOptions(threads=[1, 2]).seconds
        2.0
    """

    threads: Sequence[int] = option(
        (),
        "The number of threads of a computation; can be repeated.",
        default_help="1, 2 and 4, up to the number of processor cores",
        metavar="N",
        minimum=1,
    )
    seconds: float = option(
        2.0,
        "How long each number of threads is measured; at least 10 computations are measured.",
        above=0,
        maximum=3600,
    )
    runs: int | None = option(
        None, "The number of computations that are measured, instead of `seconds`.", minimum=1, metavar="N"
    )
    signature: str | None = option(None, "The signature to measure.", default_help="all signatures", metavar="NAME")
    sequence_length: int | None = option(
        None,
        "The number of tokens of inputs whose shapes the file does not fix. The batch then has one example.",
        minimum=1,
    )
