"""The options of the server."""

from __future__ import annotations

import dataclasses

from kbert.options import Options, option, with_documented_fields


@with_documented_fields
@dataclasses.dataclass(frozen=True, kw_only=True)
class ServeOptions(Options):
    """The options of `kbert.serve`.

    Example:
        >>> options = kbert.ServeOptions(rest_port=0)
        >>> options.host, options.poll_seconds
        ('127.0.0.1', 1.0)
    """

    rest_port: int = option(8501, "The port to listen on; 0 selects a free port.", minimum=0, maximum=65535)
    host: str = option("127.0.0.1", "The address to listen on; 0.0.0.0 accepts requests from other machines.")
    poll_seconds: float = option(1.0, "The number of seconds between checks for new models and versions.", above=0)
