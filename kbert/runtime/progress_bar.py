"""The one progress bar of kbert, by rich: on standard error, where that is a terminal."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator
from typing import Any, Literal

Unit = Literal["items", "bytes", "steps"]
Update = Callable[..., None]
"""Tells how much is done: `update(done)`, `update(done, total)` or `update(done, total, title)`."""


@contextlib.contextmanager
def progress_bar(
    title: str,
    unit: Unit,
    *,
    total: int | None = None,
    done: int = 0,
    transient: bool = False,
    summary: Callable[[], str] | None = None,
) -> Iterator[Update]:
    """Shows a bar during the block and gives the function that moves it; nothing is shown without a terminal.

    Args:
        title: The text before the bar; `update` can replace it.
        unit: What is counted: "items" and "steps" are shown as numbers, "bytes" with their speed.
        total: The number of units; None until `update` gives it.
        done: The units that are done already.
        transient: Whether the bar vanishes at the end.
        summary: Gives a text that is shown below the bar.
    """
    if not sys.stderr.isatty():
        yield lambda done, total=None, title=None: None
        return
    from rich.console import Console, RenderableType
    from rich.progress import Progress
    from rich.text import Text

    class Display(Progress):
        """The bar, and the summary below it."""

        def get_renderables(self) -> Iterator[RenderableType]:
            yield self.make_tasks_table(self.tasks)
            if summary is not None:
                yield Text(summary(), style="dim")

    columns = _columns(unit)
    with Display(*columns, console=Console(stderr=True), transient=transient, refresh_per_second=4) as progress:
        task = progress.add_task(title, total=total, completed=done)
        yield lambda done, total=None, title=None: progress.update(
            task, completed=done, total=total or None, description=title
        )


def _columns(unit: Unit) -> list[Any]:
    from rich import progress

    left = [progress.TextColumn("left"), progress.TimeRemainingColumn()]
    if unit == "bytes":
        return [
            progress.TextColumn("{task.description}"),
            progress.BarColumn(bar_width=20),
            progress.DownloadColumn(),
            progress.TransferSpeedColumn(),
            *left,
        ]
    columns: list[Any] = [
        progress.TextColumn("[bold]{task.description}"),
        progress.BarColumn(),
        progress.TaskProgressColumn(),
        progress.MofNCompleteColumn(),
    ]
    return [*columns, *([progress.TimeElapsedColumn()] if unit == "steps" else []), *left]
