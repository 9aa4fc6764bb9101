"""The rows of benchmarks/tasks.py: samples of publishers' files, written in the publishers' own formats.

Samples are drawn with a seed, so that all contestants and all later runs see the same rows.
"""

from __future__ import annotations

import csv
import dataclasses
import json
import random
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

_TEST_SHARE = 0.2
"""The share of test rows in a file that its publisher did not split."""
_TURNS = 4
_CANDIDATES = 10


@dataclasses.dataclass(frozen=True)
class Prepared:
    """The rows for all contestants.

    Args:
        train: The training file.
        test: The test file.
        train_rows: The contents of the training file, for baselines; the type of a row depends on the task.
        test_rows: The contents of the test file, for baselines.
        options: The arguments of `kbert.finetune` that depend on the files.
        extra: Further data for a baseline or a measure.
    """

    train: Path
    test: Path
    train_rows: list[Any]
    test_rows: list[Any]
    options: dict[str, Any] = dataclasses.field(default_factory=dict)
    extra: dict[str, Any] = dataclasses.field(default_factory=dict)

    @classmethod
    def from_parts(cls, paths: Iterable[Path], rows: Iterable[list[Any]], **others: dict[str, Any]) -> Prepared:
        """Returns the rows of both parts.

        Args:
            paths: The training file and the test file.
            rows: The contents of the training file and of the test file.
            **others: The fields `options` and `extra`.
        """
        train, test = paths
        train_rows, test_rows = rows
        return cls(train, test, train_rows, test_rows, **others)


@dataclasses.dataclass(frozen=True)
class Sizes:
    """The numbers of training and test rows to draw, and the seed of the draw."""

    train: int
    test: int
    seed: int = 0

    def draw(self, train: Sequence[Any], test: Sequence[Any] | None = None) -> tuple[list[Any], list[Any]]:
        """Returns random training and test rows.

        Args:
            train: The rows to draw from.
            test: The rows to draw test rows from; None splits `train`.
        """
        rng = random.Random(self.seed)
        train = rng.sample(train, len(train))
        if test is None:
            held = int(len(train) * _TEST_SHARE)
            test, train = train[:held], train[held:]
        else:
            test = rng.sample(test, len(test))
        return train[: self.train], list(test[: self.test])


Prepare = Callable[[Path, Path, Sizes], Prepared]


@dataclasses.dataclass(frozen=True)
class Table:
    """The format of a publisher's table, and the columns that are used.

    Args:
        files: The training file and the test file; a single file is split.
        texts: The columns of each text, counted from 0. Baselines get the texts of several columns joined.
        target: The column of the target.
        delimiter: The character between cells.
        header: Whether the first line is a header.
        quoted: Whether cells may be enclosed in quotation marks.
        encoding: The encoding of the files.
        separator: The character between several labels in a cell; "" if there is one label.
        numbers: Whether the target is a number. Otherwise test rows with labels that do not occur in the training rows
            are left out.
    """

    files: tuple[str, ...]
    texts: tuple[tuple[int, ...], ...]
    target: int
    delimiter: str = "\t"
    header: bool = True
    quoted: bool = False
    encoding: str = "utf-8"
    separator: str = ""
    numbers: bool = False

    def __call__(self, data: Path, folder: Path, sizes: Sizes) -> Prepared:
        """Prepares a table. A row is (texts, target); with a separator the target is a list of labels."""
        header, train = self._read(data / self.files[0])
        train, test = sizes.draw(train, self._read(data / self.files[1])[1] if len(self.files) > 1 else None)
        seen = {label for cells in train for label in self._labels(cells)}
        if not self.numbers:
            test = [cells for cells in test if seen.issuperset(self._labels(cells))]
        paths = [folder / (name + Path(self.files[0]).suffix) for name in ("train", "test")]
        for path, rows in zip(paths, (train, test), strict=True):
            self._write(path, [*header, *rows])
        return Prepared.from_parts(paths, ([self._example(cells) for cells in rows] for rows in (train, test)))

    def _labels(self, cells: Sequence[str]) -> list[str]:
        target = cells[self.target]
        return target.split(self.separator) if self.separator else [target]

    def _example(self, cells: Sequence[str]) -> tuple[tuple[str, ...], Any]:
        texts = tuple(" ".join(cells[place] for place in places) for places in self.texts)
        return texts, self._labels(cells) if self.separator else cells[self.target]

    def _read(self, path: Path) -> tuple[list[list[str]], list[list[str]]]:
        with open(path, encoding=self.encoding, newline="" if self.quoted else None) as handle:
            if self.quoted:
                rows = list(csv.reader(handle, delimiter=self.delimiter))
            else:
                rows = [line.rstrip("\n").split(self.delimiter) for line in handle]
        rows = [cells for cells in rows if any(cells)]
        return (rows[:1], rows[1:]) if self.header else ([], rows)

    def _write(self, path: Path, rows: Iterable[Sequence[str]]) -> None:
        with open(path, "w", encoding=self.encoding, newline="") as handle:
            if self.quoted:
                csv.writer(handle, delimiter=self.delimiter).writerows(rows)
            else:
                handle.writelines(self.delimiter.join(cells) + "\n" for cells in rows)


