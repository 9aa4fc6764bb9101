"""Reads queries with candidates from tables, JSON lines, dialogues and judgements."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from kbert.errors import DataError, shown
from kbert.files import PathLike
from kbert.sources.bad_rows import BadRows
from kbert.sources.rows import read_objects
from kbert.sources.table_format import TableFormat, file_kind
from kbert.tasks.options import RankingOptions
from kbert.tasks.readers.judged_texts import read_judged
from kbert.tasks.readers.numbers import parse_number
from kbert.tasks.readers.passages import passage_text
from kbert.tasks.readers.tables import column_names, read_table

_SEED = 0
_GROUPS_KEY = "candidates"
_TURNS_KEY = "turns"
_RIGHT_KEYS = ("pos", "positive", "positives", "positive_passages")
_WRONG_KEYS = ("neg", "negative", "negatives", "negative_passages")
_WRONG_COLUMN = re.compile(r"neg(atives?)?([_ ]?\d+)?")
"""The columns of wrong candidates; sentence-transformers numbers several of them: negative_1, negative_2."""
_GAINS = {"true": 1.0, "false": 0.0, "yes": 1.0, "no": 0.0}
"""The gains of words that tables have as labels."""


@dataclasses.dataclass(frozen=True)
class RankingExample:
    """A query and its candidates.

    Args:
        query: The query; in a dialogue, the last turns, one per line.
        candidates: The candidates.
        gains: The relevance of each candidate, 0 for wrong ones; empty if it is unknown.
        turns: The number of turns in the query; 0 if the query is not from a dialogue.
        line: The 1-based line of the file; 0 for none.
        dialogue: The number of the dialogue in the file, from 1; 0 if the file has no dialogues, or each dialogue is a
            single query.
        is_drawn: Whether the reader chose its candidates, so that texts of other rows can be among them.
    """

    query: str
    candidates: tuple[str, ...]
    gains: tuple[float, ...] = ()
    turns: int = 0
    line: int = 0
    dialogue: int = 0
    is_drawn: bool = False


def read_candidates(
    path: PathLike, columns: Mapping[str, str], options: RankingOptions, targets: bool, bad: BadRows
) -> list[RankingExample]:
    """Reads queries with their candidates.

    If a file has no wrong candidates, they are drawn at random from the candidates of other queries. The random
    numbers have a fixed seed, so the same file always gives the same candidates.

    Args:
        path: A table of pairs, or of queries with the columns "positive" and "negative"; JSON lines of pairs, of
            queries with a list "candidates", of queries with "pos" and "neg" (or MIRACL's "positive_passages" and
            "negative_passages"), or of dialogues ({"turns": [{"speaker": …, "text": …} or a text]}); or judgements.
        columns: The columns of the roles "query" and "candidate", and of the optional role "label".
        options: The options of the task.
        targets: Whether labels are read, and wrong candidates drawn.
        bad: Counts the rows that are skipped.

    Raises:
        DataError: A row is invalid, with file and line.
    """
    most, turns = options.candidates, options.turns
    if options.has_judgements:
        return _read_judged(path, options, most, bad)
    form = options.table_format
    first = _first_object(path, form) if file_kind(path, form) == "json" else {}
    if _TURNS_KEY in first:
        pairs = list(_responses(path, form, turns, options.responder, bad))
        if not pairs:
            raise DataError(_no_response(path, form, options.responder), path)
        pool = list(dict.fromkeys(response for _, response in pairs))
        return [_filled(example, [response], pool, most, index) for index, (example, response) in enumerate(pairs)]
    if any(key in first for key in _RIGHT_KEYS) and columns["candidate"] not in first:
        examples = list(_right_and_wrong(path, form, columns, targets, bad))
        return examples if not targets else _with_others(examples, most)
    triple = {} if first else _triple_columns(path, form, columns)
    if triple:
        examples = _triples(path, form, triple, targets, bad)
        return examples if not targets else _with_others(examples, most)
    if isinstance(first.get(columns["candidate"], first.get(_GROUPS_KEY)), list):
        examples = list(_groups(path, form, columns, targets, bad))
    else:
        examples = _grouped_rows(path, form, columns, bad)
        if targets and "label" not in columns:
            pool = list(dict.fromkeys(candidate for example in examples for candidate in example.candidates))
            examples = [
                _filled(dataclasses.replace(example, candidates=(), gains=()), example.candidates, pool, most, index)
                for index, example in enumerate(examples)
            ]
    return examples


def _right_and_wrong(
    path: PathLike, form: TableFormat, columns: Mapping[str, str], targets: bool, bad: BadRows
) -> Iterator[RankingExample]:
    """Yields objects of a query, right candidates ("pos", "positive") and optional wrong ones ("neg", "negative").

    A candidate is a text, or an object with a text and a title, as in MIRACL and Mr. TyDi.
    """
    for line, values in read_objects(path, form=form, bad=bad):
        query = values.get(columns["query"], values.get("anchor"))
        right, wrong = (_listed(values, keys) for keys in (_RIGHT_KEYS, _WRONG_KEYS))
        if (
            not isinstance(query, str)
            or not query.strip()
            or not _are_texts(right)
            or not (_are_texts(wrong) or not wrong)
        ):
            problem = 'expected {"query": "…", "pos": ["…"], "neg": ["…"]}. Received the keys '
            bad.skip(DataError(f"{problem}{', '.join(map(shown, values))}: {shown(values)}", path, line))
            continue
        gains = (1.0,) * len(right) + (0.0,) * len(wrong)
        yield RankingExample(query, (*right, *wrong), gains if targets else (), line=line)


def _triple_columns(path: PathLike, form: TableFormat, columns: Mapping[str, str]) -> dict[str, str]:
    """Returns the columns of a table of queries, right and wrong candidates; an empty dictionary for other tables."""
    header = list(column_names(path, form))
    query = next((name for name in (columns["query"], "anchor") if name in header), None)
    right = next((name for name in _RIGHT_KEYS if name in header), None)
    if query is None or right is None or columns["candidate"] in header:
        return {}
    return {"query": query, "right": right} | {name: name for name in header if _WRONG_COLUMN.fullmatch(name)}


def _triples(
    path: PathLike, form: TableFormat, columns: Mapping[str, str], targets: bool, bad: BadRows
) -> list[RankingExample]:
    """Reads rows of a query, a right candidate and wrong ones; the rows of equal queries become one example.

    Empty wrong candidates are left out. A candidate that is right in one row and wrong in another is right.
    """
    lines: dict[str, int] = {}
    gains: dict[str, dict[str, float]] = {}
    for row in read_table(path, columns, form=form, bad=bad):
        query, right, *wrong = (row.values[role] for role in columns)
        if not query.strip() or not right.strip():
            missing = "query" if not query.strip() else "right candidate"
            bad.skip(DataError(f"expected a {missing}. Received an empty one", path, row.line))
            continue
        lines.setdefault(query, row.line)
        found = gains.setdefault(query, {})
        if found.get(right) == 0.0 or any(found.get(text) == 1.0 or text == right for text in wrong):
            bad.repaired("rows have a wrong candidate that is right for the same query; it counts as right", row.line)
        found[right] = 1.0
        for text in wrong:
            if text.strip():
                found.setdefault(text, 0.0)
    return [
        RankingExample(query, tuple(found), tuple(found.values()) if targets else (), line=lines[query])
        for query, found in gains.items()
    ]


def _listed(values: Mapping[str, Any], keys: Sequence[str]) -> list[Any]:
    found = next((values[key] for key in keys if key in values), None) or []
    return [passage_text(each) for each in (found if isinstance(found, list) else [found])]


def _with_others(examples: Sequence[RankingExample], most: int) -> list[RankingExample]:
    """Returns the examples, where those without wrong candidates get candidates of other queries."""
    if all(0.0 in example.gains for example in examples):
        return list(examples)
    pool = list(dict.fromkeys(candidate for example in examples for candidate in example.candidates))
    return [
        example
        if 0.0 in example.gains
        else _filled(dataclasses.replace(example, candidates=(), gains=()), example.candidates, pool, most, index)
        for index, example in enumerate(examples)
    ]


def _first_object(path: PathLike, form: TableFormat) -> dict[str, Any]:
    return next((values for _, values in read_objects(path, form=form, bad=BadRows(1 << 60))), {})


def _filled(
    example: RankingExample,
    right: Sequence[str],
    pool: Sequence[str],
    most: int,
    index: int,
    also_right: frozenset[str] = frozenset(),
) -> RankingExample:
    """Returns the example with its right candidates and others from `pool`, `most` in all, in random order.

    Args:
        example: The example.
        right: Its right candidates.
        pool: The distinct texts that wrong candidates are drawn from.
        most: The number of candidates.
        index: The index of the example, which seeds the random numbers.
        also_right: Other texts that are right for the query and must not be drawn.
    """
    rng = np.random.default_rng([_SEED, index])
    avoided = also_right | set(right)
    wanted = max(0, most - len(right))
    if len(pool) < 2 * (most + len(avoided)):
        wanted = min(wanted, len(set(pool) - avoided))
    others: dict[str, None] = {}
    while len(others) < wanted:
        drawn = pool[int(rng.integers(len(pool)))]
        if drawn not in avoided:
            others[drawn] = None
    candidates = [*((text, 1.0) for text in right), *((text, 0.0) for text in others)]
    order = rng.permutation(len(candidates))
    texts, gains = zip(*(candidates[place] for place in order), strict=True)
    return dataclasses.replace(example, candidates=texts, gains=gains, is_drawn=True)


def _read_judged(path: PathLike, options: RankingOptions, most: int, bad: BadRows) -> list[RankingExample]:
    """Returns an example for each relevant document of each query, among documents that are not relevant to it."""
    judged, pool = read_judged(path, options.documents, options.queries, bad)
    examples: list[RankingExample] = []
    for query, found in judged:
        right = frozenset(document.text for document, gain in found if gain > 0)
        for document, gain in found:
            if gain > 0:
                example = RankingExample(query.text, (), line=query.line)
                examples.append(_filled(example, [document.text], pool, most, len(examples), right))
    if not examples:
        raise DataError("expected judgements of relevant documents. There are none", path)
    return examples


def _grouped_rows(path: PathLike, form: TableFormat, columns: Mapping[str, str], bad: BadRows) -> list[RankingExample]:
    """Reads rows of a query, a candidate and an optional label; the rows of equal queries become one example."""
    found: dict[str, list[tuple[str, float, int]]] = {}
    for row in read_table(path, columns, form=form, bad=bad):
        query, candidate = row.values["query"], row.values["candidate"]
        try:
            for role, text in (("query", query), ("candidate", candidate)):
                if not text.strip():
                    raise DataError(f"expected a {role}. Received an empty one", path, row.line)
            gain = _gain(row.values["label"], path, row.line) if "label" in row.values else 0.0
        except DataError as problem:
            bad.skip(problem)
            continue
        found.setdefault(query, []).append((candidate, gain, row.line))
    return [
        RankingExample(query, tuple(text for text, _, _ in rows), tuple(gain for _, gain, _ in rows), 0, rows[0][2])
        for query, rows in found.items()
    ]


def _gain(value: Any, path: PathLike, line: int) -> float:
    try:
        gain = parse_number(_GAINS.get(str(value).strip().lower(), value))
    except ValueError:
        gain = -1.0
    if gain < 0:
        raise DataError(f"expected a label of 0 or more, or yes or no. Received {value!r}", path, line)
    return gain


def _groups(
    path: PathLike, form: TableFormat, columns: Mapping[str, str], targets: bool, bad: BadRows
) -> Iterator[RankingExample]:
    for line, values in read_objects(path, form=form, bad=bad):
        try:
            yield _group(values, columns, targets, path, line)
        except DataError as problem:
            bad.skip(problem)


def _group(
    values: Mapping[str, Any], columns: Mapping[str, str], targets: bool, path: PathLike, line: int
) -> RankingExample:
    """Converts an object of a query, a list of candidates and a label to an example.

    The label is the index (from 0) of the right candidate, or a list of gains.
    """
    query = values.get(columns["query"])
    candidates = values.get(columns["candidate"], values.get(_GROUPS_KEY))
    said: list[Any] = query if isinstance(query, list) else [query]
    if not _are_texts(said):
        raise DataError(
            f"expected a text, or a list of turns, as {columns['query']!r}. Received {shown(query)}", path, line
        )
    if not isinstance(candidates, list) or not _are_texts(candidates):
        raise DataError(f"expected a list of texts as candidates. Received {shown(candidates)}", path, line)
    text = "\n".join(said)
    turns = len(said) if isinstance(query, list) else 0
    if not targets:
        return RankingExample(text, tuple(candidates), (), turns, line)
    key = columns.get("label", "label")
    label = values.get(key)
    if isinstance(label, float) and label.is_integer():
        label = int(label)
    if isinstance(label, int) and not isinstance(label, bool):
        if not 0 <= label < len(candidates):
            raise DataError(
                f"expected the place of the right candidate, 0 to {len(candidates) - 1}, as {key!r}. Received {label}",
                path,
                line,
            )
        gains = [float(place == label) for place in range(len(candidates))]
    elif isinstance(label, list) and len(label) == len(candidates):
        gains = [_gain(value, path, line) for value in label]
    else:
        raise DataError(
            f"expected the place of the right candidate, or a number for each, as {key!r}. Received {shown(label)}",
            path,
            line,
        )
    return RankingExample(text, tuple(candidates), tuple(gains), turns, line)


def _are_texts(values: Iterable[Any]) -> bool:
    values = list(values)
    return bool(values) and all(isinstance(value, str) and value.strip() for value in values)


def _no_response(path: PathLike, form: TableFormat, responder: str | None) -> str:
    if responder is None:
        return "expected dialogues with a response. There are none"
    dialogues = (values.get(_TURNS_KEY) for _, values in read_objects(path, form=form, bad=BadRows(1 << 60)))
    turns = (turn for listed in dialogues if isinstance(listed, list) for turn in listed)
    speakers = sorted({str(turn["speaker"]) for turn in turns if isinstance(turn, dict) and "speaker" in turn})
    if not speakers:
        return f"expected dialogues with a response of {responder!r}. No turn has a speaker; leave out --responder"
    return f"expected dialogues with a response of {responder!r}. The speakers are {', '.join(speakers[:20])}"


def _responses(
    path: PathLike, form: TableFormat, most: int, responder: str | None, bad: BadRows
) -> Iterator[tuple[RankingExample, str]]:
    """Yields each response of each dialogue, as an example whose query is the turns before it, and the response."""
    for number, (line, values) in enumerate(read_objects(path, form=form, bad=bad), start=1):
        turns = values.get(_TURNS_KEY)
        listed = turns if isinstance(turns, list) else []
        said: list[Any] = [turn.get("text") if isinstance(turn, dict) else turn for turn in listed]
        if not _are_texts(said):
            bad.skip(
                DataError(
                    'expected {"turns": [{"speaker": …, "text": …}, …]} with a text in each. '
                    f"Received {shown(turns)}",
                    path,
                    line,
                )
            )
            continue
        speakers = [turn.get("speaker") if isinstance(turn, dict) else None for turn in listed]
        for place in range(1, len(said)):
            if responder is None or speakers[place] == responder:
                before = said[max(0, place - most) : place]
                yield RankingExample("\n".join(before), (), (), len(before), line, number), said[place]
