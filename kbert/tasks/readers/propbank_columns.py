"""Reads predicates and roles from columns: CoNLL-2005, CoNLL-2012, and CoNLL-U with those of Universal Propositions."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from kbert.errors import DataError
from kbert.files import PathLike
from kbert.sources.bad_rows import BadRows
from kbert.sources.table_format import TableFormat
from kbert.tasks.readers.conll_columns import split_cells
from kbert.tasks.readers.predicates import Predicate, RolesText, checked_text
from kbert.tasks.readers.tagged_texts import Span
from kbert.tasks.readers.tagged_words import word_places

VERB = "V"
"""The role of the predicate itself in CoNLL columns."""
_COMMENT = re.compile(r"#\s*[\w.:-]+\s*[=:]|#(begin|end) document|#\s*[\w-]+:")
_GLOBAL = re.compile(r"#\s*global\.columns\s*=\s*(?P<names>.+)")
_BRACKETS = re.compile(r"(?P<open>(\([^()*\s]+)*)\*(?P<close>\)*)")
_VERB = re.compile(r"\(V[*(]")
_NUMBER = re.compile(r"\d+")
_NOTHING = ("_", "-", "")
_WIDTH = 10
"""The number of columns of CoNLL-U."""
_WORD_2012, _LEMMA_2012, _SENSE_2012 = 3, 6, 7


class _Line(NamedTuple):
    number: int
    cells: list[str]


class _Argument(NamedTuple):
    """A role, and the indices of its first word and after its last word."""

    role: str
    first: int
    limit: int


class _Proposition(NamedTuple):
    """A predicate by the indices of its words, with its roles."""

    first: int
    limit: int
    sense: str | None
    arguments: list[_Argument]


def read_propbank_columns(path: PathLike, form: TableFormat, targets: bool, bad: BadRows) -> Iterator[RolesText]:
    """Yields the sentences of a file with a word in each line, and an empty line between sentences.

    - CoNLL-2012: the word is the fourth column, the lemma the seventh and the sense the eighth. Each predicate has a
      column of roles in brackets, such as (ARG0*, in which (V*) is the predicate.
    - CoNLL-2005: the word is the first column. The last column before those of roles is the lemma, and the one before
      it is the number of the sense, if it is a number.
    - CoNLL-U with the columns of Universal Propositions: UP:PRED with UP:ARGSPANS or UP:ARGHEADS; or the sense as the
      tenth column with a column for each predicate; or Roleset and Args in MISC. Where a file has the head of a role,
      the words below this head in the tree are its span.

    Args:
        path: The file.
        form: The encoding, and the delimiter if it is neither a tab nor a space.
        targets: Whether predicates are read.
        bad: Counts the sentences that are skipped, and the parts of predicates (C-V) that are left out.

    Raises:
        DataError: A sentence is invalid, with file and line.
    """
    names: list[str] = []
    for lines in _sentences(path, form, bad, names):
        try:
            words, propositions = _read(lines, names, targets)
            yield (
                _text(words, propositions, lines[0].number, bad)
                if targets
                else RolesText(word_places(words)[0], None, lines[0].number)
            )
        except _Problem as problem:
            bad.skip(DataError(str(problem), path, problem.line or lines[0].number))
        except ValueError as problem:
            bad.skip(DataError(str(problem), path, lines[0].number))


class _Problem(ValueError):
    """The error about a line."""

    def __init__(self, message: str, line: int) -> None:
        super().__init__(message)
        self.line = line


def _sentences(path: PathLike, form: TableFormat, bad: BadRows, names: list[str]) -> Iterator[list[_Line]]:
    """Yields the lines of each sentence, and puts the names of the columns into `names` if the file has them."""
    sentence: list[_Line] = []
    for number, line in form.numbered_lines(path, bad):
        if not line.strip():
            if sentence:
                yield sentence
            sentence = []
        elif line.startswith("#") and _COMMENT.match(line):
            match = _GLOBAL.match(line)
            if match:
                names[:] = match["names"].split()
        else:
            cells = split_cells(line, form.delimiter)
            sentence.append(_Line(number, [cell.strip() for cell in cells]))
    if sentence:
        yield sentence


def _read(lines: Sequence[_Line], names: Sequence[str], targets: bool) -> tuple[list[str], list[_Proposition]]:
    """Returns the words of a sentence and its propositions."""
    if names or _is_conllu(lines):
        rows = [line for line in lines if _NUMBER.fullmatch(line.cells[0])]
        word = names.index("FORM") if "FORM" in names else 1
        if names and "FORM" not in names:
            raise ValueError("expected a column FORM with the words. Received: a file without one; add its treebank's")
        _check_width(rows, len(names) or _WIDTH)
        words = [line.cells[word] for line in rows]
        return words, _of_tree(rows, names) if targets else []
    is_2012 = len(lines[0].cells) > _SENSE_2012 and all(
        len(line.cells) > 2 and line.cells[2] == str(index) for index, line in enumerate(lines)
    )
    word = _WORD_2012 if is_2012 else 0
    _check_width(lines, word + 1)
    words = [line.cells[word] for line in lines]
    if not is_2012 and all(each in ("-", "_") for each in words[:-1]) and len(words) > 1:
        raise ValueError("expected words in the first column. Received: lines without words")
    return words, _of_brackets(lines, is_2012) if targets else []


def _check_width(lines: Sequence[_Line], least: int) -> None:
    if not lines:
        raise ValueError("expected lines with words. Received: none")
    width = max(least, len(lines[0].cells))
    for line in lines:
        if len(line.cells) < least or len(line.cells) != width:
            raise _Problem(f"expected {width} columns, as in its sentence. Received {len(line.cells)}", line.number)


def _is_conllu(lines: Sequence[_Line]) -> bool:
    cells = next((line.cells for line in lines if _NUMBER.fullmatch(line.cells[0])), None)
    return cells is not None and cells[0] == "1" and len(cells) >= _WIDTH


def _text(words: Sequence[str], propositions: Sequence[_Proposition], line: int, bad: BadRows) -> RolesText:
    """Returns the text of the words, with the predicates at their places in it."""
    if not all(words) or all(word == "_" for word in words):
        raise ValueError(f"expected words. Received: {' '.join(words):.60}")
    text, starts, ends = word_places(words)
    predicates = []
    for each in propositions:
        roles = [
            Span(starts[role.first], ends[role.limit - 1], role.role)
            for role in dict.fromkeys(each.arguments)
            if role.role not in (VERB, f"C-{VERB}")
        ]
        if any(role.role == f"C-{VERB}" for role in each.arguments):
            bad.repaired("predicates have a second part (C-V), which is left out", line)
        predicates.append(Predicate(starts[each.first], ends[each.limit - 1], each.sense, tuple(roles)))
    return checked_text(text, predicates, line)


# === Roles in brackets ===


def _of_brackets(lines: Sequence[_Line], is_2012: bool) -> list[_Proposition]:
    width = len(lines[0].cells)
    first_role = _SENSE_2012 + 1 if is_2012 else 1
    columns = [column for column in range(first_role, width) if any(_VERB.match(line.cells[column]) for line in lines)]
    propositions = []
    for column in columns:
        arguments = _bracketed(lines, column)
        verb = next(each for each in arguments if each.role == VERB)
        cells = lines[verb.first].cells
        sense = _sense_2012(cells) if is_2012 else _sense_2005(cells[: columns[0]])
        propositions.append(_Proposition(verb.first, verb.limit, sense, arguments))
    return propositions


def _bracketed(lines: Sequence[_Line], column: int) -> list[_Argument]:
    """Returns the roles in a column of brackets."""
    found: list[_Argument] = []
    role, first = None, 0
    for index, (number, cells) in enumerate(lines):
        match = _BRACKETS.fullmatch(cells[column])
        if match is None:
            raise _Problem(f"expected a role such as (ARG0*). Received: {cells[column]!r:.60}", number)
        opened, closed = match["open"].split("(")[1:], len(match["close"])
        if len(opened) > 1 or (opened and role is not None) or closed > 1 or (closed and not opened and role is None):
            raise _Problem(f"expected roles that do not overlap. Received: {cells[column]!r:.60}", number)
        if opened:
            role, first = opened[0], index
        if closed and role is not None:
            found.append(_Argument(role, first, index + 1))
            role = None
    if role is not None:
        raise _Problem(f"expected an end of the role {role}. Received: the end of the sentence", lines[first].number)
    return found


def _sense_2012(cells: Sequence[str]) -> str | None:
    lemma, sense = cells[_LEMMA_2012], cells[_SENSE_2012]
    if sense in _NOTHING:
        return None
    return sense if "." in sense or lemma in _NOTHING else f"{lemma}.{sense}"


def _sense_2005(cells: Sequence[str]) -> str | None:
    if len(cells) > 2 and _NUMBER.fullmatch(cells[-2]):
        return f"{cells[-1]}.{cells[-2]}"
    return None


# === CoNLL-U ===


def _of_tree(rows: Sequence[_Line], names: Sequence[str]) -> list[_Proposition]:
    places = {line.cells[0]: index for index, line in enumerate(rows)}
    if names:
        return _of_named_columns(rows, names, places)
    width = len(rows[0].cells)
    if width > _WIDTH:
        return _of_head_columns(rows, places)
    return _of_misc(rows, places)


def _of_named_columns(rows: Sequence[_Line], names: Sequence[str], places: Mapping[str, int]) -> list[_Proposition]:
    """Reads UP:PRED, and the roles in UP:ARGSPANS (A0:1-3|A1:5-5) or UP:ARGHEADS (A0:2|A1:5)."""
    if "UP:PRED" not in names or not {"UP:ARGSPANS", "UP:ARGHEADS"} & set(names):
        raise ValueError(f"expected columns UP:PRED and UP:ARGSPANS. Received: {' '.join(names):.80}")
    by_spans = "UP:ARGSPANS" in names
    column = names.index("UP:ARGSPANS" if by_spans else "UP:ARGHEADS")
    parents = None if by_spans else _parents(rows, names.index("HEAD") if "HEAD" in names else 6, places)
    found = []
    for index, (number, cells) in enumerate(rows):
        sense = cells[names.index("UP:PRED")]
        if sense in _NOTHING:
            continue
        arguments, heads = [], {}
        for part in [] if cells[column] in _NOTHING else cells[column].split("|"):
            role, _, where = part.partition(":")
            first, _, last = where.partition("-")
            try:
                limits = places[first], places[last or first]
            except KeyError:
                raise _Problem(f"expected a role such as A0:1-3. Received: {part!r:.60}", number) from None
            if by_spans:
                arguments.append(_Argument(role, limits[0], limits[1] + 1))
            else:
                heads[limits[0]] = role
        if parents is not None:
            arguments = _below(heads, index, parents)
        found.append(_Proposition(index, index + 1, sense, arguments))
    return found


def _of_head_columns(rows: Sequence[_Line], places: Mapping[str, int]) -> list[_Proposition]:
    """Reads the sense in the tenth column, and after it a column of roles for each predicate."""
    predicates = [index for index, line in enumerate(rows) if line.cells[_WIDTH - 1] not in _NOTHING]
    width = len(rows[0].cells)
    if width != _WIDTH + len(predicates):
        raise ValueError(
            f"expected {_WIDTH} columns and one for each of the {len(predicates)} predicates. Received {width}"
        )
    parents = _parents(rows, 6, places)
    found = []
    for number, predicate in enumerate(predicates):
        cells = [line.cells[_WIDTH + number] for line in rows]
        heads = {index: cell for index, cell in enumerate(cells) if cell not in _NOTHING}
        found.append(
            _Proposition(predicate, predicate + 1, rows[predicate].cells[_WIDTH - 1], _below(heads, predicate, parents))
        )
    return found


def _of_misc(rows: Sequence[_Line], places: Mapping[str, int]) -> list[_Proposition]:
    """Reads Roleset=give.01 and Args=V/_/ARG0 in MISC, with a part of Args for each predicate."""
    fields = [
        dict(part.partition("=")[::2] for part in line.cells[_WIDTH - 1].split("|") if "=" in part) for line in rows
    ]
    predicates = [index for index, each in enumerate(fields) if each.get("Roleset", "-") not in _NOTHING]
    parents = _parents(rows, 6, places)
    found = []
    for number, predicate in enumerate(predicates):
        heads = {}
        for index, each in enumerate(fields):
            parts = each.get("Args", "").split("/")
            if len(parts) not in (1, len(predicates)):
                raise _Problem(
                    f"expected Args with a part for each of the {len(predicates)} predicates. Received: "
                    f"{each['Args']!r:.60}",
                    rows[index].number,
                )
            role = parts[number] if len(parts) == len(predicates) else ""
            if role not in (*_NOTHING, VERB):
                heads[index] = role
        found.append(
            _Proposition(predicate, predicate + 1, fields[predicate]["Roleset"], _below(heads, predicate, parents))
        )
    return found


def _parents(rows: Sequence[_Line], column: int, places: Mapping[str, int]) -> list[int]:
    """Returns the index of the head of each word; -1 for the root."""
    return [places.get(line.cells[column], -1) for line in rows]


def _below(heads: Mapping[int, str], predicate: int, parents: Sequence[int]) -> list[_Argument]:
    """Returns the roles whose heads are given.

    A word belongs to the nearest head above it, unless the predicate is between them. The span of a role is the part
    around its head without a gap.
    """
    owners = []
    for index in range(len(parents)):
        place, seen = index, set()
        while place >= 0 and place not in heads and place != predicate and place not in seen:
            seen.add(place)
            place = parents[place]
        owners.append(place if place in heads and (place != predicate or index == predicate) else -1)
    found = []
    for head, role in heads.items():
        first = limit = head
        while first > 0 and owners[first - 1] == head:
            first -= 1
        while limit + 1 < len(owners) and owners[limit + 1] == head:
            limit += 1
        found.append(_Argument(role, first, limit + 1))
    return found
