"""The frame of a report and its tables, made with jinja2. Text is escaped; HTML is an object of markupsafe.Markup."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Sequence
from typing import Any

import jinja2
import markupsafe
from markupsafe import Markup

Html = Markup
"""Text that is HTML already; anything else is escaped when it is put into a page."""


def escape(value: Any) -> Html:
    """Returns a value as HTML.

    HTML stays as it is, and text is escaped. Numbers are grouped by thousands; a bool is "yes" or "no", None a dash.
    """
    return markupsafe.escape(_text(value))


def element(name: str, content: Any = "", **attributes: Any) -> Html:
    """Makes an element; `class_` gives the attribute class, and `_` in names becomes `-`."""
    written = join(
        Markup(' {}="{}"').format(key.rstrip("_").replace("_", "-"), _text(value)) for key, value in attributes.items()
    )
    return Markup("<{name}{written}>{content}</{name}>").format(name=name, written=written, content=_text(content))


def join(parts: Iterable[Any]) -> Html:
    """Returns parts one after the other."""
    return Markup("").join(map(escape, parts))


def section(title: str, *parts: Any) -> Html:
    """Makes a heading and puts parts below it."""
    return join([element("h2", title), *parts])


def note(text: str) -> Html:
    """Makes a paragraph that explains something."""
    return element("p", text, class_="note")


def table(rows: Iterable[Sequence[Any]], *, header: Sequence[str] | None = None, caption: str | None = None) -> Html:
    """Makes a table; numbers are aligned to the right."""
    return Markup(_template("table.html.j2").render(rows=rows, header=header, caption=caption))


def percent(value: float | None, digits: int = 2) -> str:
    """Writes a fraction as a percentage, and None as a dash."""
    return "–" if value is None else f"{value:.{digits}%}"


def page(title: str, *parts: Any, footer: str = "") -> str:
    """Makes a whole page: one file without scripts, styles or images from elsewhere."""
    return _template("page.html.j2").render(title=title, parts=parts, footer=footer) + "\n"


def _text(value: Any) -> Any:
    if isinstance(value, bool) or value is None:
        return {True: "yes", False: "no", None: "–"}[value]
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        return f"{value:,.4g}"
    return value


@functools.cache
def _environment() -> jinja2.Environment:
    loader = jinja2.PackageLoader("kbert", "report")
    return jinja2.Environment(loader=loader, autoescape=True, finalize=_text, undefined=jinja2.StrictUndefined)


def _template(name: str) -> jinja2.Template:
    return _environment().get_template(name)