def choices(data: Path, folder: Path, sizes: Sizes) -> Prepared:
    """Prepares CODAH. A row is (prompt, endings, index of the correct ending)."""
    lines = (data / "codah/full_data.tsv").read_text("utf-8").splitlines()
    drawn = sizes.draw(lines)
    paths = [_write_lines(folder / f"{name}.tsv", rows) for name, rows in zip(("train", "test"), drawn, strict=True)]
    cells = [[line.split("\t") for line in rows] for rows in drawn]
    return Prepared.from_parts(paths, ([(row[1], row[2:6], int(row[6])) for row in rows] for rows in cells))


def conll(data: Path, folder: Path, sizes: Sizes) -> Prepared:
    """Prepares WNUT-17. A row is (words, BIO tags)."""
    files = ("wnut17/wnut17train.conll", "wnut17/emerging.dev.conll")
    sentences = []
    for name in files:
        blocks: list[list[str]] = [[]]
        for line in (data / name).read_text("utf-8").splitlines():
            if line.strip():
                blocks[-1].append(line)
            elif blocks[-1]:
                blocks.append([])
        sentences.append([block for block in blocks if block])
    drawn = sizes.draw(*sentences)
    paths = [
        _write_lines(folder / f"{name}.conll", (line for block in rows for line in [*block, ""]))
        for name, rows in zip(("train", "test"), drawn, strict=True)
    ]
    split = [[[line.rsplit("\t", 1) for line in block] for block in rows] for rows in drawn]
    return Prepared.from_parts(paths, ([([w for w, _ in row], [t for _, t in row]) for row in rows] for rows in split))


def character_spans(data: Path, folder: Path, sizes: Sizes) -> Prepared:
    """Prepares CLUENER. A row is (characters, BIO tags)."""
    lines = [(data / f"zh_cluener/{name}.jsonl").read_text("utf-8").splitlines() for name in ("train", "dev")]
    drawn = sizes.draw(*lines)
    paths = [_write_lines(folder / f"{name}.jsonl", rows) for name, rows in zip(("train", "test"), drawn, strict=True)]
    return Prepared.from_parts(paths, ([_tagged_characters(json.loads(line)) for line in rows] for rows in drawn))


def _tagged_characters(values: dict[str, Any]) -> tuple[list[str], list[str]]:
    tags = ["O"] * len(values["text"])
    for label, names in values["label"].items():
        for spans in names.values():
            for first, last in spans:
                tags[first : last + 1] = [f"B-{label}", *[f"I-{label}"] * (last - first)]
    return list(values["text"]), tags


