"""Feeds: RSS 0.9 to 2.0 and Atom, read over HTTP at intervals."""

from __future__ import annotations

import html
import http.client
import re
import urllib.error
import urllib.parse
import urllib.request
from typing import Any
from xml.etree.ElementTree import Element

from apps.sentiment_monitor.headline import Headline, Problem
from apps.sentiment_monitor.sources.source import Batch, States
from apps.sentiment_monitor.sources.xml_tree import parse_xml
from apps.sentiment_monitor.times import parse_time

_MOST_BYTES = 5_000_000
_TIMEOUT = 20.0
_LONGEST_WAIT = 6 * 3600.0
_TIME_ELEMENTS = ("pubDate", "published", "updated", "date")


class FeedSource:
    """The headlines of a feed.

    The feed is asked again after `every` seconds, only for what has changed (ETag, Last-Modified). After an error the
    time is doubled with each further one, up to six hours, or is what the server says (Retry-After).

    Args:
        address: The address, http or https.
        every: The seconds between two requests.
    """

    def __init__(self, address: str, every: float = 300.0) -> None:
        self.name = address
        self._every = every
        # Only these handlers: an address or a redirection must not open files.
        self._opener = urllib.request.OpenerDirector()
        for handler in (
            urllib.request.ProxyHandler,
            urllib.request.HTTPHandler,
            urllib.request.HTTPSHandler,
            urllib.request.HTTPDefaultErrorHandler,
            urllib.request.HTTPErrorProcessor,
            urllib.request.HTTPRedirectHandler,
            urllib.request.UnknownHandler,
        ):
            self._opener.add_handler(handler())

    def poll(self, states: States, now: float) -> Batch:
        """Asks the feed, if it is time to."""
        key = f"feed:{self.name}"
        state = states.state(key) or {}
        if now < state.get("next", 0.0):
            return Batch()
        headers = {
            "User-Agent": "kbert-sentiment-monitor",
            "Accept": "application/rss+xml, application/atom+xml, */*;q=0.5",
        }
        headers |= {name: state[name] for name in ("If-None-Match", "If-Modified-Since") if name in state}
        wait = None
        try:
            with self._opener.open(urllib.request.Request(self.name, headers=headers), timeout=_TIMEOUT) as answer:
                data = answer.read(_MOST_BYTES + 1)
                kept = {
                    "If-None-Match": answer.headers.get("ETag"),
                    "If-Modified-Since": answer.headers.get("Last-Modified"),
                }
            if len(data) > _MOST_BYTES:
                raise ValueError(f"expected at most {_MOST_BYTES:,} bytes. Received: more")
            headlines = feed_headlines(data, now, source=urllib.parse.urlsplit(self.name).hostname or "")
        except urllib.error.HTTPError as error:
            with error:
                if error.code == 304:
                    return Batch(states={key: {**state, "failures": 0, "next": now + self._every}})
                wait = error.headers.get("Retry-After")
            message = f"expected the feed. Received: status {error.code}"
        except (OSError, http.client.HTTPException, ValueError) as error:
            reason = getattr(error, "reason", None) or error
            message = str(reason) if isinstance(error, ValueError) else f"expected the feed. Received: {reason}"
        else:
            found = {name: value for name, value in kept.items() if value}
            return Batch(headlines, [], {key: {**found, "failures": 0, "next": now + self._every}})
        failures = state.get("failures", 0) + 1
        seconds = float(wait) if wait and wait.isdecimal() else self._every * 2.0 ** min(failures, 16)
        after: dict[str, Any] = {**state, "failures": failures, "next": now + min(seconds, _LONGEST_WAIT)}
        return Batch(problems=[Problem(self.name, message)], states={key: after})


def feed_headlines(data: bytes, now: float, *, source: str = "") -> list[Headline]:
    """Returns the headlines of a feed, oldest first.

    Args:
        data: The document.
        now: The time of headlines without one, in seconds since 1970. Later times are replaced by it.
        source: The source of the headlines.

    Raises:
        ValueError: The document is no RSS or Atom.
    """
    root = parse_xml(data)
    if root.tag not in ("rss", "RDF", "feed"):
        raise ValueError(f"expected RSS or Atom. Received: XML with the element {root.tag[:50]}")
    found = []
    for item in [*root.iter("item"), *root.iter("entry")]:
        title = _text(item, "title")
        if title:
            found.append(Headline(title, _time(item, now), source))
    return sorted(found, key=lambda headline: headline.time)


def _text(parent: Element, name: str) -> str:
    """Returns the text of a child; titles may be HTML within XML."""
    element = parent.find(name)
    if element is None:
        return ""
    text = html.unescape("".join(element.itertext()))
    return " ".join(re.sub(r"</?[A-Za-z][^<>]*>", "", text).split())[:10_000]


def _time(item: Element, now: float) -> float:
    for name in _TIME_ELEMENTS:
        text = _text(item, name)
        if text:
            try:
                return min(parse_time(text), now)
            except ValueError:
                continue  # such as a time in the words of some language
    return now


def is_feed_address(text: str) -> bool:
    """Returns whether a source is an address of HTTP."""
    return urllib.parse.urlsplit(text).scheme.lower() in ("http", "https")
