"""Python's garbage collector, which stops all threads while it looks at objects."""

from __future__ import annotations

import gc


def keep_imported_objects() -> None:
    """Takes the objects that exist now out of garbage collections.

    TensorFlow has hundreds of thousands of objects that live as long as the process. A full collection takes 0.2 seconds
    with them, in which a server answers nothing, and some milliseconds without them.
    """
    gc.collect()
    gc.freeze()