def squad(*names: str) -> Prepare:
    """Returns a function that prepares SQuAD files, drawing paragraphs until there are enough questions.

    A row is (question, context, answers).
    """

    def prepare(data: Path, folder: Path, sizes: Sizes) -> Prepared:
        paragraphs = []
        for name in names:
            document = json.loads((data / name).read_text("utf-8"))
            paragraphs.append([paragraph for title in document["data"] for paragraph in title["paragraphs"]])
        every = dataclasses.replace(sizes, train=10**9, test=10**9)
        drawn = [
            _first_questions(rows, most)
            for rows, most in zip(every.draw(*paragraphs), (sizes.train, sizes.test), strict=True)
        ]
        paths = []
        for name, rows in zip(("train", "test"), drawn, strict=True):
            paths.append(folder / f"{name}.json")
            document = {"version": "1.1", "data": [{"title": "sample", "paragraphs": rows}]}
            paths[-1].write_text(json.dumps(document, ensure_ascii=False), "utf-8")
        return Prepared.from_parts(paths, (_questions(rows) for rows in drawn))

    return prepare


def _first_questions(paragraphs: Iterable[dict[str, Any]], most: int) -> list[dict[str, Any]]:
    chosen: list[dict[str, Any]] = []
    for paragraph in paragraphs:
        if most <= 0:
            break
        asked = [
            question for question in paragraph["qas"] if question["question"].strip()
        ]  # CMRC has an empty question
        chosen.append(paragraph | {"qas": asked[:most]})
        most -= len(chosen[-1]["qas"])
    return chosen


def _questions(paragraphs: Iterable[dict[str, Any]]) -> list[tuple[str, str, list[str]]]:
    return [
        (question["question"], paragraph["context"], [answer["text"] for answer in question["answers"]])
        for paragraph in paragraphs
        for question in paragraph["qas"]
    ]


