"""Tagging schemes: the entities that the tags of words encode, and entity-level scores as in seqeval."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import Any

OUTSIDE = "O"
SCHEMES = ("io", "iob1", "iob2", "bioes", "bmes")
_LETTERS = {"M": "I", "L": "E", "U": "S"}
"""The letters of other schemes, and the letters used here: BMES has M for I, BILOU has L for E and U for S."""

Entity = tuple[str, int, int]
"""The type of an entity, the index of its first word, and the index after its last word."""


class TagProblem(ValueError):
    """The error about a tag that breaks its scheme.

    Args:
        place: The index of the word.
        message: What was expected, and what was received.
    """

    def __init__(self, place: int, message: str) -> None:
        super().__init__(message)
        self.place = place


def split_tag(tag: str) -> tuple[str, str]:
    """Splits a tag into letter and type: "B-PER" → ("B", "PER"), "O" → ("O", ""), and a bare "PER" → ("I", "PER")."""
    letter, hyphen, kind = tag.partition("-")
    if tag == OUTSIDE:
        return OUTSIDE, ""
    if hyphen and kind and letter in ("B", "I", "E", "S", *_LETTERS):
        return _LETTERS.get(letter, letter), kind
    return "I", tag


def check_types(tags: Sequence[str]) -> None:
    """Checks that no tag is a letter without a type, such as "B-".

    Raises:
        TagProblem: There is such a tag.
    """
    for place, tag in enumerate(tags):
        if len(tag) == 2 and tag[1] in "-_" and tag[0] in ("B", "I", "E", "S", *_LETTERS):
            raise TagProblem(place, f"expected a type behind the letter, such as {tag}PER. Received {tag!r}")


def detect_scheme(sentences: Iterable[Sequence[str]]) -> str:
    """Returns the scheme of the tags of sentences, one of SCHEMES.

    The B tags distinguish IOB1 and IOB2: in IOB1 a B tag occurs only directly after an entity of the same type.
    """
    letters: set[str] = set()
    opening_b = False
    for tags in sentences:
        before = (OUTSIDE, "")
        for tag in tags:
            letters.add(tag[:1] if tag[1:2] == "-" else OUTSIDE if tag == OUTSIDE else "bare")
            now = split_tag(tag)
            opening_b |= now[0] == "B" and before[1] != now[1]
            before = now
    if "M" in letters or ({"E", "S"} & letters and "I" not in letters):
        return "bmes"
    if {"E", "S", "L", "U"} & letters:
        return "bioes"
    if "B" not in letters:
        return "io"
    return "iob2" if opening_b else "iob1"


def entities_in_scheme(tags: Sequence[str], scheme: str, repaired: list[int] | None = None) -> list[Entity]:
    """Returns the entities of a sentence.

    "iob1" also reads tags in IOB2, as conlleval does: an I- tag that continues no entity begins one.

    Args:
        tags: The tags of the words of the sentence.
        scheme: The scheme of the tags, one of SCHEMES.
        repaired: A list to which the indices of tags that break the scheme are added. Such tags are then read as
            conlleval reads them: an I- or E- tag that continues no entity begins one, and an entity without an E- tag
            ends where its type ends. With None such tags are errors.

    Raises:
        TagProblem: A tag breaks the scheme, such as an I- without a B- before it.
    """
    entities: list[Entity] = []
    begin = -1
    letter, kind = OUTSIDE, ""
    for place, tag in enumerate([*tags, OUTSIDE]):
        next_letter, next_kind = split_tag(tag)
        open_ = letter in ("B", "I")
        same = next_kind == kind
        if scheme in ("io", "iob1"):
            goes_on = open_ and next_letter == "I" and same
            if next_letter in ("E", "S"):
                raise TagProblem(place, f"expected tags of the scheme {scheme}: O, I-… (and B-…). Received {tag!r}")
        else:
            goes_on = open_ and next_letter in ("I", "E") and same
            broken = next_letter in ("I", "E") and not goes_on
            unended = scheme in ("bioes", "bmes") and open_ and not goes_on
            if repaired is not None:
                repaired += [place] * (broken or unended)
            elif broken:
                noisy = scheme == "iob2" and next_letter == "I"
                way = "; leave out --strict-tags to take it for a beginning" if noisy else ""
                problem = f"expected B-{next_kind} before {tag!r} (scheme {scheme}). Received it without{way}"
                raise TagProblem(place, problem)
            elif unended:
                raise TagProblem(place, f"expected E-{kind} at the end of {kind} (scheme {scheme}). Received {tag!r}")
        if not goes_on:
            if letter != OUTSIDE:
                entities.append((kind, begin, place))
            begin = place
        letter, kind = next_letter, next_kind
    return entities


def letter_at(first: bool, last: bool, scheme: str) -> str:
    """Returns the letter of a word in an entity.

    Args:
        first: Whether the word is the first of the entity.
        last: Whether the word is the last of the entity.
        scheme: "io", "iob2" or "bioes".
    """
    if scheme == "bioes" and last:
        return "S" if first else "E"
    return "B" if first and scheme != "io" else "I"


def tag_labels(types: Iterable[str], scheme: str) -> list[str]:
    """Returns all tags of a scheme for these types, O first."""
    letters = {"io": "I", "iob2": "BI", "bioes": "BIES"}[scheme]
    return [OUTSIDE, *(f"{letter}-{kind}" for kind in types for letter in letters)]


def entity_scores(
    true: Sequence[Collection[Any]], predicted: Sequence[Collection[Any]]
) -> tuple[dict[str, float], dict[str, dict[str, float]]]:
    """Returns precision, recall and F1 of entities.

    Args:
        true: The true entities of each text. An entity is a tuple that begins with its type.
        predicted: The predicted entities of each text.

    Returns:
        The scores over all types (micro-averaged "precision", "recall" and "f1", and "macro_f1"), and the scores of
        each type with its "support". 0 / 0 counts as 0, as in seqeval.
    """
    counts: dict[str, list[int]] = {}
    for wanted, found in zip(true, predicted, strict=True):
        wanted_set, found_set = set(wanted), set(found)
        for place, group in enumerate((wanted_set & found_set, found_set, wanted_set)):
            for entity in group:
                counts.setdefault(entity[0], [0, 0, 0])[place] += 1
    per_type = {kind: _scores(*counts[kind]) for kind in sorted(counts)}
    totals = [sum(count[place] for count in counts.values()) for place in range(3)]
    overall = _scores(*totals)
    macro = sum(scores["f1"] for scores in per_type.values()) / len(per_type) if per_type else 0.0
    return {name: overall[name] for name in ("precision", "recall", "f1")} | {"macro_f1": macro}, per_type


def _scores(right: int, found: int, wanted: int) -> dict[str, float]:
    precision = right / found if found else 0.0
    recall = right / wanted if wanted else 0.0
    f1 = 2 * precision * recall / (precision + recall) if right else 0.0
    return {"precision": precision, "recall": recall, "f1": f1, "support": wanted}
