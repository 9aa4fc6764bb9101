"""Python's garbage collector, which stops all threads while it looks at objects."""

from __future__ import annotations

import gc


def keep_imported_objects() -> None:
    """Takes the objects that exist now out of garbage collections.

    TensorFlow has hundreds of thousands of objects that live as long as the process. With them a full collection takes
    0.2 seconds, in which a server answers nothing; without them it takes some milliseconds.
    """
    gc.collect()
    gc.freeze()
