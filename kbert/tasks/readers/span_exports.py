"""Reads texts with spans in the formats of annotation programs: doccano, Prodigy, spaCy, Label Studio and others."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from kbert.errors import shown
from kbert.tasks.readers.annotators import is_rejected
from kbert.tasks.readers.tagged_texts import Span

OFFSETS = ("characters", "utf-16", "utf-8")
_START, _END = ("start", "start_offset", "begin", "from", "start_char"), ("end", "end_offset", "stop", "to", "end_char")
_KIND = ("label", "type", "entity", "entity_group", "class", "tag", "labels")

RawSpan = tuple[Any, Any, Any, "str | None"]
"""The start, the end and the label of a span, and its text if the file has it. None of them is checked yet."""


def as_object(value: Any) -> Any:
    """Converts an element of a file to an object with "text" and its spans; other values are returned unchanged.

    spaCy's training data are lists [text, {"entities": …}]. Label Studio has the text under "data", and the spans under
    "annotations" ("completions" in older versions). Older versions of doccano have the text as "data".

    Example:
        >>> as_object(["Ada left", {"entities": [[0, 3, "PER"]]}])
        {'text': 'Ada left', 'entities': [[0, 3, 'PER']]}
    """
    if _is_pair(value):
        return {"text": value[0], **value[1]}
    if not isinstance(value, dict) or "text" in value:
        return value
    if isinstance(value.get("data"), str):  # older versions of doccano
        return {"text": value["data"], **{key: each for key, each in value.items() if key != "data"}}
    data, results = value.get("data"), value.get("annotations", value.get("completions"))
    if not isinstance(data, dict) or not isinstance(results, list):
        return value
    # If several people tagged the text, the first finished annotation is used.
    done = _finished(results)
    text = data.get("text", next((each for each in data.values() if isinstance(each, str)), None))
    found = done[0].get("result", []) if done else []
    spans = [each["value"] for each in found if isinstance(each, dict) and isinstance(each.get("value"), dict)]
    spans = [span for span in spans if "start" in span and "end" in span]
    return {"text": text, "spans": spans}


def is_unfinished(value: Any) -> bool:
    """Returns whether an element of a file has no valid annotation, so that its spans say nothing.

    Prodigy keeps the texts that an annotator rejected or ignored. Label Studio exports tasks that nobody annotated, or
    that were skipped.

    Example:
        >>> is_unfinished({"text": "Ada left", "spans": [], "answer": "reject"})
        True
        >>> is_unfinished({"data": {"text": "Ada left"}, "annotations": [{"result": [], "was_cancelled": True}]})
        True
        >>> is_unfinished({"data": {"text": "Ada left"}, "annotations": [{"result": []}]})
        False
    """
    if not isinstance(value, dict):
        return False
    if "text" in value:
        return is_rejected(value)
    results = value.get("annotations", value.get("completions"))
    return isinstance(value.get("data"), dict) and isinstance(results, list) and not _finished(results)


def _finished(results: list[Any]) -> list[dict[str, Any]]:
    """Returns the annotations of a task of Label Studio that were not cancelled."""
    return [each for each in results if isinstance(each, dict) and not each.get("was_cancelled")]


def elements(value: Any) -> list[Any]:
    """Returns the elements of a value that holds a list of texts of spaCy, as {"annotations": [[text, …], …]}.

    Any other value is returned as the only element.

    Example:
        >>> elements({"classes": ["PER"], "annotations": [["Ada left", {"entities": [[0, 3, "PER"]]}], None]})
        [['Ada left', {'entities': [[0, 3, 'PER']]}]]
    """
    listed = value.get("annotations") if isinstance(value, dict) and "text" not in value else None
    if not isinstance(listed, list):
        return [value]
    found = [each for each in listed if each is not None]
    return found if found and all(_is_pair(each) for each in found) else [value]


def _is_pair(value: Any) -> bool:
    """Returns whether a value is [text, {"entities": …}]."""
    return isinstance(value, list) and len(value) == 2 and isinstance(value[0], str) and isinstance(value[1], dict)


def raw_spans(label: Any) -> list[RawSpan]:
    """Returns the spans of a label.

    Args:
        label: A list of spans, or an object {type: {surface: [[first, last]]}}, whose ends are inclusive.

    Raises:
        ValueError: The label has another form.
    """
    return list(_of_types(label) if isinstance(label, Mapping) else _of_list(label))


def offset_reader(text: str, offsets: str) -> Callable[[int], int]:
    """Returns a function that converts the offsets of a file to character offsets.

    The function returns an offset beyond the text if the offset in the file is outside the text.

    Args:
        text: The text.
        offsets: The unit of the offsets in the file, one of OFFSETS.

    Example:
        >>> offset_reader("🎉 Ada", "utf-16")(3)
        2
    """
    if offsets == "characters" or text.isascii():
        return lambda place: place
    units = text.encode("utf-16-le") if offsets == "utf-16" else text.encode("utf-8")
    size, name = (2, "utf-16-le") if offsets == "utf-16" else (1, "utf-8")

    def characters(place: int) -> int:
        if place < 0 or place * size > len(units):
            return len(text) + 1
        return len(units[: place * size].decode(name, "ignore"))

    return characters


def read_spans(text: str, label: Any, offsets: str) -> Iterator[Span]:
    """Yields the spans of a label in order of their starts.

    Args:
        text: The text.
        label: A label that `raw_spans` takes.
        offsets: The unit of its offsets, one of OFFSETS.

    Raises:
        ValueError: A span is invalid, or its text is not at its offsets.
    """
    characters = offset_reader(text, offsets)
    spans = []
    for start, end, kind, surface in raw_spans(label):
        start, end = (int(each) if isinstance(each, float) and each.is_integer() else each for each in (start, end))
        whole = all(isinstance(place, int) and not isinstance(place, bool) for place in (start, end))
        if not whole or not isinstance(kind, str) or not kind:
            raise ValueError(f"expected a span of two character offsets and a label. Received: {[start, end, kind]!r}")
        first, last = characters(start), characters(end)
        if not 0 <= first < last <= len(text):
            raise ValueError(
                f"expected a span inside the text, of {len(text)} characters. Received: {kind} from {start} to {end}"
                f"{_utf_16_hint(text, offsets)}"
            )
        if surface is not None and text[first:last] != surface:
            raise ValueError(
                f"expected {surface!r:.40} at characters {first} to {last}. The text has {text[first:last]!r:.40} "
                f"there{_utf_16_hint(text, offsets)}"
            )
        spans.append(Span(first, last, kind))
    yield from sorted(spans, key=lambda span: (span.start, span.end))


def _utf_16_hint(text: str, offsets: str) -> str:
    """Returns the advice for a file whose offsets may be units of UTF-16; else ""."""
    wide = offsets == "characters" and any(ord(character) > 0xFFFF for character in text)
    return "; if offsets count units of UTF-16, give --offsets utf-16" if wide else ""


def _of_types(label: Mapping[str, Any]) -> Iterator[RawSpan]:
    for kind, surfaces in label.items():
        if not isinstance(surfaces, dict):
            raise ValueError(f"expected {{type: {{surface: [[first, last]]}}}}. Received: {label!r:.60}")
        for surface, places in surfaces.items():
            for place in places if isinstance(places, list) else [places]:
                if not isinstance(place, list) or len(place) != 2 or not isinstance(place[1], int):
                    raise ValueError(f"expected [first, last] for {surface!r:.40}. Received: {place!r:.40}")
                yield place[0], place[1] + 1, kind, surface


def _of_list(label: Any) -> Iterator[RawSpan]:
    if not isinstance(label, list):
        raise ValueError(f"expected a list of spans, or an object of types. Received: {label!r:.60}")
    for span in label:
        if isinstance(span, dict):
            start, end, kind = (
                next((span[name] for name in names if name in span), None) for names in (_START, _END, _KIND)
            )
            if start is None or end is None or kind is None:
                raise ValueError(
                    f'expected a span with "start", "end" and "label". Received the keys {", ".join(map(shown, span))}'
                )
            kinds = kind if isinstance(kind, list) else [kind]
            surface = span.get("text")
            for each in kinds:
                yield start, end, each, surface if isinstance(surface, str) else None
        elif isinstance(span, list) and len(span) == 3:
            yield span[0], span[1], span[2], None
        else:
            raise ValueError(f'expected {{"start", "end", "label"}} or [start, end, label]. Received: {span!r:.60}')
