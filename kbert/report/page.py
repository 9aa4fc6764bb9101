"""The frame of a report and its tables. Whatever is passed as text is escaped here and nowhere else."""

from __future__ import annotations

import html
from collections.abc import Iterable, Sequence
from typing import Any

_STYLE = """
:root { color-scheme: light dark; --ink: #1d2433; --paper: #fff; --faint: #667; --line: #d8dce6; --accent: #2f6fde;
  --accent-2: #d9822b; --accent-3: #2e9e6b; --accent-4: #b0413e; --mark: #ffe8a3; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6e9f0; --paper: #14171f; --faint: #9aa3b5; --line: #2c3342;
  --accent: #6ea0ff; --accent-2: #f0a860; --accent-3: #66cf9f; --accent-4: #e88581; --mark: #5c4a12; } }
body { font: 15px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--paper); margin: 2rem auto;
  max-width: 60rem; padding: 0 1rem; }
h1 { font-size: 1.6rem; } h2 { font-size: 1.15rem; margin-top: 2.2rem; border-bottom: 1px solid var(--line); }
p.note, footer, caption { color: var(--faint); }
table { border-collapse: collapse; margin: .6rem 0; } caption { text-align: left; }
th, td { padding: .15rem .9rem .15rem 0; text-align: left; vertical-align: top; }
td.number { text-align: right; font-variant-numeric: tabular-nums; } th { font-weight: 600; }
tr + tr td, tr + tr th { border-top: 1px solid var(--line); }
svg { max-width: 100%; height: auto; display: block; margin: .6rem 0; } svg text { fill: var(--ink); font-size: 11px; }
svg .axis { stroke: var(--line); } svg .faint { fill: var(--faint); }
.columns { column-width: 12rem; } code, .example { font-family: ui-monospace, monospace; }
.example { line-height: 1.9; border-left: 3px solid var(--line); padding-left: .8rem; margin: .8rem 0;
  overflow-wrap: anywhere; }
mark { background: var(--mark); color: inherit; border-radius: 3px; padding: 0 .15rem; }
mark.random { outline: 1px solid var(--accent-4); } mark.kept { outline: 1px dashed var(--accent-3); }
mark small { color: var(--faint); }
"""


class Html(str):
    """Text that is HTML already; anything else is escaped when it is put into a page."""

    __slots__ = ()


def escape(value: Any) -> Html:
    """`value` as HTML: itself if it is that already, else its text escaped; numbers are grouped by thousands."""
    if isinstance(value, Html):
        return value
    if isinstance(value, bool) or value is None:
        return Html({True: "yes", False: "no", None: "–"}[value])
    if isinstance(value, int):
        return Html(f"{value:,}")
    if isinstance(value, float):
        return Html(f"{value:,.4g}")
    return Html(html.escape(str(value)))


def element(name: str, content: Any = "", **attributes: Any) -> Html:
    """An element; `class_` gives the attribute class."""
    written = "".join(f' {key.rstrip("_").replace("_", "-")}="{escape(value)}"' for key, value in attributes.items())
    return Html(f"<{name}{written}>{escape(content)}</{name}>")


def join(parts: Iterable[Any]) -> Html:
    """Parts one after the other."""
    return Html("".join(escape(part) for part in parts))


def section(title: str, *parts: Any) -> Html:
    """A heading and what stands under it."""
    return join([element("h2", title), *parts])


def note(text: str) -> Html:
    """A paragraph of explanation."""
    return element("p", text, class_="note")


def table(rows: Iterable[Sequence[Any]], *, header: Sequence[str] | None = None, caption: str | None = None) -> Html:
    """A table; numbers stand to the right."""
    lines = [element("caption", caption)] if caption else []
    if header:
        lines.append(element("tr", join(element("th", cell) for cell in header)))
    for row in rows:
        cells = [
            element("td", cell, class_="number")
            if isinstance(cell, int | float) and not isinstance(cell, bool)
            else element("td", cell)
            for cell in row
        ]
        lines.append(element("tr", join(cells)))
    return element("table", join(lines))


def percent(value: float | None, digits: int = 2) -> str:
    """A share as text."""
    return "–" if value is None else f"{value:.{digits}%}"


def page(title: str, *parts: Any, footer: str = "") -> str:
    """A whole page: one file without scripts, styles or images from elsewhere."""
    head = join(
        [
            Html('<meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">'),
            element("title", title),
            element("style", Html(_STYLE)),
        ]
    )
    body = join([element("h1", title), *parts, element("footer", footer) if footer else ""])
    return f"<!DOCTYPE html>\n{element('html', join([element('head', head), element('body', body)]), lang='en')}\n"