def collection(data: Path, folder: Path, sizes: Sizes) -> Prepared:
    """Prepares Cranfield, splitting the queries. A row is (query, document, gain).

    `extra` contains the texts of queries and documents by id. As in the judgements, the id of a query is its number in
    the file. The codes 1 (best) to 4 become the gains 4 to 1; other judgements are left out.
    """
    source = data / "cranfield"
    documents = {name: text for name, text in _smart(source / "cran.all.1400") if text}
    queries = {str(place): text for place, (_, text) in enumerate(_smart(source / "cran.qry"), start=1)}
    judged: dict[str, list[str]] = {}
    for line in (source / "cranqrel").read_text().splitlines():
        query, document, code = line.split()
        if document in documents and 1 <= int(code) <= 4:
            judged.setdefault(query, []).append(line)
    names = random.Random(sizes.seed).sample(sorted(judged), len(judged))
    third = min(len(names) // 3, sizes.test)
    train = [line for name in names[third:] for line in judged[name]]
    drawn = (
        random.Random(sizes.seed).sample(train, min(sizes.train, len(train))),
        [line for name in names[:third] for line in judged[name]],
    )
    paths = [_write_lines(folder / f"{name}.qrel", rows) for name, rows in zip(("train", "test"), drawn, strict=True)]
    rows = [[(query, name, 5 - int(code)) for query, name, code in map(str.split, lines)] for lines in drawn]
    empty = sum(not text for _, text in _smart(source / "cran.all.1400"))
    sources = {"documents": source / "cran.all.1400", "queries": source / "cran.qry", "skip_bad": empty}
    return Prepared.from_parts(paths, rows, options=sources, extra={"documents": documents, "queries": queries})


def _smart(path: Path) -> Iterable[tuple[str, str]]:
    """Yields the id and the text (the field .W) of each entry of a file in the format of SMART."""
    for block in path.read_text("utf-8").split("\n.I "):
        name, _, rest = block.removeprefix(".I ").partition("\n")
        yield name.strip(), " ".join(rest.partition(".W\n")[2].split())


def dialogues(data: Path, folder: Path, sizes: Sizes) -> Prepared:
    """Prepares the system's responses in dialogues. A test row is (previous turns, candidates, index of the response).

    A training row is (previous turns, response). Training reads whole dialogues and draws wrong candidates itself. The
    candidates of test rows are drawn here and written to the file, so that baselines choose among the same candidates.
    """
    lines = (data / "sgd_dialogues/dialogues.jsonl").read_text("utf-8").splitlines()
    every = dataclasses.replace(sizes, train=10**9, test=10**9)
    sets = every.draw(lines)
    kept, rows = [], list[tuple[list[str], str]]()
    for line in sets[0]:
        if len(rows) < sizes.train:
            kept.append(line)
            rows += _responses(json.loads(line))
    rng = random.Random(sizes.seed)
    asked = [pair for line in sets[1] for pair in _responses(json.loads(line))]
    pool = sorted({response for _, response in asked})
    test = []
    for turns, response in rng.sample(asked, min(sizes.test, len(asked))):
        wrong = rng.sample([text for text in rng.sample(pool, 2 * _CANDIDATES) if text != response], _CANDIDATES - 1)
        place = rng.randrange(_CANDIDATES)
        test.append((turns, [*wrong[:place], response, *wrong[place:]], place))
    written = (
        json.dumps({"query": turns, "candidates": texts, "label": place}, ensure_ascii=False)
        for turns, texts, place in test
    )
    train = _write_lines(folder / "train.jsonl", kept)
    return Prepared(train, _write_lines(folder / "test.jsonl", written), rows, test)


def intents(data: Path, folder: Path, sizes: Sizes) -> Prepared:
    """Prepares the turns in which users express a new intent. A row is ((text,), intent).

    Dialogues are split as a whole, so that no test turn comes from a training dialogue.
    """
    lines = (data / "sgd_dialogues/dialogues.jsonl").read_text("utf-8").splitlines()
    every = dataclasses.replace(sizes, train=10**9, test=10**9)
    train, test = ([pair for line in part for pair in _intents(json.loads(line))] for part in every.draw(lines))
    train = train[: sizes.train]
    seen = {intent for _, intent in train}
    test = [(text, intent) for text, intent in test if intent in seen][: sizes.test]
    paths = [
        _write_lines(folder / f"{name}.jsonl", (json.dumps({"text": text, "intent": intent}) for text, intent in part))
        for name, part in (("train", train), ("test", test))
    ]
    return Prepared.from_parts(paths, ([((text,), intent) for text, intent in part] for part in (train, test)))


def _intents(dialogue: dict[str, Any]) -> Iterable[tuple[str, str]]:
    before = ""
    for turn in dialogue["turns"]:
        intent = turn.get("intent", "")
        if intent and intent != before:
            yield turn["text"], intent
        before = intent or before


def _responses(dialogue: dict[str, Any]) -> list[tuple[list[str], str]]:
    said = [turn["text"] for turn in dialogue["turns"]]
    return [
        (said[max(0, place - _TURNS) : place], said[place])
        for place, turn in enumerate(dialogue["turns"])
        if place and turn["speaker"] == "S"
    ]


def summaries(data: Path, folder: Path, sizes: Sizes) -> Prepared:
    """Prepares SciTLDR. A row is (sentences, labels, references)."""
    lines = [(data / f"scitldr/{name}.jsonl").read_text("utf-8").splitlines() for name in ("train", "dev")]
    drawn = sizes.draw(*lines)
    paths = [_write_lines(folder / f"{name}.jsonl", rows) for name, rows in zip(("train", "test"), drawn, strict=True)]
    values = [[json.loads(line) for line in rows] for rows in drawn]
    return Prepared.from_parts(
        paths, ([(v["source"], v["source_labels"], v["target"]) for v in rows] for rows in values)
    )


def _write_lines(path: Path, lines: Iterable[str]) -> Path:
    path.write_text("".join(f"{line}\n" for line in lines), "utf-8")
    return path
